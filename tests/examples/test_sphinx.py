from pathlib import Path

import pytest

from audio import read_wav
from speech import RATE, Segment
from sphinx import SphinxRecognizer

CLIPS = Path(__file__).parents[2] / "examples" / "transcribe" / "clips"
SHORT, OTHER = sorted(CLIPS.glob("*.wav"), key=lambda path: path.stat().st_size)[:2]

pytestmark = pytest.mark.slow


def pcm(path: Path) -> bytes:
    return read_wav(path.read_bytes()).tobytes()


@pytest.fixture(scope="module")
def recognizer() -> SphinxRecognizer:
    return SphinxRecognizer()


def test_the_text_of_a_piece_does_not_depend_on_what_came_before(recognizer: SphinxRecognizer) -> None:
    fresh = recognizer.recognize(pcm(SHORT))

    recognizer.recognize(pcm(OTHER))

    assert recognizer.recognize(pcm(SHORT)) == fresh


def test_most_words_of_a_clip_are_recognized_within_its_time(recognizer: SphinxRecognizer) -> None:
    (segment,) = recognizer.recognize(pcm(OTHER))

    assert "he might even have been made" in segment.text
    assert 0 <= segment.start < segment.end <= len(pcm(OTHER)) / 2 / RATE


@pytest.mark.parametrize("samples", [0, 1, 300, RATE])
def test_a_piece_without_speech_is_recognized_too(recognizer: SphinxRecognizer, samples: int) -> None:
    found: list[Segment] = recognizer.recognize(bytes(samples * 2))

    assert sum(len(segment.text.split()) for segment in found) <= 1

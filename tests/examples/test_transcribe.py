import json
import wave
from pathlib import Path

import numpy as np
import pytest

import app
from audio import cut_at_pauses, read_wav
from fchains import use_runner
from speech import RATE, AudioChunk, Segment
from sphinx import SphinxRecognizer

CLIPS = sorted(app.CLIPS.glob("*.wav"), key=lambda path: path.stat().st_size)


class Echo:
    """Hears each piece as its own length, and nothing in silence."""

    def recognize(self, pcm: bytes) -> list[Segment]:
        seconds = len(pcm) / 2 / RATE
        return [Segment(start=0.0, end=seconds, text=f"{seconds:.2f}")] if any(pcm) else []


def write_wav(path: Path, pcm: bytes, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(1)
        file.setsampwidth(2)
        file.writeframes(pcm)
    return path


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Twelve seconds of noise with a pause from 6 to 6.5 s."""
    samples = np.random.default_rng(1).integers(-9000, 9000, 12 * RATE, dtype=np.int16)
    samples[6 * RATE : 6 * RATE + RATE // 2] = 0
    return write_wav(tmp_path / "talk.wav", samples.tobytes())


def test_the_times_of_a_piece_are_those_of_the_recording() -> None:
    chunk = AudioChunk(start=7.5, pcm=b"\1\0" * RATE)

    assert app.transcribe_piece(chunk, model=Echo()) == [Segment(start=7.5, end=8.5, text="1.00")]


def test_pieces_are_joined_in_order_on_a_runner(talk: Path) -> None:
    with app.recognizer.override(Echo()), use_runner("inline"):
        transcript = app.transcribe_file.remote(talk.read_bytes()).result()

    first, second = transcript.segments
    assert (first.start, second.end, transcript.duration) == (0.0, 12.0, 12.0)
    assert 6.0 < first.end == second.start < 6.5
    assert transcript.text == f"{first.end:.2f} {12.0 - second.start:.2f}"


def test_a_recording_in_another_format_fails_with_the_way_to_convert_it(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "music.wav", bytes(8), rate=44_100)

    with app.recognizer.override(Echo()), use_runner("inline"), pytest.raises(ValueError, match="44100 Hz"):
        app.transcribe_file.remote(path.read_bytes()).result()


def test_the_program_transcribes_the_files_it_is_given(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.recognizer.override(Echo()):
        app.main([str(talk), "--runner", "inline"])

    name, first, second, times = capsys.readouterr().out.splitlines()
    assert name == "talk.wav"
    assert first.startswith("    0.00 to   6.")
    assert second.split()[1:4] == ["to", "12.00", "s"]
    assert times.startswith("setup ")
    assert times.endswith(" for 12.0 s of speech")


def test_the_program_counts_wrong_words_where_the_right_ones_are_known(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talk.with_name("transcripts.json").write_text(json.dumps({"talk.wav": "not a single number"}))

    with app.recognizer.override(Echo()):
        app.main([str(talk)])

    assert "4 of 4 words wrong\n" in (out := capsys.readouterr().out)
    assert out.endswith("word error rate 100%\n")


def test_the_program_names_the_file_that_it_cannot_read(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "music.wav", bytes(8), rate=44_100)

    with app.recognizer.override(Echo()), pytest.raises(SystemExit, match=r"music\.wav: .* ffmpeg"):
        app.main([str(path)])


def test_the_program_names_the_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        app.main(["nowhere.wav"])

    assert left.value.code == 2
    assert "error: there is no file nowhere.wav\n" in capsys.readouterr().err


@pytest.mark.slow
def test_the_chain_hears_what_the_plain_functions_hear() -> None:
    recordings = [path.read_bytes() for path in CLIPS[:2]]
    model = SphinxRecognizer()
    plain = [
        segment
        for recording in recordings
        for piece in cut_at_pauses(read_wav(recording))
        for segment in app.transcribe_piece(piece, model=model)
    ]

    with use_runner("inline"):
        calls = [app.transcribe_file.remote(recording) for recording in reversed(recordings)]
        transcripts = [call.result() for call in reversed(calls)]

    assert [segment for transcript in transcripts for segment in transcript.segments] == plain


@pytest.mark.slow
def test_the_clips_are_transcribed_with_most_words_right(capsys: pytest.CaptureFixture[str]) -> None:
    app.main([])

    *_, times, rate = capsys.readouterr().out.splitlines()
    assert times.endswith(" for 24.7 s of speech")
    assert int(rate.removeprefix("word error rate ").removesuffix("%")) <= 35

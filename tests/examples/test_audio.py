import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio import Samples, cut_at_pauses, read_wav
from speech import RATE

NOISE = np.random.default_rng(1).integers(-9000, 9000, RATE, dtype=np.int16)


def wav(pcm: bytes, *, rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(pcm)
    return buffer.getvalue()


def noise(seconds: float) -> Samples:
    return np.resize(NOISE, round(seconds * RATE))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def test_the_samples_of_a_wav_file_are_read() -> None:
    samples = noise(0.5)

    assert np.array_equal(read_wav(wav(samples.tobytes())), samples)


@pytest.mark.parametrize(
    ("rate", "channels", "width", "found"),
    [
        (44_100, 1, 2, "44100 Hz, 1 channel(s) and 16 bits"),
        (RATE, 2, 2, "16000 Hz, 2 channel(s) and 16 bits"),
        (RATE, 1, 1, "16000 Hz, 1 channel(s) and 8 bits"),
    ],
)
def test_another_format_is_refused_with_what_was_found_and_how_to_convert(
    rate: int, channels: int, width: int, found: str
) -> None:
    with pytest.raises(ValueError, match="ffmpeg -i INPUT -ar 16000 -ac 1") as caught:
        read_wav(wav(bytes(4), rate=rate, channels=channels, width=width))

    assert found in str(caught.value)


FLOAT_HEADER = b"RIFF\x24\0\0\0WAVEfmt " + struct.pack("<LHHLLHH", 16, 3, 1, RATE, RATE * 4, 4, 32)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3 an mp3 file", wav(bytes(8))[:30], FLOAT_HEADER])
def test_what_is_no_pcm_wav_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no WAV file with PCM samples: .+; 16000 Hz, 1 channel"):
        read_wav(data)


def test_a_recording_that_ends_within_a_sample_loses_only_that_sample() -> None:
    samples = noise(0.1)

    assert np.array_equal(read_wav(wav(samples.tobytes())[:-1]), samples[:-1])


def test_a_short_recording_is_one_piece() -> None:
    (piece,) = cut_at_pauses(noise(3.0))

    assert (piece.start, len(piece.pcm)) == (0.0, 3 * RATE * 2)


def test_no_samples_are_no_pieces() -> None:
    assert list(cut_at_pauses(silence(0.0))) == []


def test_a_long_recording_is_cut_in_the_middle_of_its_pauses() -> None:
    recording = np.concatenate([noise(3.5), silence(0.5), noise(3.0), silence(1.0), noise(2.0)])

    starts = [piece.start for piece in cut_at_pauses(recording, longest=5.0)]

    assert starts == pytest.approx([0.0, 3.75, 7.5], abs=0.4)
    assert 3.5 < starts[1] < 4.0
    assert 7.0 < starts[2] < 8.0


def test_a_limit_that_is_shorter_than_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 1 second, not 0\.2"):
        list(cut_at_pauses(noise(1.0), longest=0.2))


@given(
    parts=st.lists(st.tuples(st.booleans(), st.floats(0.0, 3.0)), max_size=5),
    longest=st.floats(1.0, 4.0),
)
def test_pieces_are_bounded_and_together_are_the_recording(
    parts: list[tuple[bool, float]], longest: float
) -> None:
    made = [noise(seconds) if spoken else silence(seconds) for spoken, seconds in parts]
    recording = np.concatenate([silence(0.0), *made])

    pieces = list(cut_at_pauses(recording, longest))

    assert b"".join(piece.pcm for piece in pieces) == recording.tobytes()
    assert all(0 < len(piece.pcm) <= int(longest * RATE) * 2 for piece in pieces)
    assert all(len(piece.pcm) > int(longest * RATE) for piece in pieces[:-1]), "pieces fill half of what fits"
    position = 0.0
    for piece in pieces:
        assert piece.start == pytest.approx(position)
        position += len(piece.pcm) / 2 / RATE

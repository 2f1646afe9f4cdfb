"""Pure functions on recordings: read WAV, cut at pauses."""

import io
import wave
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from speech import RATE, AudioChunk

Samples = NDArray[np.int16]

LONGEST = 10.0  # seconds of a piece: long enough for a sentence, short enough to share out the work
PAUSE = 0.3  # seconds; shorter gaps are within words
STEP = RATE // 100  # where the quietest stretch is looked for: every 10 ms


def read_wav(data: bytes) -> Samples:
    """The samples of a WAV file.

    Raises:
        ValueError: this is no WAV file, or not 16 kHz mono 16-bit PCM.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            found = (file.getframerate(), file.getnchannels(), file.getsampwidth() * 8)
            pcm = file.readframes(file.getnframes())
    except (EOFError, wave.Error) as error:
        reason = str(error) or "it ends in the middle of its header"
        raise ValueError(f"this is no WAV file with PCM samples: {reason}; {_CONVERT}") from error
    if found != (RATE, 1, 16):
        rate, channels, bits = found
        raise ValueError(f"this WAV file has {rate} Hz, {channels} channel(s) and {bits} bits; {_CONVERT}")
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")


_CONVERT = (
    f"{RATE} Hz, 1 channel and 16 bits are needed: ffmpeg -i INPUT -ar {RATE} -ac 1 -c:a pcm_s16le OUTPUT.wav"
)


def cut_at_pauses(samples: Samples, longest: float = LONGEST) -> Iterator[AudioChunk]:
    """Pieces of at most `longest` seconds (1 or more), which together are the whole recording.

    A recording that is too long is cut where it is quietest in the second half of what fits.
    """
    if longest < 1:
        raise ValueError(f"longest must be at least 1 second, not {longest!r}")
    fitting = int(longest * RATE)
    start = 0
    while len(samples) - start > fitting:
        middle = start + fitting // 2
        cut = middle + _quietest(samples[middle : start + fitting])
        yield _piece(samples, start, cut)
        start = cut
    if start < len(samples):
        yield _piece(samples, start, len(samples))


def _piece(samples: Samples, start: int, end: int) -> AudioChunk:
    return AudioChunk(start=start / RATE, pcm=samples[start:end].tobytes())


def _quietest(samples: Samples) -> int:
    """The middle of the stretch of the length of a pause that has the least energy."""
    length = int(PAUSE * RATE)
    energy = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    stretches = energy[length::STEP] - energy[:-length:STEP]
    return int(stretches.argmin()) * STEP + length // 2

"""The same chain with Whisper on a GPU: another resource, image and hardware for the same function.

The model is fetched when a replica starts; the volume keeps it for the next one.
"""

from typing import Any

import numpy as np

from app import transcribe_piece
from audio import cut_at_pauses, read_wav
from fchains import Image, Volume, chainlet, setup
from speech import RATE, Recognizer, Segment, Transcript

image = Image.debian_slim(python="3.11").pip_install("faster-whisper==1.1.0", "numpy==2.4.6")


class WhisperRecognizer:
    """faster-whisper behind the interface of the chain."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def recognize(self, pcm: bytes) -> list[Segment]:
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
        # What was said in the piece before must not change this one.
        segments, _ = self._model.transcribe(samples, language="en", condition_on_previous_text=False)
        return [Segment(start=s.start, end=s.end, text=s.text.strip()) for s in segments]


@setup
def whisper() -> Recognizer:
    from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

    return WhisperRecognizer(WhisperModel("small.en", device="cuda", download_root="/models"))


transcribe_piece_gpu = transcribe_piece.variant(
    name="transcribe_piece_gpu",
    image=image,
    gpu="L4",
    memory="8GiB",
    volumes={"/models": Volume("whisper-models")},
    resources={"model": whisper},
)


@chainlet(entrypoint=True, image=image)
async def transcribe_file_gpu(audio: bytes) -> Transcript:
    """The transcript of a WAV file."""
    samples = read_wav(audio)
    pieces = await transcribe_piece_gpu.map(cut_at_pauses(samples, longest=30.0))
    return Transcript(
        duration=len(samples) / RATE, segments=[segment for piece in pieces for segment in piece]
    )

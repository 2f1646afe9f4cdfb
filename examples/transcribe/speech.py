"""What the transcription chain passes around."""

from typing import Protocol

from pydantic import BaseModel

RATE = 16_000  # samples per second; every sample is a signed 16-bit number, little-endian, mono


class AudioChunk(BaseModel):
    """A piece of a recording; `start` is its place there in seconds, `pcm` its samples."""

    start: float
    pcm: bytes


class Segment(BaseModel):
    """Words that belong together, with their time in seconds."""

    start: float
    end: float
    text: str

    def later(self, seconds: float) -> "Segment":
        return Segment(start=self.start + seconds, end=self.end + seconds, text=self.text)


class Transcript(BaseModel):
    """What is said in a recording of `duration` seconds."""

    duration: float
    segments: list[Segment]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


class Recognizer(Protocol):
    """A speech model: pocketsphinx in `app.py`, Whisper in `gpu.py`."""

    def recognize(self, pcm: bytes) -> list[Segment]:
        """The segments of one piece; the same samples give the same text, whatever came before."""
        ...

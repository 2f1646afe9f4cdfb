"""What a value becomes on the wire: one JSON body and the buffers that stay out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

Buffer = bytes | bytearray | memoryview


@dataclass(slots=True, unsafe_hash=True)
class Payload:
    """One encoded value. `frozen=True` would make each cost three times as much.

    The buffers may be views of the sender's own memory (an array is not copied). A transport
    that hands a payload on inside one process without copying sends `detached()` instead.

    Args:
        body: UTF-8 JSON, with the constants NaN and Infinity.
        buffers: bytes and arrays, referred to by position from a tagged body.
        tagged: the body is a tree with class tags; otherwise pydantic's JSON of the annotation.
    """

    body: Final[bytes]
    buffers: Final[tuple[Buffer, ...]] = ()
    tagged: Final[bool] = False

    @property
    def size(self) -> int:
        """Bytes in the body and all buffers."""
        size = len(self.body)
        for buffer in self.buffers:
            size += buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
        return size

    def detached(self) -> Payload:
        """The same payload without views of the sender's memory; immutable bytes are shared."""
        if all(isinstance(buffer, bytes) for buffer in self.buffers):
            return self
        return replace(self, buffers=tuple(_detach(buffer) for buffer in self.buffers))


def _detach(buffer: Buffer) -> Buffer:
    return buffer if isinstance(buffer, bytes) else bytearray(buffer)

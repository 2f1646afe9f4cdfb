"""Frames of the local transport, one by one: what they say, and their bytes.

A frame is a header of 16 bytes and what it announces. Most frames carry one JSON body. A frame
with a head (JSON about the call itself) or with buffers starts with their lengths, and each
buffer lies at a multiple of 16 bytes, so that an array can lie in it as it came:

    u32 length | u32 call | u16 channel | u8 kind | u8 flags | f32 remaining seconds
    [u32 head length | u32 body length | u32 count | u32 × count buffer lengths]
    head | body | padding, buffer | padding, buffer …

Numbers are little-endian. The first frame of a connection is HELLO, in both directions.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from fchains.errors import SerializationError
from fchains.wire.payload import Buffer, Payload

LIMIT = 1 << 30
"""Bytes after the header that a frame has at most, unless told otherwise."""

HEADER = struct.Struct("<IIHBBf")
_LENGTHS = struct.Struct("<III")
_GREETING = struct.Struct("<8sH")
_MAGIC = b"fchains\n"
_VERSION = 1
TAGGED = 1
PARTED = 2
_ALIGNMENT = 16
_JOINED = 16 * 1024  # smaller pieces are copied together: cheaper than one more vector entry
_MOST_SECONDS = 3e38  # what a f32 holds
_EMPTY = Payload(b"")


class ProtocolError(ValueError):
    """Raised when the other side of a connection breaks the protocol; the connection is lost."""


class Kind(IntEnum):
    """What a frame says."""

    HELLO = 1
    """Magic and version; the head says who it is."""
    CALL = 2
    ACCEPT = 3
    """User code starts now: the call may not be sent elsewhere any more."""
    RESULT = 4
    ERROR = 5
    REFUSE = 6
    """The call was not started and may be sent elsewhere."""
    CANCEL = 7
    ITEM = 8
    """An item of a stream, in either direction."""
    END = 9
    """The end of a stream, with the number of its items."""
    CREDIT = 10
    RELEASE = 11
    """A shared segment may be reused."""
    PING = 12
    PONG = 13


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Args:
        kind: what it says.
        call: number of the call it is about, chosen by the side that made the call.
        channel: which function, or which stream of the call.
        payload: value, with its buffers.
        head: JSON about the call itself.
        remaining: seconds until the caller's deadline; None is no limit.
    """

    kind: Kind
    call: int = 0
    channel: int = 0
    payload: Payload = _EMPTY
    head: bytes = b""
    remaining: float | None = None


def hello(head: bytes = b"") -> Frame:
    """The first frame of a connection."""
    return Frame(Kind.HELLO, payload=Payload(_GREETING.pack(_MAGIC, _VERSION)), head=head)


def encode(frame: Frame, limit: int = LIMIT) -> list[Buffer]:
    """The bytes of a frame, in pieces to be written one after the other; large ones are not copied.

    Raises:
        SerializationError: the frame is larger than the limit of its receiver.
    """
    payload = frame.payload
    flags = TAGGED if payload.tagged else 0
    if not frame.head and not payload.buffers:
        length = len(payload.body)
        pieces: list[Buffer] = [payload.body]
    else:
        flags |= PARTED
        length, pieces = _parted(frame)
    if length > limit:
        raise SerializationError(
            f"a value of {length} bytes is larger than the {limit} bytes that travel at once:"
            " pass it in parts, or as a file in a volume"
        )
    remaining = math.inf if frame.remaining is None else max(-_MOST_SECONDS, frame.remaining)
    if remaining > _MOST_SECONDS:
        remaining = math.inf
    header = HEADER.pack(length, frame.call, frame.channel, frame.kind, flags, remaining)
    return _join(header, pieces)


def _parted(frame: Frame) -> tuple[int, list[Buffer]]:
    payload = frame.payload
    buffers = [flat(buffer) for buffer in payload.buffers]
    sizes = [len(buffer) for buffer in buffers]
    lengths = _LENGTHS.pack(len(frame.head), len(payload.body), len(sizes))
    if max(sizes, default=0) > 0xFFFFFFFF:
        raise SerializationError(f"a buffer of {max(sizes)} bytes does not fit a frame: pass it in parts")
    prefix = lengths + struct.pack(f"<{len(sizes)}I", *sizes)
    pieces: list[Buffer] = [prefix, frame.head, payload.body]
    position = len(prefix) + len(frame.head) + len(payload.body)
    for buffer, size in zip(buffers, sizes, strict=True):
        padding = -position % _ALIGNMENT
        pieces += (bytes(padding), buffer)
        position += padding + size
    return position, pieces


def flat(buffer: Buffer) -> Buffer:
    """The buffer as bytes one after the other."""
    if not isinstance(buffer, memoryview):
        return buffer
    return buffer.cast("B") if buffer.nbytes else b""


def _join(header: bytes, pieces: list[Buffer]) -> list[Buffer]:
    if len(pieces) == 1 and len(pieces[0]) <= _JOINED:
        return [header + pieces[0]]
    joined: list[Buffer] = []
    small = bytearray(header)
    for piece in pieces:
        if len(piece) <= _JOINED:
            small += piece
            continue
        if small:
            joined.append(small)
            small = bytearray()
        joined.append(piece)
    if small:
        joined.append(small)
    return joined


class Header(NamedTuple):
    """The numbers at the beginning of a frame."""

    length: int
    call: int
    channel: int
    kind: int
    flags: int
    remaining: float


def split(data: memoryview, *, shared: bool) -> tuple[bytes, bytes, tuple[Buffer, ...]]:
    """Head, body and buffers; the buffers are views when the data is theirs to share."""
    if len(data) < _LENGTHS.size:
        raise ProtocolError("a frame came that is too short for its lengths")
    head_size, body_size, count = _LENGTHS.unpack_from(data)
    position = _LENGTHS.size + 4 * count
    if position + head_size + body_size > len(data):
        raise ProtocolError("a frame came whose parts are longer than itself")
    sizes: tuple[int, ...] = struct.unpack_from(f"<{count}I", data, _LENGTHS.size)
    head = bytes(data[position : position + head_size])
    position += head_size
    body = bytes(data[position : position + body_size])
    position += body_size
    buffers: list[Buffer] = []
    for size in sizes:
        position += -position % _ALIGNMENT
        view = data[position : position + size]
        buffers.append(view if shared else bytearray(view))
        position += size
    if position != len(data):
        raise ProtocolError(f"a frame of {len(data)} bytes came whose parts need {position}")
    return head, body, tuple(buffers)


def check_greeting(body: bytes) -> None:
    """Whether the body of a HELLO is ours; raises ProtocolError if not."""
    if len(body) != _GREETING.size:
        raise ProtocolError(f"HELLO came with a body of {len(body)} bytes: not an fchains process?")
    magic, version = _GREETING.unpack(body)
    if magic != _MAGIC:
        raise ProtocolError(f"HELLO came with {magic!r}: not an fchains process?")
    if version != _VERSION:
        raise ProtocolError(
            f"the other process speaks version {version} of the protocol, this one {_VERSION}"
        )


KINDS = {int(kind): kind for kind in Kind}

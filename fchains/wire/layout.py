"""The bytes of a frame.

A frame is a header of 16 bytes and what it announces. Most frames carry one JSON body. A frame
with a head (JSON about the call itself) or with buffers starts with their lengths, and each
buffer lies at a multiple of 16 bytes, so that an array can lie in it as it came:

    u32 length | u32 call | u16 channel | u8 kind | u8 flags | f32 remaining seconds
    [u32 head length | u32 body length | u32 count | u32 × count buffer lengths]
    head | body | padding, buffer | padding, buffer …

Numbers are little-endian. A buffer length with its highest bit set belongs to a buffer in shared
memory; what lies in the frame is its place: u32 segment | u32 offset | u32 size. The first frame
of a connection is HELLO, in both directions.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from fchains.errors import SerializationError
from fchains.wire.messages import Frame, Kind, Place, ProtocolError
from fchains.wire.payload import Buffer

LIMIT = 1 << 30
"""Bytes after the header that a frame has at most, shared buffers included, unless told otherwise."""

HEADER = struct.Struct("<IIHBBf")
_LENGTHS = struct.Struct("<III")
_LENGTHS_SIZE = _LENGTHS.size
_unpack_lengths = _LENGTHS.unpack_from
TAGGED = 1
PARTED = 2
KINDS = {int(kind): kind for kind in Kind}
_PLACE = struct.Struct("<III")
_SHARED = 1 << 31
_ALIGNMENT = 16
_PADDING = [bytes(size) for size in range(_ALIGNMENT)]
_JOINED = 16 * 1024  # smaller pieces are copied together: cheaper than one more vector entry
_MOST_SECONDS = 3e38  # what a f32 holds


class Header(NamedTuple):
    """The numbers at the beginning of a frame."""

    length: int
    call: int
    channel: int
    kind: int
    flags: int
    remaining: float


Parts = tuple[bytes, bytes, tuple[Buffer, ...], tuple[Place | None, ...]]
"""Head, body, buffers and their places."""


def encode(frame: Frame, limit: int = LIMIT) -> list[Buffer]:
    """The bytes of a frame, in pieces to be written one after the other; large ones are not copied.

    Raises:
        SerializationError: the frame is larger than the limit of its receiver.
    """
    payload = frame.payload
    flags = TAGGED if payload.tagged else 0
    body = payload.body
    if payload.buffers:
        return _with_buffers(frame, flags | PARTED, limit)
    if not frame.head:
        length = len(body)
        small = b""
    else:
        flags |= PARTED
        length = _LENGTHS_SIZE + len(frame.head) + len(body)
        small = _LENGTHS.pack(len(frame.head), len(body), 0) + frame.head
    check_size(length, limit)
    small = _header(frame, length, flags) + small
    return [small + body] if len(body) <= _JOINED else [small, body]


def check_size(size: int, limit: int = LIMIT) -> None:
    """Raise SerializationError if that many bytes are too many for one frame."""
    if size > limit:
        raise SerializationError(
            f"a value of {size} bytes is larger than the {limit} bytes that travel at once:"
            " pass it in parts, or as a file in a volume"
        )


def _header(frame: Frame, length: int, flags: int) -> bytes:
    remaining = frame.remaining
    if remaining is None or remaining > _MOST_SECONDS:
        remaining = math.inf
    elif remaining < -_MOST_SECONDS:
        remaining = -_MOST_SECONDS
    return HEADER.pack(length, frame.call, frame.channel, frame.kind, flags, remaining)


def _with_buffers(frame: Frame, flags: int, limit: int) -> list[Buffer]:
    head, body = frame.head, frame.payload.body
    buffers = [flat(buffer) for buffer in frame.payload.buffers]
    lengths = [len(buffer) for buffer in buffers]
    size = sum(lengths)
    for index, place in enumerate(frame.places):
        if place is not None:
            buffers[index] = _PLACE.pack(*place)
            lengths[index] = _PLACE.size | _SHARED
            size += place.size
    check_size(size, limit)  # before a length could reach the highest bit
    prefix = struct.pack(f"<III{len(lengths)}I", len(head), len(body), len(lengths), *lengths)
    pieces: list[Buffer] = [prefix, head, body]
    position = len(prefix) + len(head) + len(body)
    for buffer in buffers:
        padding = -position % _ALIGNMENT
        pieces.append(_PADDING[padding])
        pieces.append(buffer)
        position += padding + len(buffer)
    check_size(max(size, position), limit)
    header = _header(frame, position, flags)
    if position <= _JOINED:
        return [header + b"".join(pieces)]
    return _join(header, pieces)


def flat(buffer: Buffer) -> Buffer:
    """The buffer as bytes one after the other."""
    if not isinstance(buffer, memoryview):
        return buffer
    return buffer.cast("B") if buffer.nbytes else b""


def _join(header: bytes, pieces: list[Buffer]) -> list[Buffer]:
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


def split(data: memoryview, *, shared: bool) -> Parts:
    """The parts of a frame; its buffers are views when the data is theirs to share."""
    if len(data) < _LENGTHS_SIZE:
        raise ProtocolError("a frame came that is too short for its lengths")
    head_size, body_size, count = _unpack_lengths(data)
    head_start = _LENGTHS_SIZE + 4 * count
    body_start = head_start + head_size
    position = body_start + body_size
    if position > len(data):
        raise ProtocolError("a frame came whose parts are longer than itself")
    head = bytes(data[head_start:body_start])
    body = bytes(data[body_start:position])
    if not count:
        _check_end(position, data)
        return head, body, (), ()
    buffers: list[Buffer] = []
    places: list[Place | None] = []
    for size in struct.unpack_from(f"<{count}I", data, _LENGTHS_SIZE):
        position += -position % _ALIGNMENT
        end = position + (size & ~_SHARED)
        view = data[position:end]
        position = end
        places.append(_place(view) if size & _SHARED else None)
        buffers.append(b"" if size & _SHARED else view if shared else bytearray(view))
    _check_end(position, data)
    return head, body, tuple(buffers), tuple(places) if any(places) else ()


def _place(data: memoryview) -> Place:
    if len(data) != _PLACE.size:
        raise ProtocolError(f"a place of {len(data)} bytes came instead of {_PLACE.size}")
    return Place._make(_PLACE.unpack(data))


def _check_end(position: int, data: memoryview) -> None:
    if position != len(data):
        raise ProtocolError(f"a frame of {len(data)} bytes came whose parts need {position}")

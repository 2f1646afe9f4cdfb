"""Frames of the local transport, one by one: what they say. `layout` has their bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from fchains.wire.payload import Payload

_GREETING = struct.Struct("<8sH")
_MAGIC = b"fchains\n"
_VERSION = 1
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
    """The shared segment of this number may be written again: nobody reads it any more."""
    PING = 12
    PONG = 13
    SEGMENT = 14
    """Frames may refer to a shared segment from now on; the head says where it is."""
    MAPPED = 15
    """The sender can map what the receiver shares: large buffers may lie in segments."""
    WITHDRAW = 16
    """No frame refers to the shared segment of this number any more."""


class Place(NamedTuple):
    """Where a buffer lies in shared memory of the frame's sender."""

    segment: int
    offset: int
    size: int


@dataclass(slots=True, unsafe_hash=True)
class Frame:
    """One message. `frozen=True` would make each cost three times as much.

    Args:
        kind: what it says.
        call: number of the call it is about, chosen by the side that made the call.
        channel: which function, or which stream of the call.
        payload: value, with its buffers.
        head: JSON about the call itself.
        remaining: seconds until the caller's deadline; None is no limit.
        places: for each buffer, the place that stands for it, or None; empty if there is none.
            Links put it in and take it out: their users never see one.
    """

    kind: Final[Kind]
    call: Final[int] = 0
    channel: Final[int] = 0
    payload: Final[Payload] = _EMPTY
    head: Final[bytes] = b""
    remaining: Final[float | None] = None
    places: Final[tuple[Place | None, ...]] = ()


def hello(head: bytes = b"") -> Frame:
    """The first frame of a connection."""
    return Frame(Kind.HELLO, payload=Payload(_GREETING.pack(_MAGIC, _VERSION)), head=head)


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

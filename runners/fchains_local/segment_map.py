"""The shared memory of a link's peer, as this process sees it.

A segment is mapped once. What a frame brings in it is handed out as writable views; when the
last of them is gone, in whatever thread, the loop of the link hears of it and says RELEASE. The
views stay good when the link is closed: the mapping lives as long as they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import mmap
import os
import stat
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from fchains.wire.messages import Frame, Place, ProtocolError
from fchains.wire.payload import Buffer, Payload
from fchains_local.segment import ADDRESS, is_sealed
from fchains_local.segments import LARGEST, Offer

_MOST_SEGMENTS = 4096


class Announcement(TypedDict):
    """Head of a SEGMENT frame."""

    id: Annotated[int, Field(ge=0)]
    address: str
    size: Annotated[int, Field(ge=1, le=LARGEST)]


@functools.cache
def _announcements() -> TypeAdapter[Announcement]:
    return TypeAdapter(Announcement)


@dataclass(slots=True)
class _Mapped:
    """A segment of the peer."""

    memory: mmap.mmap
    size: int
    fd: int | None
    """Kept if the file may become smaller: touching what it lost would kill this process."""

    def check(self) -> None:
        if self.fd is not None and os.fstat(self.fd).st_size < self.size:
            raise ProtocolError(f"a segment of {self.size} bytes has become smaller")

    def close(self) -> None:
        """The mapping itself goes with the last view of it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class _Loan(weakref.ref[Any]):
    """Tells when the views of one frame's segment are gone."""

    __slots__ = ("number",)
    number: int


class SegmentMap:
    """What the peer of one link shares; all methods but the finalizers run on the link's loop.

    Args:
        release: called with the number of each segment that nobody here reads any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, release: Callable[[int], None]) -> None:
        self._loop = loop
        self._release = release
        self._mapped: dict[int, _Mapped] = {}
        self._lent: dict[int, tuple[weakref.ref[Any], _Loan]] = {}
        self._returned: deque[weakref.ref[Any]] = deque()
        self._thread = 0
        """Where the loop runs."""
        self._delivering = False

    def can_map(self, offer: Offer) -> bool:
        """Whether what the peer offers can be seen from here."""
        try:
            mapped = _open(offer["address"], len(offer["token"]))
        except ProtocolError:
            return False
        mapped.close()
        return bytes(mapped.memory) == offer["token"].encode()

    def announce(self, head: bytes) -> None:
        """Map a segment.

        Raises:
            ProtocolError: it cannot be mapped, or is not what the head says.
        """
        try:
            segment = _announcements().validate_json(head, strict=True)
        except ValidationError as exc:
            raise ProtocolError(f"SEGMENT came with a bad head: {exc}") from exc
        number = segment["id"]
        if number in self._mapped:
            raise ProtocolError(f"segment {number} was announced twice")
        if len(self._mapped) >= _MOST_SEGMENTS:
            raise ProtocolError(f"more than {_MOST_SEGMENTS} segments were announced")
        self._mapped[number] = _open(segment["address"], segment["size"])

    def withdraw(self, number: int) -> None:
        """No frame will refer to a segment any more.

        Raises:
            ProtocolError: there is none of that number, or it is still being read.
        """
        self.collect()
        if number not in self._mapped or number in self._lent:
            raise ProtocolError(f"segment {number} was withdrawn, which is unknown or in use")
        self._mapped.pop(number).close()

    def deliver(self, frame: Frame, on_frame: Callable[[Frame], None]) -> None:
        """Hand on a frame, with ordinary buffers instead of places.

        Raises:
            ProtocolError: a place is not within a segment that may be read now.
        """
        self.collect()
        self._thread = threading.get_ident()
        self._delivering = True
        try:
            on_frame(self._resolved(frame))
        finally:
            self._delivering = False
            self.collect()

    def _resolved(self, frame: Frame) -> Frame:
        buffers = [*frame.payload.buffers]
        whole: dict[int, memoryview] = {}
        for index, place in enumerate(frame.places):
            if place is not None:
                if place.segment not in whole:
                    whole[place.segment] = self._lend(place.segment)
                buffers[index] = _part(whole[place.segment], place)
        payload = Payload(frame.payload.body, tuple(buffers), frame.payload.tagged)
        return Frame(frame.kind, frame.call, frame.channel, payload, frame.head, frame.remaining)

    def _lend(self, number: int) -> memoryview:
        mapped = self._mapped.get(number)
        if mapped is None:
            raise ProtocolError(f"a frame refers to segment {number}, which was not announced")
        if number in self._lent:
            raise ProtocolError(f"a frame refers to segment {number}, which was not released")
        mapped.check()
        owner = (ctypes.c_ubyte * mapped.size).from_buffer(mapped.memory)
        # The later reference is called first. Its callback is not Python code, so that no
        # interrupt of a user's thread can break it off; the loop may learn of it a little later.
        wake = weakref.ref(owner, self._wake)
        loan = _Loan(owner, self._returned.append)
        loan.number = number
        self._lent[number] = (wake, loan)
        return memoryview(owner).cast("B")

    def _wake(self, _: object) -> None:
        here = threading.get_ident() == self._thread
        if here and self._delivering:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            (self._loop.call_soon if here else self._loop.call_soon_threadsafe)(self.collect)

    def collect(self) -> None:
        """Release what nobody reads any more."""
        while self._returned:
            loan = self._returned.popleft()
            if isinstance(loan, _Loan) and loan.number in self._lent:
                del self._lent[loan.number]
                self._release(loan.number)

    def close(self) -> None:
        """Forget the segments; views of them stay good."""
        self._lent.clear()
        self._returned.clear()
        for mapped in self._mapped.values():
            mapped.close()
        self._mapped.clear()


def _part(segment: memoryview, place: Place) -> Buffer:
    if not 0 < place.size <= len(segment) - place.offset:
        raise ProtocolError(
            f"a frame refers to {place.size} bytes at {place.offset}"
            f" of segment {place.segment}, which has {len(segment)}"
        )
    return segment[place.offset : place.offset + place.size]


def _open(address: str, size: int) -> _Mapped:
    if not ADDRESS.fullmatch(address):
        raise ProtocolError(f"{address!r} is not the address of a segment")
    try:
        fd = os.open(address, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as exc:
        raise ProtocolError(f"segment {address} cannot be opened: {exc}") from exc
    keeps = False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size < size:
            raise ProtocolError(f"segment {address} is no file of {size} bytes")
        memory = mmap.mmap(fd, size)
        keeps = not is_sealed(fd)
        return _Mapped(memory, size, fd if keeps else None)
    except OSError as exc:
        raise ProtocolError(f"segment {address} cannot be mapped: {exc}") from exc
    finally:
        if not keeps:
            os.close(fd)

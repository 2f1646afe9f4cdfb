"""The shared memory that this side of a link lends to the other.

The large buffers of a frame are copied into one segment. The first time, the peer is told where
it is; it is the peer's until RELEASE comes. A large copy is made in slices, one in each turn of
the loop, so that small frames do not wait for it; what belongs to the same call waits in line.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from pydantic_core import to_json

from fchains.wire.layout import LIMIT, encode, flat
from fchains.wire.messages import Frame, Kind, Place, ProtocolError
from fchains.wire.payload import Buffer, Payload
from fchains_local.segment import Segment
from fchains_local.segments import SegmentPool

logger = logging.getLogger(__name__)

_LEAST = 256 * 1024  # fewer bytes go through the socket
_LARGE = 16 * 1024  # smaller buffers stay in the frame
_MOST = LIMIT - (1 << 20)  # beyond it only the frame itself knows whether it is too large
_ALIGNMENT = 64
_SLICE = 256 * 1024
_SLICE_SECONDS = 150e-6  # a call meets two or three slices; a turn of the loop costs a tenth of one
_SOON = 0.005
"""Seconds between the steps in which idle memory is given back."""


class Copying:
    """A frame whose large buffers are on their way into a segment.

    Args:
        spans: buffers by their position in the payload, and where they come to lie.
    """

    def __init__(self, frame: Frame, segment: Segment, spans: dict[int, tuple[int, memoryview]]) -> None:
        self.frame = frame
        self.segment = segment
        self._spans = spans
        self._left = [*reversed(spans.values())]
        self._done = 0
        self.size = sum(len(data) for _, data in spans.values())

    def advance(self, seconds: float) -> bool:
        """Copy for so long; whether all is copied.

        Raises:
            OSError: the segment has no memory for it.
        """
        end = time.perf_counter() + seconds
        while self._left:
            offset, data = self._left[-1]
            part = data[self._done : self._done + _SLICE]
            self.segment.write(offset + self._done, part)
            self._done += len(part)
            if self._done == len(data):
                self._left.pop()
                self._done = 0
            if time.perf_counter() >= end:
                break
        return not self._left

    def placed(self) -> Frame:
        """The frame that refers to the segment."""
        frame = self.frame
        buffers: list[Buffer] = [*frame.payload.buffers]
        places: list[Place | None] = [None] * len(buffers)
        for index, (offset, data) in self._spans.items():
            buffers[index] = b""
            places[index] = Place(self.segment.number, offset, len(data))
        payload = Payload(frame.payload.body, tuple(buffers), frame.payload.tagged)
        return Frame(
            frame.kind, frame.call, frame.channel, payload, frame.head, frame.remaining, tuple(places)
        )


class _Waiting(NamedTuple):
    """A frame that stands in line: still to be copied, or behind such a one of its call."""

    call: int
    work: Copying | list[Buffer]
    size: int


class Lender:
    """Sends frames with large buffers through shared memory, in order with others of their call.

    Args:
        pool: where segments come from.
        put: writes the pieces of a frame to the socket.
    """

    def __init__(
        self, pool: SegmentPool, loop: asyncio.AbstractEventLoop, put: Callable[[list[Buffer]], None]
    ) -> None:
        self.backlog = 0
        """Bytes that stand in line."""
        self._pool = pool
        self._loop = loop
        self._put = put
        self._line: deque[_Waiting] = deque()
        self._calls: Counter[int] = Counter()
        self._announced: dict[int, Segment] = {}
        self._lent: dict[int, Segment] = {}
        self._timer: asyncio.TimerHandle | None = None
        pool.attach()

    def take(self, frame: Frame) -> bool:
        """Send a frame, if it has large buffers or must wait for one that has.

        Raises:
            SerializationError: it is too large.
        """
        copying = self._lease(frame) if frame.payload.buffers else None
        if frame.call in self._calls:
            self._stand(frame.call, copying or encode(frame))
        elif copying is None:
            return False
        elif not self._advance(copying, _SLICE_SECONDS):
            self._stand(frame.call, copying)
        return True

    def _lease(self, frame: Frame) -> Copying | None:
        spans: dict[int, tuple[int, memoryview]] = {}
        end = 0
        for index, buffer in enumerate(frame.payload.buffers):
            data = memoryview(flat(buffer))
            if len(data) >= _LARGE:
                spans[index] = (end, data)
                end += len(data) + -len(data) % _ALIGNMENT
        if end < _LEAST or end + len(frame.payload.body) > _MOST:
            return None
        segment = self._pool.lease(end)
        return None if segment is None else Copying(frame, segment, spans)

    def _stand(self, call: int, work: Copying | list[Buffer]) -> None:
        if not self._line:
            self._loop.call_soon(self._step)
        size = work.size if isinstance(work, Copying) else sum(map(len, work))
        self._line.append(_Waiting(call, work, size))
        self._calls[call] += 1
        self.backlog += size

    def _step(self) -> None:
        self._move(_SLICE_SECONDS)
        if self._line:
            self._loop.call_soon(self._step)

    def _move(self, seconds: float) -> None:
        """Copy and send for so long."""
        end = time.perf_counter() + seconds
        while self._line and (left := end - time.perf_counter()) > 0:
            call, work, size = self._line[0]
            if not isinstance(work, Copying):
                self._put(work)
            elif not self._advance(work, left):
                break
            self._line.popleft()
            self.backlog -= size
            self._calls[call] -= 1
            if not self._calls[call]:
                del self._calls[call]

    def _advance(self, copying: Copying, seconds: float) -> bool:
        """Copy on; whether the frame is sent. It goes as it is if there is no memory for it."""
        try:
            if not copying.advance(seconds):
                return False
        except OSError as exc:
            logger.debug("%d bytes go through a socket: %s", copying.size, exc)
            self._pool.drop(copying.segment)
            self._put(encode(copying.frame))
            return True
        segment = copying.segment
        if segment.number not in self._announced:
            self._announce(segment)
        self._lent[segment.number] = segment
        self._put(encode(copying.placed()))
        return True

    def _announce(self, segment: Segment) -> None:
        head = {"id": segment.number, "address": segment.address, "size": segment.size}
        self._put(encode(Frame(Kind.SEGMENT, head=to_json(head))))
        self._announced[segment.number] = segment
        if self._timer is None:
            self._timer = self._loop.call_later(self._pool.idle_seconds / 2, self._tidy)

    def _tidy(self) -> None:
        """Give idle memory back to the system, and tell the peer what is gone."""
        more = self._pool.trim()
        for number in [number for number, segment in self._announced.items() if segment.dropped]:
            del self._announced[number]
            self._put(encode(Frame(Kind.WITHDRAW, number)))
        self._timer = None
        if more or self._announced:
            delay = _SOON if more else max(_SOON, self._pool.idle_seconds / 2)
            self._timer = self._loop.call_later(delay, self._tidy)

    def released(self, number: int) -> None:
        """The peer reads a segment no more.

        Raises:
            ProtocolError: it does not have that segment.
        """
        segment = self._lent.pop(number, None)
        if segment is None:
            raise ProtocolError(f"segment {number} was released, which was not lent")
        self._pool.give_back(segment)

    def flush(self) -> None:
        """Copy and send all that stands in line."""
        self._move(math.inf)

    def close(self, *, peer_left: bool) -> None:
        """Take segments back. What the peer has may be read for ever: nobody writes it again.

        Args:
            peer_left: it opens no segment any more. Otherwise frames that it has not read yet
                may refer to one, which stays open for a while.
        """
        for waiting in self._line:
            if isinstance(waiting.work, Copying):
                self._pool.give_back(waiting.work.segment)
        self._line.clear()
        self._calls.clear()
        self.backlog = 0
        for segment in self._lent.values():
            if peer_left:
                self._pool.drop(segment)
            else:
                self._pool.retire(segment)
        if self._lent and not self._loop.is_closed():
            self._loop.call_later(self._pool.idle_seconds + _SOON, self._pool.trim)
        self._lent.clear()
        self._announced.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._pool.detach()

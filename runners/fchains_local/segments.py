"""The pool of shared memory that large buffers leave a process in.

A fresh segment costs more than to send its bytes through a socket, so segments are used again:
one is leased for one frame, and comes back when its reader has let go of it. What lies idle for
some seconds is given back to the system. Nothing fails for want of memory: then there is no
lease, and the frame goes through the socket.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import os
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from fchains_local.segment import Segment

logger = logging.getLogger(__name__)

LARGEST = 1 << 30
_SMALLEST = 256 * 1024
_MOST_BYTES = 2 << 30
_MOST_SEGMENTS = 256  # each has a descriptor
_FREED_AT_ONCE = 8 << 20  # takes about a millisecond
_IDLE_SECONDS = 10.0

Create = Callable[[int, int, Path | None], Segment]


class Offer(TypedDict):
    """A small segment that shows the other side of a connection whether it can map ours."""

    address: str
    token: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class SegmentPool:
    """Shared memory of this process, for all of its links; every method may be called by any thread.

    Args:
        limit: bytes that all segments may have; by default a quarter of the memory, 2 GiB at most.
        directory: where segments lie as files; None is anonymous memory, which only Linux has.
        idle_seconds: an unused segment is given back after so long.
        create: makes a segment of a number, a size in bytes and the directory.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        directory: Path | None = None,
        idle_seconds: float = _IDLE_SECONDS,
        create: Create = Segment,
    ) -> None:
        self.idle_seconds = idle_seconds
        self._limit = _default_limit() if limit is None else limit
        self._directory = directory
        self._create = create
        self._numbers = itertools.count()
        self._begin()
        _POOLS.add(self)
        _watch_forks()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[int, Segment] = {}
        self._idle: dict[int, list[Segment]] = {}
        """By size; the last one used is the first one leased, as caches like it."""
        self._emptied: list[Segment] = []
        self._retired: deque[Segment] = deque()
        self._users = 0
        self._closed = False
        self._size = 0
        self._probe: Segment | None = None
        self._offer: Offer | None = None

    @property
    def size(self) -> int:
        """Bytes of all segments, whether they take memory or not."""
        return self._size

    @property
    def leased(self) -> int:
        """Segments that a reader has."""
        with self._lock:
            idle = sum(map(len, self._idle.values()))
            return len(self._all) - idle - len(self._emptied) - len(self._retired)

    def offer(self) -> Offer | None:
        """What lets another process find out whether it can map segments of this one."""
        with self._lock:
            if self._offer is None and not self._closed:
                self._offer = self._make_offer()
            return self._offer

    def _make_offer(self) -> Offer | None:
        token = secrets.token_hex(16)
        try:
            self._probe = self._create(next(self._numbers), len(token), self._directory)
            self._probe.write(0, token.encode())
        except (OSError, ValueError, MemoryError) as exc:
            logger.debug("no shared memory here: %s", exc)
            return None
        return Offer(address=self._probe.address, token=token)

    def lease(self, size: int) -> Segment | None:
        """A segment of that many bytes or more, for one frame; None if there is none to have."""
        size = max(_SMALLEST, 1 << (size - 1).bit_length())
        if size > LARGEST:
            return None
        with self._lock:
            idle = self._idle.get(size)
            if idle:
                return idle.pop()
            self._make_room(size)
            if not self._has_room(size):
                return None
            try:
                segment = self._create(next(self._numbers), size, self._directory)
            except (OSError, ValueError, MemoryError) as exc:
                logger.debug("no segment of %d bytes: %s", size, exc)
                return None
            self._all[segment.number] = segment
            self._size += size
            return segment

    def give_back(self, segment: Segment) -> None:
        """Nobody reads it any more: it may be leased again."""
        with self._lock:
            if self._closed:
                self._drop(segment)
            elif self._all.get(segment.number) is segment:
                segment.idle_since = time.monotonic()
                self._idle.setdefault(segment.size, []).append(segment)

    def drop(self, segment: Segment) -> None:
        """It is of no use any more, or somebody may read it for ever: it is never leased again."""
        with self._lock:
            self._drop(segment)

    def retire(self, segment: Segment) -> None:
        """A reader that has not opened it yet may still do so, for a while; then it is dropped."""
        with self._lock:
            if self._all.get(segment.number) is segment:
                segment.idle_since = time.monotonic()
                self._retired.append(segment)

    def trim(self) -> bool:
        """Give back some of what has been idle for long; whether there is more to do at once."""
        with self._lock:
            before = time.monotonic() - self.idle_seconds
            self._drop_retired(before)
            for idle in self._idle.values():
                while idle and idle[0].idle_since <= before:
                    self._emptied.append(idle.pop(0))
            if self._emptied and self._emptied[-1].shrink(_FREED_AT_ONCE):
                self._drop(self._emptied.pop())
            return bool(self._emptied)

    def attach(self) -> None:
        """A link begins to use the pool."""
        with self._lock:
            self._users += 1

    def detach(self) -> None:
        """A link is done with it; with the last one, what is idle is given back."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                self._drop_idle()

    def close(self) -> None:
        """Give back what is idle; what readers still have goes when they return it or end."""
        with self._lock:
            self._closed = True
            self._drop_idle()
            self._drop_retired(math.inf)
            if self._probe is not None:
                self._probe.drop()
            self._probe = self._offer = None

    def _drop_idle(self) -> None:
        for segment in [*itertools.chain.from_iterable(self._idle.values()), *self._emptied]:
            self._drop(segment)
        self._idle.clear()
        self._emptied.clear()

    def _drop_retired(self, before: float) -> None:
        while self._retired and self._retired[0].idle_since <= before:
            self._drop(self._retired.popleft())

    def _drop(self, segment: Segment) -> None:
        if self._all.get(segment.number) is segment:
            del self._all[segment.number]
            self._size -= segment.size
            segment.drop()

    def _has_room(self, size: int) -> bool:
        return not self._closed and self._size + size <= self._limit and len(self._all) < _MOST_SEGMENTS

    def _make_room(self, size: int) -> None:
        """Drop idle segments of other sizes, the longest idle one first."""
        self._drop_retired(time.monotonic() - self.idle_seconds)
        while not self._has_room(size):
            kinds = [idle for idle in self._idle.values() if idle]
            if not kinds:
                return
            self._drop(min(kinds, key=lambda idle: idle[0].idle_since).pop(0))

    def forget(self) -> None:
        """Begin anew in a forked child, which inherited what belongs to its parent."""
        inherited = [*self._all.values()]
        if self._probe is not None:
            inherited.append(self._probe)
        for segment in inherited:
            segment.forget()
        self._begin()


def _default_limit() -> int:
    try:
        return min(_MOST_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)
    except ValueError:
        return _MOST_BYTES


_POOLS: weakref.WeakSet[SegmentPool] = weakref.WeakSet()


@functools.cache
def _watch_forks() -> None:
    def forget() -> None:
        for pool in [*_POOLS]:
            pool.forget()

    os.register_at_fork(after_in_child=forget)

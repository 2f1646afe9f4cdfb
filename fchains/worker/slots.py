"""Execution slots of one chainlet in one replica, lent while an invocation waits for a child.

All of it runs on the replica's loop, except `Lease.lend` and its two returns, which post there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

Start = Callable[[], None]


class Slots:
    """So many executions at once; the others wait in order, those that take a slot back go first."""

    def __init__(self, total: int, on_free: Callable[[], None] | None = None) -> None:
        self.total = total
        self.used = 0
        self._on_free = on_free
        self._returning: deque[Start] = deque()
        self._waiting: dict[object, Start] = {}

    @property
    def free(self) -> bool:
        """Whether an execution could start now."""
        return self.used < self.total

    @property
    def waiting(self) -> int:
        """Executions that wait for a slot."""
        return len(self._waiting)

    def acquire(self, key: object, start: Start) -> None:
        """Call `start` with a slot taken: at once, or when one is free."""
        self._waiting[key] = start
        self._hand_out()

    def withdraw(self, key: object) -> bool:
        """Wait no longer; False when it has started already."""
        return self._waiting.pop(key, None) is not None

    def take(self) -> None:
        """Take a slot without waiting, one too many if need be."""
        self.used += 1

    def release(self) -> None:
        """Give a slot back."""
        self.used -= 1
        self._hand_out()

    def reacquire(self, resume: Start) -> None:
        """Call `resume` with a slot taken, before anything that has not started yet."""
        self._returning.append(resume)
        self._hand_out()

    def _hand_out(self) -> None:
        while self.free and (self._returning or self._waiting):
            self.used += 1
            if self._returning:
                self._returning.popleft()()
            else:
                self._waiting.pop(next(iter(self._waiting)))()
        if self.free and self._on_free is not None:
            self._on_free()


class Lease:
    """The slot of one execution, as its code lends it and takes it back; implements `Slot`.

    An execution may wait for several children at once: the slot is lent while any wait is on, so
    that the children can run in it.
    """

    def __init__(self, slots: Slots, loop: asyncio.AbstractEventLoop) -> None:
        self._slots = slots
        self._loop = loop
        self._thread = threading.get_ident()
        self._waits = 0
        self._over = False

    def lend(self) -> None:
        """A wait begins; from any thread."""
        self._post(self._lend)

    def take_back(self, resume: Callable[[], None]) -> None:
        """A wait ended; `resume` is called on the replica's loop once the slot is back."""
        if not self._post(lambda: self._take_back(resume)):
            resume()

    def take_back_now(self) -> None:
        """A wait was given up; the code runs on already."""
        self._post(self._take_back_now)

    def end(self) -> None:
        """The execution is over: the slot goes to the next one."""
        if not self._over:
            self._over = True
            if not self._waits:
                self._slots.release()

    def _lend(self) -> None:
        self._waits += 1
        if self._waits == 1 and not self._over:
            self._slots.release()

    def _take_back(self, resume: Callable[[], None]) -> None:
        self._waits -= 1
        if self._waits or self._over:
            resume()
            return
        # Between now and the slot's return the execution counts as waiting: `end` must not release.
        self._waits = 1
        self._slots.reacquire(lambda: self._back(resume))

    def _back(self, resume: Callable[[], None]) -> None:
        self._waits -= 1
        if self._over or self._waits:
            self._slots.release()
        resume()

    def _take_back_now(self) -> None:
        self._waits -= 1
        if not self._waits and not self._over:
            self._slots.take()

    def _post(self, function: Callable[[], None]) -> bool:
        """False when the replica is gone, and its slots with it."""
        if threading.get_ident() == self._thread:
            function()
            return True
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True

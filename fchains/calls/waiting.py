"""Waiting for a child: the invocation that waits lends its execution slot until the child ends."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fchains.calls.context import ACTIVE, Slot


class Waiting:
    """One wait of an invocation; ends once, whichever way comes first."""

    __slots__ = ("_ended", "_lock", "_slot")

    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot
        self._ended = slot is None
        self._lock = threading.RLock()  # a finalizer that aborts it may run in the thread that holds it

    @classmethod
    def begin(cls) -> Waiting:
        """Lend the slot of the running invocation; outside one there is nothing to lend."""
        active = ACTIVE.get()
        slot = active.slot if active is not None else None
        if slot is not None:
            slot.lend()
        return cls(slot)

    def end(self, resume: Callable[[], None]) -> None:
        """What was waited for is there: call `resume` once the slot is back."""
        slot = self._first()
        if slot is None:
            resume()
        else:
            slot.take_back(resume)

    def abort(self) -> None:
        """The wait was given up, and the code runs on already."""
        slot = self._first()
        if slot is not None:
            slot.take_back_now()

    def _first(self) -> Slot | None:
        """The slot, for the first who asks: the end of a wait and giving it up may come at once."""
        with self._lock:
            ended, self._ended = self._ended, True
        return None if ended else self._slot

"""Waiting for a child: the invocation that waits lends its execution slot until the child ends."""

from __future__ import annotations

from collections.abc import Callable

from fchains.calls.context import ACTIVE, Slot


class Waiting:
    """One wait of an invocation; ends once, whichever way comes first."""

    __slots__ = ("_ended", "_slot")

    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot
        self._ended = False

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
        if self._ended or self._slot is None:
            resume()
        else:
            self._ended = True
            self._slot.take_back(resume)

    def abort(self) -> None:
        """The wait was given up, and the code runs on already."""
        if not self._ended and self._slot is not None:
            self._slot.take_back_now()
        self._ended = True

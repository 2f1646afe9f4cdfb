"""A place for one outcome: set once from any thread, waited for from threads and event loops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from fchains.calls.invocation import Failed, Outcome

logger = logging.getLogger(__name__)


class Cell:
    """Holds the outcome of a call once there is one, and wakes those who wait for it."""

    __slots__ = ("_abandoned", "_lock", "_waiters", "outcome", "retrieved")

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.retrieved = False
        self._abandoned: Callable[[Failed], None] | None = None
        self._lock = threading.RLock()  # a finalizer that abandons it may run in the thread that holds it
        self._waiters: list[Callable[[], None]] = []

    def settle(self, outcome: Outcome) -> bool:
        """Set the outcome; False when there was one already, which then stays."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            waiters, self._waiters = self._waiters, []
            abandoned = self._abandoned
        for wake in waiters:
            try:
                wake()
            except Exception:  # the others wait all the same
                logger.exception("one who waited for a call could not be told of its end")
        if abandoned is not None and isinstance(outcome, Failed):
            abandoned(outcome)
        return True

    def abandon(self, report: Callable[[Failed], None]) -> None:
        """The last holder of the call has let go of it: a failure, now or later, is reported."""
        with self._lock:
            outcome = self.outcome
            if outcome is None:
                self._abandoned = report
        if isinstance(outcome, Failed):
            report(outcome)

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Call `wake` once there is an outcome, perhaps at once, perhaps from another thread."""
        with self._lock:
            if self.outcome is None:
                self._waiters.append(wake)
                return
        wake()

    def forget(self, wake: Callable[[], None]) -> None:
        """Take a waiter back."""
        with self._lock:
            if wake in self._waiters:
                self._waiters.remove(wake)

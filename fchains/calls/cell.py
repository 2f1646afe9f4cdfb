"""A place for one outcome: set once from any thread, waited for from threads and event loops."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fchains.calls.invocation import Failed, Outcome


class Cell:
    """Holds the outcome of a call once there is one, and wakes those who wait for it."""

    __slots__ = ("_lock", "_waiters", "abandoned", "outcome", "retrieved")

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.retrieved = False
        self.abandoned: Callable[[Failed], None] | None = None
        """Told of a failure that comes after the last holder of the call has let go of it."""
        self._lock = threading.Lock()
        self._waiters: list[Callable[[], None]] = []

    def settle(self, outcome: Outcome) -> bool:
        """Set the outcome; False when there was one already, which then stays."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()
        if self.abandoned is not None and isinstance(outcome, Failed):
            self.abandoned(outcome)
        return True

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

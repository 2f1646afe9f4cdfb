"""Where a stream's items come from: what a reader sees of it, and a buffer that a channel fills."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Generic, Literal, Protocol, TypeVar

from fchains.calls.call import Opener
from fchains.calls.invocation import Failed, Outcome
from fchains.errors import WorkerLost
from fchains.wire.payload import Payload
from fchains.wire.windows import ReceiveWindow

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Signal(Enum):
    """Why there is no item."""

    PENDING = "pending"
    END = "end"


PENDING: Final = Signal.PENDING
"""Nothing is there yet."""
END: Final = Signal.END
"""Nothing comes any more."""


class Source(Protocol[T_co]):
    """What a stream reads from; its methods may be called from any one thread at a time."""

    def take(self) -> T_co | Literal[Signal.PENDING, Signal.END]:
        """The next item, or why there is none; raises what the stream failed with, once."""
        ...

    def when_ready(self, wake: Callable[[], None]) -> None:
        """Call `wake` once when `take` is worth another try, perhaps at once, from any thread."""
        ...

    def cancel(self) -> None:
        """Nobody reads on: stop the work and free what it holds."""
        ...


class Feeder(Protocol):
    """What fills a buffer, as far as its reader reaches back."""

    def cancel(self) -> None: ...

    def consumed(self, items: int, size: int) -> None: ...


class StreamBuffer(Generic[T]):
    """Items of a remote generator between the channel that brings them and their reader.

    The window bounds what it holds: the sender pauses until the reader has taken some.
    """

    def __init__(self, opener: Opener, subject: str) -> None:
        self._opener = opener
        self._subject = subject
        self._lock = threading.Lock()
        self._items: deque[Payload] = deque()
        self._outcome: Outcome | None = None
        self._received = 0
        self._finished = False
        self._wake: Callable[[], None] | None = None
        self._window = ReceiveWindow()
        self.feeder: Feeder | None = None

    @property
    def empty(self) -> bool:
        """Whether the reader has taken all that came; if not, it is the reader who pauses."""
        return not self._items

    @property
    def taken(self) -> int:
        """Items that the reader has taken."""
        return self._received - len(self._items)

    def put(self, payload: Payload) -> None:
        """An item came."""
        with self._lock:
            self._items.append(payload)
            self._received += 1
            self._window.received(payload.size)
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def settle(self, outcome: Outcome) -> bool:
        """The stream ended; False when it had ended already."""
        with self._lock:
            if self._outcome is not None:
                return False
            self._outcome = outcome
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()
        return True

    def take(self) -> T | Literal[Signal.PENDING, Signal.END]:
        with self._lock:
            if self._items:
                payload = self._items.popleft()
                credit = self._window.consumed(payload.size)
            elif self._outcome is None:
                return PENDING
            else:
                return self._end(self._outcome)
        if credit is not None and self.feeder is not None:
            self.feeder.consumed(credit.items, credit.bytes)
        value: T = self._opener.value(payload)
        return value

    def _end(self, outcome: Outcome) -> Literal[Signal.END]:
        if self._finished:
            return END
        self._finished = True
        if isinstance(outcome, Failed):
            raise self._opener.error(outcome)
        if outcome.items != self._received:
            raise WorkerLost(
                f"{self._subject}: the stream ended after {self._received} of {outcome.items} items"
            )
        return END

    def when_ready(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if not self._items and self._outcome is None:
                self._wake = wake
                return
        wake()

    def cancel(self) -> None:
        with self._lock:
            self._items.clear()
            self._finished = True
        if self.feeder is not None:
            self.feeder.cancel()

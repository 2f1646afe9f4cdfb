"""What crosses a channel: an invocation one way, its outcome the other."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from fchains.calls.trace import Trace
from fchains.wire.failures import Failure
from fchains.wire.payload import Payload


class FailureKind(enum.Enum):
    """Who failed: decides what is retried, and how a failure is counted."""

    USER = "user"
    """The function raised."""
    INVALID = "invalid"
    """Its arguments, or its result, do not fit their annotations."""
    TIMEOUT = "timeout"
    """This call passed its own timeout; a child's timeout that the function let through is USER."""
    CANCELLED = "cancelled"
    OVERLOADED = "overloaded"
    LOST = "lost"
    SETUP = "setup"
    NOT_DEPLOYED = "not deployed"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One attempt of one call, as it is sent to a replica.

    `timeout` bounds its execution and `remaining` is what its caller's deadline leaves when it is
    sent, both in seconds; None is no limit. `path` names the chainlets from the root of the chain
    down to this one. `uploads` names the parameters that follow as streams.
    """

    id: str
    chain_id: str
    chainlet: str
    arguments: Payload
    attempt: int = 1
    timeout: float | None = None
    remaining: float | None = None
    trace: Trace = field(default_factory=Trace.start)
    path: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    uploads: tuple[str, ...] = ()
    key: str | None = None

    @property
    def budget(self) -> float | None:
        """Seconds that the execution may take: the smaller of both limits."""
        limits = [limit for limit in (self.timeout, self.remaining) if limit is not None]
        return min(limits) if limits else None


@dataclass(frozen=True, slots=True)
class Success:
    """The result of a call; of a stream, its end after `items` items."""

    payload: Payload
    items: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A call's failure, and who failed."""

    kind: FailureKind
    failure: Failure


Outcome = Success | Failed

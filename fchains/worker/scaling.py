"""How many replicas there should be, when a failing one is tried again, and which one takes a call.

All of it is pure: the time is an argument, the state a frozen value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

# A load this little above a whole number of replicas asks for no further one: averaged loads jitter,
# and a plain ceil turns 6.04 calls at 2 per replica into 4 replicas.
HYSTERESIS = 0.05


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most replicas of a chainlet."""

    min: int
    max: int

    def __post_init__(self) -> None:
        if not (0 <= self.min <= self.max and self.max >= 1):
            raise ValueError(f"replicas need 0 <= min <= max and max >= 1, not ({self.min!r}, {self.max!r})")


@dataclass(frozen=True, slots=True)
class Demand:
    """Calls that run and calls that wait; averages are welcome."""

    running: float
    queued: float


@dataclass(frozen=True, slots=True)
class ScalingState:
    """Since when the need has been at most so many replicas: (need, since), the highest need first.

    Needs fall strictly and times rise strictly from entry to entry, and the last entry is the latest need.
    """

    lower: tuple[tuple[int, float], ...] = ()


def decide(
    state: ScalingState,
    demand: Demand,
    replicas: int,
    now: float,
    *,
    bounds: Bounds,
    per_replica: int,
    scaledown_window: float,
) -> tuple[int, ScalingState]:
    """How many replicas there should be now: more at once, fewer only after the need was lower for long.

    Args:
        replicas: how many there are, those that are starting included.
        now: seconds on any clock; one that goes back only restarts the window.
        per_replica: calls that one replica runs at a time.
        scaledown_window: seconds for which a lower need must last without a break.
    """
    need = _need(demand, bounds, per_replica)
    if need >= replicas:
        return need, ScalingState()
    if replicas > bounds.max:
        return bounds.max, ScalingState()
    lower = _with_need(state.lower, need, now)
    due = [level for level, since in lower if level < replicas and now - since >= scaledown_window]
    target = min(due, default=replicas)
    return target, ScalingState(tuple(entry for entry in lower if entry[0] < target))


def _need(demand: Demand, bounds: Bounds, per_replica: int) -> int:
    load = demand.running + demand.queued
    wanted = max(1, math.ceil(load / per_replica - HYSTERESIS)) if load > 0 else 0
    return min(max(wanted, bounds.min), bounds.max)


def _with_need(lower: tuple[tuple[int, float], ...], need: int, now: float) -> tuple[tuple[int, float], ...]:
    kept = [(level, min(since, now)) for level, since in lower]
    since = now
    while kept and kept[-1][0] <= need:  # no longer that low, but never above `need` since then
        since = kept.pop()[1]
    return (*kept, (need, since))


@dataclass(frozen=True, slots=True)
class Restarts:
    """When a replica whose setup keeps failing may be started again; a fresh value after a code change.

    Args:
        limit: consecutive failures after which nothing is started any more.
        backoff: seconds before the first restart, doubled before each further one.
    """

    limit: int = 3
    backoff: float = 0.5
    failures: int = 0
    failed_at: float = 0.0

    @property
    def stopped(self) -> bool:
        """Whether only a change of the code can help."""
        return self.failures >= self.limit

    def failed(self, now: float) -> Restarts:
        """After one more failure in a row."""
        return replace(self, failures=self.failures + 1, failed_at=now)

    def reset(self) -> Restarts:
        """After a setup that succeeded, or a change of the code."""
        return replace(self, failures=0)

    def delay(self, now: float) -> float | None:
        """Seconds until the next start is allowed; None when it is not."""
        if self.stopped:
            return None
        pause = self.backoff * 2 ** (self.failures - 1) if self.failures else 0.0
        return max(0.0, pause - max(0.0, now - self.failed_at))


def pick(loads: Sequence[int | None], start: int = 0) -> int | None:
    """The replica with the fewest calls in flight; None when all of them refuse.

    Args:
        loads: calls in flight per replica, None for one that refuses.
        start: where to begin among equals; the index after the last choice gives round robin.
    """
    best: int | None = None
    fewest = math.inf
    for step in range(len(loads)):
        index = (start + step) % len(loads)
        load = loads[index]
        if load is not None and load < fewest:
            best, fewest = index, load
    return best


def queue_share(max_queue: int, replicas: int) -> int:
    """How many calls one of so many replicas may queue."""
    return math.ceil(max_queue / max(1, replicas))

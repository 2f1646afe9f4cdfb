"""Which replicas of a group there are, and which are to be started and retired."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from fchains.worker.scaling import Bounds, Demand, Restarts, ScalingState, decide


class Phase(Enum):
    """Where a replica stands; one whose process has ended stands nowhere."""

    STARTING = "starting"
    READY = "ready"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Start:
    """A replica to be started, after so many seconds."""

    name: str
    delay: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Replicas to be started and to be retired now."""

    starts: tuple[Start, ...] = ()
    retire: tuple[str, ...] = ()


class Fleet:
    """The replicas of one group as their supervisor sees them.

    Args:
        label: what their names begin with.
        bounds: the fewest and the most of them.
        scaledown_window: seconds for which fewer must have been enough before any is retired.
        restarts: when one is started again whose start failed.
    """

    def __init__(
        self, label: str, bounds: Bounds, scaledown_window: float, restarts: Restarts | None = None
    ) -> None:
        self.bounds = bounds
        self._label = label
        self._window = scaledown_window
        self._restarts = restarts or Restarts()
        self._phases: dict[str, Phase] = {}
        self._numbers = itertools.count()
        self._scaling = ScalingState()

    @property
    def phases(self) -> Mapping[str, Phase]:
        """Where each replica stands, the oldest first."""
        return self._phases

    @property
    def alive(self) -> int:
        """Replicas that are ready or starting."""
        return sum(phase is not Phase.RETIRED for phase in self._phases.values())

    @property
    def stopped(self) -> bool:
        """Whether starts failed so often in a row that only a change of the code can help."""
        return self._restarts.stopped

    def ended(self) -> bool:
        """Whether the last process has ended."""
        return not self._phases

    def scale(self, demand: Demand, idle: Collection[str], now: float) -> Plan:
        """Start and retire replicas as the demand asks; the phases say so at once.

        Args:
            demand: calls that run and calls that wait, in units of what one replica executes at once.
            idle: replicas without any call; no other is retired.
            now: seconds on any clock.
        """
        alive = self.alive
        target, _ = self._decide(demand, now, self._window)
        # An endless window forgets nothing: those that are busy now go once they are idle, without another.
        _, self._scaling = self._decide(demand, now, math.inf)
        return Plan(self._start(target - alive, now), self._retire_idle(idle, alive - target))

    def ready(self, name: str) -> None:
        """A replica's setup succeeded: failures before it are forgotten."""
        if self._phases.get(name) is Phase.STARTING:
            self._phases[name] = Phase.READY
            self._restarts = self._restarts.reset()

    def failed(self, name: str, now: float) -> None:
        """A replica could not start: that counts, and it is gone."""
        if self._phases.pop(name, None) is Phase.STARTING:
            self._restarts = self._restarts.failed(now)

    def retire(self, name: str) -> bool:
        """Give up a replica that is stuck or unwell; False when it is not there or retired already."""
        if self._phases.get(name, Phase.RETIRED) is Phase.RETIRED:
            return False
        self._phases[name] = Phase.RETIRED
        return True

    def gone(self, name: str) -> None:
        """A replica's process has ended."""
        self._phases.pop(name, None)

    def forgive(self) -> None:
        """Forget failed starts: the code has changed."""
        self._restarts = self._restarts.reset()

    def _decide(self, demand: Demand, now: float, window: float) -> tuple[int, ScalingState]:
        return decide(
            self._scaling,
            demand,
            self.alive,
            now,
            bounds=self.bounds,
            per_replica=1,
            scaledown_window=window,
        )

    def _start(self, count: int, now: float) -> tuple[Start, ...]:
        delay = self._restarts.delay(now)
        if delay is None:
            return ()
        starts = tuple(Start(f"{self._label}-{next(self._numbers)}", delay) for _ in range(count))
        self._phases.update((start.name, Phase.STARTING) for start in starts)
        return starts

    def _retire_idle(self, idle: Collection[str], count: int) -> tuple[str, ...]:
        ready = [name for name, phase in self._phases.items() if phase is Phase.READY and name in idle]
        retired = tuple(ready[: max(0, count)])
        self._phases.update(dict.fromkeys(retired, Phase.RETIRED))
        return retired

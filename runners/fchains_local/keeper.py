"""Keeps as many replicas of one group as its demand asks for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from fchains.errors import SetupError
from fchains.wire.failures import failure_of
from fchains.worker.fleet import Fleet, Phase
from fchains.worker.scaling import Bounds, Demand
from fchains_local.control import Coming, Gone, Message, Opened, Retired, StartFailed, failure_text
from fchains_local.process import ReplicaProcess, Stage
from fchains_local.spec import GroupSpec

logger = logging.getLogger(__name__)

MOST_TEMPLATES_LOST = 20
"""Starts in a row that may end with their template before that counts as a failure of theirs."""

SETTLE_SECONDS = 0.02
"""How long clients get to hand calls to a new replica, and to say so.

Until then the calls count twice, as running and as waiting, and would start another replica.
"""


class Ground(Protocol):
    """What the groups of a supervisor share."""

    @property
    def closing(self) -> bool: ...

    def load(self, row: int, column: int) -> int: ...

    def tell_all(self, message: Message) -> None: ...

    def waiting(self, label: str) -> float:
        """Replicas' worth of calls that clients hold."""
        ...

    def prepare(self, keeper: GroupKeeper, name: str) -> ReplicaProcess:
        """Make room for the process of a replica."""
        ...

    def launch(self, process: ReplicaProcess) -> Coroutine[Any, Any, None]:
        """Start the process of a replica.

        Raises:
            Exception: it could not be started.
        """
        ...

    def clear(self, process: ReplicaProcess) -> None:
        """Give back what `prepare` took."""
        ...

    def await_release(self, process: ReplicaProcess) -> None:
        """Wait until no client has anything unfinished there; then `released` is called."""
        ...

    def notice(self, level: int, text: str) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


class GroupKeeper:
    """Starts, retires and replaces the replicas of a group."""

    def __init__(self, spec: GroupSpec, ground: Ground) -> None:
        self.spec = spec
        self.fleet = Fleet(spec.label, Bounds(spec.smallest, spec.largest), spec.scaledown_window)
        self.processes: dict[str, ReplicaProcess] = {}
        self.stopped: StartFailed | None = None
        """Why no further replica is started, if so."""
        self._templates_lost = 0
        self._ground = ground
        self._loop = asyncio.get_running_loop()
        self._settled_at = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether time alone changes nothing here."""
        return self.spec.hosted or (
            self.fleet.alive <= self.spec.smallest and not self._ground.waiting(self.spec.label)
        )

    def look(self) -> None:
        """Start or retire replicas as the demand asks."""
        if self.spec.hosted or self._ground.closing or self._loop.time() < self._settled_at:
            return
        plan = self.fleet.scale(self._demand(), self._idle(), time.monotonic())
        for start in plan.starts:
            self._ground.tell_all(Coming(self.spec.label, start.name))
            self._loop.call_later(start.delay, self._start, start.name)
        for name in plan.retire:
            self._retire(self.processes[name])

    def is_ready(self, process: ReplicaProcess) -> None:
        """A replica's setup succeeded."""
        self._templates_lost = 0
        self.fleet.ready(process.name)
        self.stopped = None
        self._ground.tell_all(self.opened(process))
        self._settled_at = self._loop.time() + SETTLE_SECONDS
        self._loop.call_at(self._settled_at, self.look)

    def opened(self, process: ReplicaProcess) -> Opened:
        """What clients are told of a replica."""
        return Opened(self.spec.label, process.name, str(process.address), process.row, process.pid)

    def start_failed(self, name: str, failure: str) -> None:
        """A replica did not come up."""
        self.fleet.failed(name, time.monotonic())
        message = StartFailed(self.spec.label, name, failure, self.fleet.stopped)
        self.stopped = message if message.stopped else None
        self._ground.tell_all(message)
        self.look()

    def replace(self, process: ReplicaProcess, why: str, *, stuck: bool) -> None:
        """Send nothing more to a replica, and start its successor."""
        if process.stage is not Stage.READY or not self.fleet.retire(process.name):
            return
        self._ground.notice(logging.ERROR, f"{why}; the replica is replaced")
        process.stuck = stuck
        process.fate = f"was killed: {why}" if stuck else ""
        self._retire(process)
        self.look()

    def released(self, process: ReplicaProcess) -> None:
        """Nothing is unfinished in a retired replica."""
        if process.stuck:
            process.kill(process.fate)
        else:
            process.shut_down(cancel=False)

    def ended(self, process: ReplicaProcess, why: str) -> None:
        """The process of a replica has ended."""
        known = self.fleet.phases.get(process.name)
        self.processes.pop(process.name, None)
        if known is Phase.STARTING and not self._lost_template(process):
            error = SetupError(f"replica {process.name} {why} while it was starting")
            self.start_failed(process.name, failure_text(failure_of(error)))
            return
        self._lost(process.name, why)

    def _lost_template(self, process: ReplicaProcess, error: Exception | None = None) -> bool:
        """Whether it did not come up because its template has ended: the next one comes from another.

        That is no fault of its own, unless it happens again and again.
        """
        if not process.bereft and not isinstance(error, ConnectionError):
            return False
        self._templates_lost += 1
        return self._templates_lost <= MOST_TEMPLATES_LOST

    def _lost(self, name: str, why: str) -> None:
        self.fleet.gone(name)
        self._ground.tell_all(Gone(name, why))
        self.look()

    def _retire(self, process: ReplicaProcess) -> None:
        process.retired = True
        self._ground.tell_all(Retired(process.name, process.stuck))
        self._ground.await_release(process)

    def _start(self, name: str) -> None:
        if not self._ground.closing:
            self._ground.spawn(self._bring_up(name))

    async def _bring_up(self, name: str) -> None:
        process: ReplicaProcess | None = None
        try:
            process = self.processes[name] = self._ground.prepare(self, name)
            await self._ground.launch(process)
        except Exception as error:
            if process is not None:
                process.kill("was given up: it could not be started")
                self.processes.pop(name)
                self._ground.clear(process)
            logger.debug("%s did not start", name, exc_info=True)
            if process is not None and self._lost_template(process, error):
                self._lost(name, "was not started: its template has ended")
                return
            text = f"replica {name} could not be started: {error}"
            wrapped = error if isinstance(error, SetupError) else SetupError(text)
            self.start_failed(name, failure_text(failure_of(wrapped)))

    def _demand(self) -> Demand:
        ready = [self.processes[name] for name in self._in(Phase.READY)]
        running = sum(
            self._ground.load(process.row, column) / executes
            for process in ready
            for column, executes in enumerate(self.spec.executes)
        )
        return Demand(running, self._ground.waiting(self.spec.label))

    def _idle(self) -> list[str]:
        columns = range(len(self.spec.members))
        return [
            name
            for name in self._in(Phase.READY)
            if not any(self._ground.load(self.processes[name].row, column) for column in columns)
        ]

    def _in(self, phase: Phase) -> list[str]:
        return [name for name, each in self.fleet.phases.items() if each is phase]

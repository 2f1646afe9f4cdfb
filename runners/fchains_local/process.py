"""One replica's process, from its start to its end, as the supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from fchains.errors import SetupError
from fchains.wire.failures import failure_of
from fchains.worker.logs import Fragment
from fchains_local.control import ControlLink, Message, Ready, SetupFailed, Shutdown, failure_text
from fchains_local.logpipes import LogReader
from fchains_local.spec import GroupSpec
from fchains_local.templating import TemplateClient

logger = logging.getLogger(__name__)

BACKLOG = 1024
CLOSE_SECONDS = 30.0
"""How long a replica gets for its teardown before it is killed."""


class Stage(enum.Enum):
    """How far a process has come."""

    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"
    ENDED = "ended"


class Watcher(Protocol):
    """Told what happens to a process."""

    def is_ready(self, process: ReplicaProcess) -> None: ...

    def start_failed(self, process: ReplicaProcess, failure: str) -> None: ...

    def said(self, process: ReplicaProcess, message: Message) -> None: ...

    def silent(self, process: ReplicaProcess) -> None:
        """Its control link has closed."""
        ...

    def printed(self, fragments: Sequence[Fragment]) -> None: ...


class ReplicaProcess:
    """A worker process; lives on the supervisor's loop.

    Args:
        name: the replica's name.
        group: what it serves.
        row: its row of the board.
        devices: ids of its GPUs.
        address: where its socket is to be.
    """

    def __init__(
        self,
        name: str,
        group: GroupSpec,
        row: int,
        devices: tuple[str, ...],
        address: Path,
        watcher: Watcher,
    ) -> None:
        self.name = name
        self.group = group
        self.row = row
        self.devices = devices
        self.address = address
        self.stage = Stage.STARTING
        self.pid = 0
        self.link: ControlLink | None = None
        self.stuck = False
        self.awaiting: set[ControlLink] = set()
        """Clients that have not said yet that nothing of theirs is unfinished here; it is retired."""
        self.retired = False
        self.fate = ""
        """Why the supervisor ended it, if it did."""
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._template: TemplateClient | None = None
        self._logs: LogReader | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, template: TemplateClient, request: dict[str, Any]) -> None:
        """Fork it; `is_ready` or `start_failed` follows.

        Raises:
            OSError: the machine has no room for one more process, or descriptors.
        """
        self._template = template
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            listener = theirs.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(self.address))
            listener.listen(BACKLOG)
            control, its_control = socket.socketpair()
            ours.callback(control.close)
            theirs.callback(its_control.close)
            records, its_records = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.callback(records.close)
            theirs.callback(its_records.close)
            pipes = [os.pipe(), os.pipe()]
            for read, write in pipes:
                ours.callback(os.close, read)
                theirs.callback(os.close, write)
            fds = [its_control.fileno(), its_records.fileno(), *(w for _, w in pipes), listener.fileno()]
            self.pid = await template.fork(self.name, request, fds)
            ours.pop_all()
        self._logs = LogReader(
            self._loop,
            records,
            pipes[0][0],
            pipes[1][0],
            self.group.label,
            self.name,
            self._watcher.printed,
        )
        self._timer = self._loop.call_later(self.group.startup_timeout, self._too_slow)
        self.link = await ControlLink.open(control, self._heard, lambda: self._watcher.silent(self))

    @property
    def bereft(self) -> bool:
        """Whether its template has ended, which no worker survives."""
        return self._template is not None and not self._template.usable

    def tell(self, message: Message) -> None:
        """Say something to it."""
        if self.link is not None:
            self.link.send(message)

    def shut_down(self, *, cancel: bool, patience: float = CLOSE_SECONDS) -> None:
        """Ask it to tear down and end; kill it when that takes too long."""
        if self.stage is Stage.STARTING:
            self.kill("was given up while it was starting")
        elif self.stage is Stage.READY:
            self.stage = Stage.ENDING
            self._signal(signal.SIGCONT)  # else one that was stopped would not hear it
            self.tell(Shutdown(cancel))
            late = f"was killed: it did not shut down within {patience:g} s"
            self._arm(patience, lambda: self.kill(late))

    def kill(self, fate: str) -> None:
        """End it at once, and the processes that it started."""
        self.fate = self.fate or fate
        if self.stage is not Stage.ENDED:
            self.stage = Stage.ENDING
            self._signal(signal.SIGKILL)

    async def ended(self) -> None:
        """Its process has ended: take its last words and let go of everything."""
        self.stage = Stage.ENDED
        self._signal(signal.SIGKILL)  # what it started may still run
        if self._timer is not None:
            self._timer.cancel()
        if self._logs is not None:
            await self._logs.drain_and_close()
        if self.link is not None:
            self.link.close()
        self.address.unlink(missing_ok=True)

    def _heard(self, message: Message) -> None:
        match message:
            case Ready():
                if self.stage is Stage.STARTING:
                    self.stage = Stage.READY
                    self._arm(None, None)
                    self._watcher.is_ready(self)
            case SetupFailed(failure):
                if self.stage is Stage.STARTING:
                    self.stage = Stage.ENDING
                    self._arm(CLOSE_SECONDS, lambda: self.kill("was killed: its setup failed"))
                    self._watcher.start_failed(self, failure)
            case _:
                self._watcher.said(self, message)

    def _too_slow(self) -> None:
        limit = self.group.startup_timeout
        error = SetupError(f"{self.name} was not ready within its startup_timeout of {limit:g} s")
        self.kill("was killed: it was not ready in time")
        self._watcher.start_failed(self, failure_text(failure_of(error)))

    def _arm(self, seconds: float | None, then: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, then)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self.stage is not Stage.ENDED:  # it may not have its own group yet
                    os.kill(self.pid, number)

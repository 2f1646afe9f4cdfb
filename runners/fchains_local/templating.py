"""The supervisor's side of a template: starts workers, by a fork where the chain allows it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fchains.errors import SetupError
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import exception_of
from fchains_local.control import failure_from
from fchains_local.seed import Seed
from fchains_local.spawning import kill_all
from fchains_local.templateprocess import TemplateProcess
from fchains_local.templatewire import (
    MOST_FILES,
    Exited,
    Fork,
    Forked,
    Loaded,
    Message,
    NotLoaded,
    Refused,
    Unsafe,
)

CLOSE_SECONDS = 1.0
"""How long a template gets to kill its workers before it is killed itself."""


class TemplateClient:
    """A template and the workers that come from it; lives on one loop.

    The template imports the chain's modules once. Where these did what forbids a fork, another one
    takes over, which imports nothing: each of its workers imports them for itself.

    Args:
        shipment: file of the packed chain.
        environment: all environment variables of the workers, those apart that a request adds.
        seed: what templates may be forked from.
        folder: their working directory, by default this process's.
        on_exited: told the process id and the status, as `os.waitpid` gives it, of each worker that
            ends; that may be before `fork` has returned.
        on_unsafe: told why each worker imports the modules for itself.
    """

    def __init__(
        self,
        shipment: Path,
        environment: Mapping[str, str],
        seed: Seed | None = None,
        *,
        folder: str | None = None,
        on_exited: Callable[[int, int], None],
        on_unsafe: Callable[[str], None],
    ) -> None:
        self._shipment = shipment
        self._environment = environment
        self._seed = seed
        self._folder = folder
        self._on_exited = on_exited
        self._on_unsafe = on_unsafe
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._process: TemplateProcess | None = None
        self._alive: dict[TemplateProcess, asyncio.Future[None]] = {}
        self._number = 0
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._workers: set[int] = set()
        self._unwanted: set[int] = set()

    @property
    def usable(self) -> bool:
        """Whether it can start workers."""
        ready = self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None
        return ready and self._process is not None and self._process.connected

    async def start(self) -> None:
        """Start the template, and wait until it can fork.

        Raises:
            SetupError: a module cannot be imported.
            DefinitionError: a module lacks what it should define.
            OSError: the system does not start it.
        """
        self._launch(bare=False)
        try:
            await self._ready
        except asyncio.CancelledError:
            self.close()
            raise

    async def fork(self, name: str, request: dict[str, Any], files: Sequence[int]) -> int:
        """Start a worker in a session of its own, and give its process id.

        Args:
            name: the worker's, for messages.
            request: what it is asked for, as JSON can have it; "env" has environment variables to add,
                "run" names another function than the usual one.
            files: descriptors for it; they stay open here.

        Raises:
            OSError: there is no room for one more process, or the template has ended.
        """
        if len(files) > MOST_FILES:
            raise ValueError(f"{name}: {len(files)} descriptors are more than {MOST_FILES}")
        if self._process is None or not self.usable:
            raise ConnectionResetError(errno.ECONNRESET, f"{name}: its template has ended")
        self._number += 1
        number = self._number
        future: asyncio.Future[int] = self._loop.create_future()
        self._forks[number] = future
        self._process.ask(Fork(number, request, len(files)), files)
        try:
            return await future
        except asyncio.CancelledError:
            if self._process.forget(number):
                self._forks.pop(number, None)
            elif future.done() and not future.cancelled() and future.exception() is None:
                self._give_up(future.result())
            raise

    def close(self) -> None:
        """Kill every worker that is left, and end the template."""
        patience = CLOSE_SECONDS if self._ready.done() else 0.0  # it does not listen while it imports
        self._ready.cancel()
        for process in self._alive:
            process.hang_up()
            self._loop.call_later(patience, process.kill)

    async def aclose(self) -> None:
        """Close it, and wait until its processes have ended."""
        self.close()
        if self._alive:
            await asyncio.wait(list(self._alive.values()))

    def _launch(self, *, bare: bool) -> None:
        process = TemplateProcess(
            self._shipment,
            self._environment,
            self._seed,
            folder=self._folder,
            bare=bare,
            on_message=self._heard,
            on_unsent=self._fail,
            on_ended=lambda status: self._ended(process, status),
        )
        self._process = process
        self._alive[process] = self._loop.create_future()

    def _heard(self, message: Message) -> None:
        match message:
            case Loaded():
                self._settle(None)
            case Unsafe(why):
                self._take_over(why)
            case NotLoaded(failure):
                error = exception_of(failure_from(failure), ClassLookup())
                self._settle(error if isinstance(error, Exception) else SetupError(str(error)))
            case Forked(number, pid):
                self._started(number, pid)
            case Refused(number, code, why):
                self._fail(number, OSError(code, why))
            case Exited(pid, status):
                self._workers.discard(pid)
                self._exited(pid, status)
            case Fork():
                pass

    def _take_over(self, why: str) -> None:
        self._on_unsafe(
            f"{why}, so a fork of it would not work: each replica imports the chain for itself, which takes"
            " longer; do that in a @setup function"
        )
        try:
            self._launch(bare=True)
        except OSError as error:
            self._settle(error)

    def _started(self, number: int, pid: int) -> None:
        self._workers.add(pid)
        future = self._forks.pop(number, None)
        if future is not None and not future.done():
            future.set_result(pid)
        else:  # who wanted it has been cancelled
            self._give_up(pid)

    def _give_up(self, pid: int) -> None:
        if pid in self._workers:
            self._unwanted.add(pid)
            kill_all(pid)

    def _exited(self, pid: int, status: int) -> None:
        if pid in self._unwanted:
            self._unwanted.discard(pid)
        else:
            self._on_exited(pid, status)

    def _fail(self, number: int, error: OSError) -> None:
        future = self._forks.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(error)

    def _settle(self, error: Exception | None) -> None:
        if self._ready.done():
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(error)

    def _ended(self, process: TemplateProcess, status: int) -> None:
        self._alive.pop(process).set_result(None)
        if process is not self._process:
            return
        self._settle(SetupError(f"the process that imports the chain's modules {_described(status)}"))
        for number in list(self._forks):
            self._fail(number, ConnectionResetError(errno.ECONNRESET, "the template has ended"))
        workers, self._workers = self._workers, set()
        for pid in workers:
            kill_all(pid)
            self._exited(pid, int(signal.SIGKILL))


def _described(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code} while it did so"
    return f"was killed by {signal.Signals(-code).name} while it did so"

"""Keeps the replicas of one chain: starts, watches, scales and replaces them; part of the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from fchains.errors import SetupError
from fchains.worker.logs import Fragment
from fchains_local.board import ROWS, Board
from fchains_local.control import (
    Blocking,
    ControlLink,
    Group,
    Hosted,
    Logged,
    Message,
    Noticed,
    Opened,
    Released,
    Stop,
    Stopped,
    Stuck,
    Unhealthy,
    Waiting,
    Welcome,
)
from fchains_local.gpus import Assignments, environment_of
from fchains_local.keeper import GroupKeeper
from fchains_local.logpipes import to_wire
from fchains_local.memory import MemoryWatch, OomEvidence, describe_exit, resident_size
from fchains_local.process import ReplicaProcess, Stage
from fchains_local.rundir import RunDir
from fchains_local.seed import Seed
from fchains_local.spec import Spec
from fchains_local.templating import TemplateClient

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.05
MEMORY_SECONDS = 1.0
ORPHAN_SECONDS = 1.0
"""How long replicas get for their teardown when the parent is gone."""

_GIVEN_UP = "was given up while it was starting"


class ChainKeeper:
    """Lives on the supervisor's loop, from the first message of the parent to the end of the last replica."""

    def __init__(self, spec: Spec, seed: Seed | None) -> None:
        self.spec = spec
        self._seed = seed
        self.closing = False
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._board = Board.open(Path(spec.board))
        self._rows = list(range(ROWS - 1, -1, -1))
        self._folder = RunDir.at(Path(spec.folder))
        self._devices = Assignments(spec.devices)
        self._keepers = {group.label: GroupKeeper(group, self) for group in spec.groups}
        self._templates: dict[tuple[tuple[str, str], ...], asyncio.Task[TemplateClient]] = {}
        self._clients: dict[ControlLink, dict[str, float]] = {}
        self._parent: ControlLink | None = None
        self._hosted: list[Opened] = []
        self._by_pid: dict[int, ReplicaProcess] = {}
        self._ended_early: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._oom = OomEvidence.now()
        self._memory = MemoryWatch()
        self._orphaned = False

    async def run(self, sock: socket.socket) -> None:
        """Serve the parent until everything has ended."""
        for group in self.spec.groups:
            if not group.hosted:
                self._template(group.env)
        link = await ControlLink.open(sock, self._from_parent, self._parent_gone)
        self._parent = link
        self._join(link)
        for keeper in self._keepers.values():
            keeper.look()
        self._tick()
        self._look_at_memory()
        await self.over.wait()
        link.send(Stopped())
        for template in self._templates.values():
            with contextlib.suppress(Exception, asyncio.CancelledError):
                (await template).close()
        link.close()
        self._board.close()
        if self._orphaned:
            self._folder.remove()

    # What the keepers ask for.

    def load(self, row: int, column: int) -> int:
        return self._board.get(row, column)

    def waiting(self, label: str) -> float:
        return sum(waiting.get(label, 0.0) for waiting in self._clients.values())

    def tell_all(self, message: Message) -> None:
        for link in list(self._clients):
            link.send(message)

    def notice(self, level: int, text: str) -> None:
        if self._parent is not None:
            self._parent.send(Noticed(level, text))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def prepare(self, keeper: GroupKeeper, name: str) -> ReplicaProcess:
        if not self._rows:
            raise RuntimeError(f"a chain has at most {ROWS} replicas at once")
        row = self._rows.pop()
        self._board.clear(row)
        devices = self._devices.take(keeper.spec.gpus, shared=True) if keeper.spec.gpus else None
        address = self._folder.socket(f"{row}-{name}")
        return ReplicaProcess(name, keeper.spec, row, devices or (), address, self)

    async def launch(self, process: ReplicaProcess) -> None:
        group = process.group
        if self.closing:  # a template would be made that nobody ends
            raise SetupError(_GIVEN_UP)
        limit = group.startup_timeout
        try:
            async with asyncio.timeout(limit):
                template = await asyncio.shield(self._template(group.env))
        except TimeoutError as error:
            text = f"importing the modules of {self.spec.chain} took longer than startup_timeout, {limit:g} s"
            raise SetupError(text) from error
        except asyncio.CancelledError as error:
            raise SetupError(_GIVEN_UP) from error
        request = {
            "chain": self.spec.chain,
            "replica": process.name,
            "label": group.label,
            "members": list(group.members),
            "most": list(group.most),
            "groups": {each.label: list(each.members) for each in self.spec.groups},
            "row": process.row,
            "board": self.spec.board,
            "devices": list(process.devices),
            "env": environment_of(process.devices, int(group.wants_gpu)),
            "health_interval": self.spec.health_interval if group.watched else 0.0,
            "grace": group.grace,
        }
        await process.start(template, request)
        self._by_pid[process.pid] = process
        if process.link is not None:
            self._join(process.link)
        status = self._ended_early.pop(process.pid, None)
        if status is not None:
            self._exited(process.pid, status)
        elif self.closing:
            process.kill(_GIVEN_UP)

    def clear(self, process: ReplicaProcess) -> None:
        self._board.clear(process.row)
        self._rows.append(process.row)
        self._devices.give_back(process.devices)
        self._memory.forget(process.name)
        self._check_over()

    def await_release(self, process: ReplicaProcess) -> None:
        process.awaiting = {link for link in self._clients if link is not process.link or not process.stuck}
        self._check_released(process)

    # What the processes say.

    def is_ready(self, process: ReplicaProcess) -> None:
        self._keeper(process).is_ready(process)
        self._tick()

    def start_failed(self, process: ReplicaProcess, failure: str) -> None:
        self._keeper(process).start_failed(process.name, failure)

    def said(self, process: ReplicaProcess, message: Message) -> None:
        match message:
            case Unhealthy(why):
                self._keeper(process).replace(process, why, stuck=False)
            case Blocking():
                self.tell_all(message)
            case _ if process.link is not None:
                self._from_client(process.link, message)
            case _:
                pass

    def silent(self, process: ReplicaProcess) -> None:
        if process.link is not None:
            self._leave(process.link)
        if process.stage is Stage.READY:  # its end is about to be told; else it closed what it must not
            self._loop.call_later(1.0, process.kill, "was killed: it closed its connection to the supervisor")

    def printed(self, fragments: Sequence[Fragment]) -> None:
        if self._parent is not None:
            self._parent.send(Logged([to_wire(fragment) for fragment in fragments]))

    # What clients say.

    def _from_parent(self, message: Message) -> None:
        match message:
            case Stop(cancel):
                self._close(cancel=cancel)
            case Hosted(label, replica, address):
                opened = Opened(label, replica, address, -1, 0)
                self._hosted.append(opened)
                self.tell_all(opened)
            case _ if self._parent is not None:
                self._from_client(self._parent, message)
            case _:
                pass

    def _from_client(self, link: ControlLink, message: Message) -> None:
        match message:
            case Waiting(label, demand):
                self._clients.setdefault(link, {})[label] = demand
                self._keepers[label].look()
                self._tick()
            case Released(replica):
                for process in self._processes():
                    if process.name == replica and link in process.awaiting:
                        process.awaiting.discard(link)
                        self._check_released(process)
            case Stuck(replica, why):
                for process in self._processes():
                    if process.name == replica:
                        self._keeper(process).replace(process, why, stuck=True)
                self._tick()
            case _:
                logger.warning("a client said %r, which is not for it to say", message)

    def _join(self, link: ControlLink) -> None:
        self._clients.setdefault(link, {})
        groups = tuple(Group(g.label, g.members, g.smallest, g.largest) for g in self.spec.groups)
        link.send(Welcome(groups))
        for opened in self._hosted:
            link.send(opened)
        for process in self._processes():
            if process.stage is Stage.READY and not process.retired:
                link.send(self._keeper(process).opened(process))
        for keeper in self._keepers.values():
            if keeper.stopped is not None:
                link.send(keeper.stopped)

    def _leave(self, link: ControlLink) -> None:
        self._clients.pop(link, None)
        for process in self._processes():
            if link in process.awaiting:
                process.awaiting.discard(link)
                self._check_released(process)

    def _check_released(self, process: ReplicaProcess) -> None:
        if not process.awaiting and process.retired:
            self._keeper(process).released(process)

    def _parent_gone(self) -> None:
        self._orphaned = True
        if self._parent is not None:
            self._leave(self._parent)
            self._parent = None
        self._close(cancel=True)

    def _close(self, *, cancel: bool) -> None:
        self.closing = True
        for template in self._templates.values():
            template.cancel()  # where it still imports, which may take long
        patience = {"patience": ORPHAN_SECONDS} if self._orphaned else {}
        for process in self._processes():
            if self._orphaned and process.stage is Stage.ENDING:
                self._loop.call_later(ORPHAN_SECONDS, process.kill, "was killed: its parent is gone")
            process.shut_down(cancel=cancel, **patience)
        self._check_over()

    def _check_over(self) -> None:
        if self.closing and not self._processes():
            self.over.set()

    # Processes.

    def _template(self, env: dict[str, str]) -> asyncio.Task[TemplateClient]:
        key = tuple(sorted(env.items()))
        task = self._templates.get(key)
        if task is None or (task.done() and not _is_usable(task)):
            task = self._templates[key] = self._loop.create_task(self._make_template(env))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _make_template(self, env: dict[str, str]) -> TemplateClient:
        """Start a template; once more where it ended together with the seed, which is none of its fault."""
        seed = self._seed if self._seed is not None and self._seed.alive else None
        template = TemplateClient(
            Path(self.spec.shipment),
            {**self.spec.environment, **env},
            seed,
            folder=self.spec.working_directory,
            on_exited=self._exited,
            on_unsafe=lambda why: self.notice(logging.WARNING, why),
        )
        try:
            await template.start()
        except SetupError:
            if seed is None or seed.alive:
                raise
            return await self._make_template(env)
        return template

    def _exited(self, pid: int, status: int) -> None:
        process = self._by_pid.pop(pid, None)
        if process is None:
            self._ended_early[pid] = status
            return
        self.spawn(self._bury(process, status))

    async def _bury(self, process: ReplicaProcess, status: int) -> None:
        oom = OomEvidence.now()
        why = process.fate or describe_exit(status, oom.since(self._oom))
        self._oom = oom
        if process.stage is Stage.READY:
            self.notice(logging.ERROR, f"replica {process.name} {why}")
        await process.ended()
        self._keeper(process).ended(process, why)
        self.clear(process)
        self._tick()

    def _processes(self) -> list[ReplicaProcess]:
        return [process for keeper in self._keepers.values() for process in keeper.processes.values()]

    def _keeper(self, process: ReplicaProcess) -> GroupKeeper:
        return self._keepers[process.group.label]

    # Time.

    def _tick(self) -> None:
        """Look at the demand as long as time can change something."""
        if self._ticking is None and not self.closing:
            keepers = [keeper for keeper in self._keepers.values() if not keeper.at_rest]
            for keeper in keepers:
                keeper.look()
            if keepers:
                self._ticking = self._loop.call_later(TICK_SECONDS, self._ticked)

    def _ticked(self) -> None:
        self._ticking = None
        self._tick()

    def _look_at_memory(self) -> None:
        for process in self._processes():
            if process.stage is Stage.READY:
                for text in self._memory.look(process.name, resident_size(process.pid), process.group.memory):
                    self.notice(logging.WARNING, text)
        if not self.over.is_set():
            self._loop.call_later(MEMORY_SECONDS, self._look_at_memory)


def _is_usable(task: asyncio.Task[TemplateClient]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().usable

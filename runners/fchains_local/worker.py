"""The worker program: one replica in a process of its own, behind a Unix socket."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from fchains.calls.portal import portal
from fchains.calls.runner import Chain, Channel, Deployment
from fchains.calls.session import ChainSession
from fchains.calls.using import set_process_session
from fchains.wire.failures import failure_of
from fchains.worker.replica import Replica
from fchains_local import callframes, control, link
from fchains_local.board import Board
from fchains_local.client import Client
from fchains_local.control import (
    Blocking,
    Message,
    Ready,
    SetupFailed,
    Shutdown,
    Stuck,
    Unhealthy,
    failure_text,
)
from fchains_local.frontdoor import FrontDoor
from fchains_local.logpipes import WorkerLogs
from fchains_local.segments import SegmentPool

logger = logging.getLogger(__name__)


def run(chain: Chain, request: dict[str, Any], fds: Sequence[int]) -> NoReturn:
    """Serve a replica until the supervisor says that it should end, or is gone.

    Args:
        chain: the chain that it belongs to.
        request: what the supervisor asks for.
        fds: its control connection, socket for log records, stdout, stderr, and listening socket.
    """
    control, records, stdout, stderr, listener = fds
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for each in (stdout, stderr):
        os.close(each)
    logs = WorkerLogs(socket.socket(fileno=records), request["label"], request["replica"])
    logs.install()
    worker = Worker(chain, request, logs)
    code = asyncio.run(worker.serve(socket.socket(fileno=control), socket.socket(fileno=listener)))
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - there is no other way to run them
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def warm_up() -> None:
    """Make what takes every worker 15 ms otherwise, in the process that they are forked from."""
    callframes.warm_up()
    control.warm_up()
    link.warm_up()


class Worker:
    """A replica, its front door, and its way to the supervisor and the other replicas.

    The replica has the main thread's loop; the supervisor and its own calls have the portal's, which
    hears from the supervisor even while user code blocks the replica's.
    """

    def __init__(self, chain: Chain, request: dict[str, Any], logs: WorkerLogs) -> None:
        self._chain = chain
        self._logs = logs
        self._request = request
        self._name: str = request["replica"]
        self._members: list[str] = request["members"]
        self._session = ChainSession(chain, lambda: self._deployment)
        self._shutdown: asyncio.Future[Shutdown]
        self._client: Client | None = None
        self._deployment: Deployment
        self._quiet = asyncio.Event()
        self._segments = SegmentPool()

    async def serve(self, control: socket.socket, listener: socket.socket) -> int:
        """Make the resources, serve, tear down; gives the exit code."""
        self._loop = asyncio.get_running_loop()
        self._shutdown = self._loop.create_future()
        set_process_session(self._session)
        await asyncio.wrap_future(portal().submit(self._join(control)))
        definitions = [self._chain.definitions[name] for name in self._members]
        devices = tuple(self._request["devices"])
        self._replica = Replica(self._chain, definitions, self._name, self._session, self, devices)
        try:
            await self._replica.start()
        except Exception as error:
            self._tell(SetupFailed(failure_text(failure_of(error))))
            await self._leave()
            return 1
        board = Board.open(Path(self._request["board"]))
        row: int = self._request["row"]
        self._door = FrontDoor(
            self._replica,
            self._members,
            dict(zip(self._members, self._request["most"], strict=True)),
            lambda column, load: board.set(row, column, load),
            self._segments,
            threaded=[each.name for each in definitions if not each.signature.is_async],
        )
        self._door.listen(listener)
        health = self._loop.create_task(self._watch_health())
        self._tell(Ready())
        last_wish = await self._shutdown
        health.cancel()
        await self._end(cancel=last_wish.cancel)
        return 0

    # What the replica says.

    def ended(self, chainlet: str, call: str) -> None:
        self._logs.ended(chainlet, call)
        self._door.ended(chainlet, call)
        if self._door.refusing and not self._door.load:
            self._quiet.set()

    def stuck(self, why: str) -> None:
        self._tell(Stuck(self._name, why))

    def blocking(self, where: str) -> None:
        self._tell(Blocking(self._name, where))

    async def _end(self, *, cancel: bool) -> None:
        self._door.refusing = True
        if cancel:
            self._replica.cancel_all()
        if self._door.load:
            # Nobody waits for what still runs here: its callers were answered, or want no answer.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._request["grace"]):
                    await self._quiet.wait()
        await self._replica.aclose()
        self._door.close()
        await self._leave()

    async def _watch_health(self) -> None:
        interval: float = self._request["health_interval"]
        well = True
        while interval and well:
            await asyncio.sleep(interval)
            well = await self._replica.healthy()
        if interval:
            label = self._request["label"]
            self._tell(Unhealthy(f"{label}, replica {self._name}: its health function says no"))

    async def _join(self, control: socket.socket) -> None:
        groups = {
            label: [self._chain.definitions[name] for name in members]
            for label, members in self._request["groups"].items()
        }
        self._client = Client(
            groups, Path(self._request["board"]), self._segments, self._told, lambda: os._exit(1)
        )
        self._deployment = WorkerDeployment(self._client)
        await self._client.connect(control)

    def _told(self, message: Message) -> None:
        if isinstance(message, Shutdown):
            self._loop.call_soon_threadsafe(self._shut_down, message)

    def _shut_down(self, message: Shutdown) -> None:
        if not self._shutdown.done():
            self._shutdown.set_result(message)
        elif message.cancel:
            self._replica.cancel_all()

    def _tell(self, message: Message) -> None:
        if self._client is not None:
            portal().post(self._client.tell, message)

    async def _leave(self) -> None:
        """Say what was said, and leave the supervisor."""
        if self._client is not None:
            await asyncio.wrap_future(portal().submit(self._client.aclose()))


class WorkerDeployment(Deployment):
    """The chain that a worker is part of, as its own code calls it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def channel(self, chainlet: str) -> Channel:
        return self._client.channel(chainlet)

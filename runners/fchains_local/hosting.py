"""A fake behind a socket: it runs in the process that opened the override, and every replica can call it."""

from __future__ import annotations

import asyncio
import socket

from fchains.calls.portal import Portal
from fchains.calls.runner import Chain
from fchains.calls.session import Session
from fchains.definition.spec import Definition
from fchains.worker.replica import Replica
from fchains.worker.routing import Room
from fchains_local.frontdoor import FrontDoor
from fchains_local.rundir import RunDir

BACKLOG = 128


class FakeHost:
    """Serves a fake from a thread of this process; made and ended on the portal's loop."""

    def __init__(self, chain: Chain, fake: Definition, session: Session, address: str) -> None:
        self.label = fake.name
        self.replica = f"{fake.name}-fake"
        self.address = address
        self._portal = Portal(f"fchains-{self.replica}")
        self._served = Replica(chain, [fake], self.replica, session, self)
        room = Room.of(fake)
        self._is_async = fake.signature.is_async
        self._most = {fake.name: room.executes + room.max_queue}
        self._door: FrontDoor | None = None

    @classmethod
    async def open(cls, chain: Chain, fake: Definition, session: Session, folder: RunDir) -> FakeHost:
        """Serve a fake below a private directory."""
        host = cls(chain, fake, session, str(folder.socket(f"fake-{fake.name}")))
        await asyncio.wrap_future(host._portal.submit(host._serve()))
        return host

    async def aclose(self) -> None:
        """Serve no more."""
        await asyncio.wrap_future(self._portal.submit(self._end()))
        self._portal.close(wait=False)

    def ended(self, chainlet: str, call: str) -> None:
        if self._door is not None:
            self._door.ended(chainlet, call)

    def stuck(self, why: str) -> None:
        """A thread of the own process cannot be ended: the code goes on, and its caller has its answer."""

    def blocking(self, where: str) -> None:
        """Nobody else is concerned."""

    async def _serve(self) -> None:
        await self._served.start()
        self._door = FrontDoor(
            self._served,
            [self.label],
            self._most,
            lambda column, load: None,
            threaded=[] if self._is_async else [self.label],
        )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.address)
        listener.listen(BACKLOG)
        self._door.listen(listener)

    async def _end(self) -> None:
        if self._door is not None:
            self._door.close()
        self._served.cancel_all()
        await self._served.aclose()

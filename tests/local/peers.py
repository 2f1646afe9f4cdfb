"""The other side of a link, as tests play it; and a replica behind a front door."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.calls.runner import Chain
from fchains.calls.session import ChainSession
from fchains.definition.spec import Definition
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import exception_of
from fchains.wire.frames import Frame, Kind
from fchains.wire.payload import Payload
from fchains.worker.replica import Replica
from fchains_local.frontdoor import FrontDoor
from fchains_local.link import FrameLink
from fchains_local.segments import SegmentPool

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


async def until(happened: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Peer:
    """An end of a link whose user says what it wants, and hears everything."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.link = FrameLink(
            sock, asyncio.get_running_loop(), self.frames.put_nowait, self._closed.set_result
        )

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.link.send(frame)

    async def hear(self) -> Frame:
        """The next frame."""
        async with asyncio.timeout(PATIENCE):
            return await self.frames.get()

    async def hear_kinds(self, count: int) -> list[Kind]:
        """The kinds of the next frames."""
        return [(await self.hear()).kind for _ in range(count)]

    async def lost(self) -> str:
        """Why the other side closed the link."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(self._closed)

    def rest(self) -> list[Frame]:
        """What has come and was not heard yet."""
        return [self.frames.get_nowait() for _ in range(self.frames.qsize())]


class Answer:
    """A reply that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.items: list[Payload] = []
        self.credits: list[tuple[str, int, int]] = []
        self.outcomes: list[Outcome] = []
        self.on_item: Callable[[Payload], None] | None = None
        self._over = asyncio.Event()

    def accepted(self) -> None:
        self.heard.append("accepted")

    def item(self, payload: Payload) -> None:
        self.heard.append("item")
        self.items.append(payload)
        if self.on_item is not None:
            self.on_item(payload)

    def consumed(self, stream: str, items: int, size: int) -> None:
        self.credits.append((stream, items, size))

    def refused(self) -> None:
        self.heard.append("refused")
        self._over.set()

    def finish(self, outcome: Outcome) -> None:
        self.heard.append("finish")
        self.outcomes.append(outcome)
        self._over.set()

    async def over(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._over.wait()

    async def success(self) -> Success:
        await self.over()
        (outcome,) = self.outcomes
        assert isinstance(outcome, Success), outcome
        return outcome

    async def failure(self) -> tuple[FailureKind, BaseException]:
        await self.over()
        (outcome,) = self.outcomes
        assert isinstance(outcome, Failed), outcome
        return outcome.kind, exception_of(outcome.failure, ClassLookup())


class House:
    """A replica behind its front door; keeps what the door publishes."""

    def __init__(self, definitions: tuple[Definition, ...], most: int, segments: SegmentPool | None) -> None:
        chain = Chain("house", {each.name: each for each in definitions}, "1")

        def nowhere() -> Any:
            raise AssertionError("nothing here calls")

        self.definitions = definitions
        self.segments = segments
        self.channels = {each.name: channel for channel, each in enumerate(definitions)}
        self.published: list[tuple[int, int]] = []
        self.peers: list[Peer] = []
        self.replica = Replica(chain, definitions, "r-0", ChainSession(chain, nowhere), self)
        self.door = FrontDoor(
            self.replica,
            list(self.channels),
            dict.fromkeys(self.channels, most),
            self._publish,
            segments,
            threaded=[each.name for each in definitions if not each.signature.is_async],
        )

    def _publish(self, channel: int, load: int) -> None:
        self.published.append((channel, load))

    def ended(self, chainlet: str, call: str) -> None:
        self.door.ended(chainlet, call)

    def stuck(self, why: str) -> None: ...

    def blocking(self, where: str) -> None: ...

    def connect(self) -> socket.socket:
        """The caller's end of a new connection."""
        ours, theirs = socket.socketpair()
        self.door.serve(ours)
        return theirs

    def peer(self, sock: socket.socket | None = None) -> Peer:
        """A caller that says what it wants."""
        self.peers.append(Peer(sock or self.connect()))
        return self.peers[-1]

    async def empty(self) -> None:
        """Wait until no input is in the replica."""
        await until(lambda: self.door.load == 0)


@asynccontextmanager
async def serving(
    *chainlets: Any, most: int = 2000, segments: SegmentPool | None = None
) -> AsyncGenerator[House, None]:
    """A replica of some chainlets, behind its door."""
    house = House(tuple(each.definition for each in chainlets), most, segments)
    await house.replica.start()
    try:
        yield house
    finally:
        house.door.close()
        for peer in house.peers:
            peer.link.close()
        await house.replica.aclose()


def calling(
    chainlet: Any, id: str = "call", /, uploads: tuple[str, ...] = (), **arguments: Any
) -> Invocation:
    """An invocation of a chainlet."""
    definition: Definition = chainlet.definition
    payload = definition.types.arguments.encode(arguments)
    return Invocation(id, "chain", definition.name, payload, uploads=uploads)


def value_of(chainlet: Any, payload: Payload) -> Any:
    """What a payload of the chainlet's result holds."""
    definition: Definition = chainlet.definition
    return definition.types.result.decode(payload)

"""A connection to a replica that says what a test lets it say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from fchains import WorkerLost
from fchains.calls.invocation import Failed, FailureKind, Invocation, Success
from fchains.wire.payload import Payload
from fchains.worker.outcomes import failed
from fchains_local.connection import Connection, Sent
from tests.local.peers import Answer, Peer

CALL = Invocation("call-1", "chain-1", "second", Payload(b'{"x":1}'), remaining=2.5)
STREAMED = replace(CALL, uploads=("numbers", "words"))
ITEM = Payload(b"7")
RESULT = Success(Payload(b"3"))


class Line:
    """A connection, the replica at its other end, and what the owner is told."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.lost: list[str] = []
        self.replica = Peer(theirs)
        members = {"first": 0, "second": 1}
        self.connection = Connection(ours, asyncio.get_running_loop(), members, self._on_lost)

    def _on_lost(self, connection: Connection, reason: str) -> None:
        assert connection is self.connection
        self.lost.append(reason)

    def send(self, invocation: Invocation = CALL) -> tuple[Sent, Answer]:
        answer = Answer()
        return self.connection.send(invocation, answer), answer

    async def sent(self, invocation: Invocation = CALL) -> tuple[Sent, Answer]:
        """Send a call, and let it arrive."""
        sent, answer = self.send(invocation)
        assert (await self.replica.hear()).call == sent.number
        return sent, answer

    async def said_nothing(self) -> bool:
        """Whether the next thing that the replica hears is a call that is sent now."""
        sent, _ = self.send()
        return (await self.replica.hear()).call == sent.number


@asynccontextmanager
async def line() -> AsyncGenerator[Line, None]:
    line = Line()
    try:
        yield line
    finally:
        line.connection.close()
        line.replica.link.close()


def lost(sent: Sent) -> Failed:
    return failed(FailureKind.LOST, WorkerLost(f"{sent.invocation.id} is gone"))

"""Where the calls of a process go: one pool for each group of replicas, told of changes by the supervisor."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fchains.calls.invocation import Invocation
from fchains.calls.runner import Channel, Reply, Transfer
from fchains.definition.spec import Definition
from fchains_local.board import Board
from fchains_local.control import (
    Blocking,
    Coming,
    ControlLink,
    Gone,
    Message,
    Opened,
    Retired,
    StartFailed,
    Welcome,
    failure_from,
)
from fchains_local.pool import Failing, Pool
from fchains_local.remote import Remote
from fchains_local.segments import SegmentPool

logger = logging.getLogger(__name__)


class Client:
    """The calls of this process to one chain; lives on one loop.

    Args:
        groups: the chainlets of each group, in the order of their channels.
        board: the file in which replicas publish their loads.
        other: told of messages that do not concern calls.
        on_lost: told that the supervisor is gone; until then nothing of its replicas is failed.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[Definition]],
        board: Path,
        segments: SegmentPool,
        other: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._board_path = board
        self._board: Board | None = None
        self._segments = segments
        self._other = other
        self._on_lost = on_lost
        self._link: ControlLink | None = None
        self._unsaid: list[Message] = []
        self.served = False
        """Whether a replica has ever been ready."""
        self._leaving = False
        self._left = asyncio.Event()
        self._groups_of: dict[str, Pool] = {}
        self.pools = {
            label: Pool(label, {member.name: member for member in members}, self._loop, self.tell)
            for label, members in groups.items()
        }
        self._channels = {name: LocalChannel(pool) for pool in self.pools.values() for name in pool.members}

    async def connect(self, sock: socket.socket) -> None:
        """Join the supervisor; the board is there by then."""
        self._board = Board.open(self._board_path)
        self._link = await ControlLink.open(sock, self.heard, self._lost)
        for message in self._unsaid:
            self._link.send(message)
        self._unsaid.clear()

    def channel(self, chainlet: str) -> Channel:
        """The way to a chainlet's replicas."""
        return self._channels[chainlet]

    def tell(self, message: Message) -> None:
        """Say something to the supervisor, at the latest when it is there."""
        if self._link is not None:
            self._link.send(message)
        else:
            self._unsaid.append(message)

    def heard(self, message: Message) -> None:
        """Something from the supervisor."""
        match message:
            case Welcome(groups):
                for group in groups:
                    self.pools[group.label].bound(group.smallest, group.largest)
            case Coming(label, replica):
                self._in(replica, label).coming(replica)
            case Opened(label, replica):
                self.served = True
                pool = self._in(replica, label)
                pool.opened(self._remote(message, pool))
            case StartFailed(label, replica, failure, stopped):
                failing = Failing(failure_from(failure), stopped)
                self._in(replica, label).start_failed(replica, failing)
            case Retired(replica, stuck):
                self._of(replica, lambda pool: pool.retired(replica, stuck=stuck))
            case Gone(replica, why):
                self._of(replica, lambda pool: pool.gone(replica, why))
                self._groups_of.pop(replica, None)
                self._other(message)
            case Blocking(replica, where):
                self._of(replica, lambda pool: pool.blocking(replica, where))
            case _:
                self._other(message)

    @property
    def connected(self) -> bool:
        """Whether there is a supervisor to talk to."""
        return self._link is not None and not self._left.is_set()

    @property
    def idle(self) -> bool:
        """Whether no call from here waits or runs."""
        return all(pool.idle for pool in self.pools.values())

    async def drained(self) -> None:
        """Wait until no call from here waits or runs."""
        while not self.idle:
            for pool in self.pools.values():
                await pool.drained()

    def processes(self) -> list[int]:
        """The process groups of the replicas that are up."""
        return [pid for pool in self.pools.values() for pid in pool.processes()]

    def close(self) -> None:
        """Refuse what waits and what comes, and end the links to the replicas."""
        for pool in self.pools.values():
            pool.close()

    async def aclose(self) -> None:
        """The same, and leave the supervisor, which hears first what was said before."""
        self.close()
        self._leaving = True
        if self._link is not None:
            self._link.close()
            await self._left.wait()
        if self._board is not None:
            self._board.close()

    def _remote(self, opened: Opened, pool: Pool) -> Remote:
        return Remote(opened, pool.channels, self._board, self._loop, self._segments, pool)

    def _in(self, replica: str, label: str) -> Pool:
        return self._groups_of.setdefault(replica, self.pools[label])

    def _of(self, replica: str, then: Callable[[Pool], None]) -> None:
        pool = self._groups_of.get(replica)
        if pool is not None:
            then(pool)

    def _lost(self) -> None:
        self._left.set()
        if not self._leaving:
            self._on_lost()


class LocalChannel(Channel):
    """The way to the replicas of one chainlet."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        return self._pool.send(invocation, reply)

"""A replica as a process that calls it sees it: its address, its load, and the calls on their way to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Protocol

from fchains.calls.invocation import FailureKind, Invocation
from fchains.errors import WorkerLost
from fchains.worker.outcomes import failed
from fchains_local.board import Board
from fchains_local.connection import Connection, ConnReply, Sent
from fchains_local.control import Opened
from fchains_local.segments import SegmentPool

EXPLAIN_SECONDS = 2.0
"""How long the calls of a lost link wait for the supervisor to say what became of the process."""

LAST_WORDS_SECONDS = 0.25
"""How long a link is still read after its process has ended: a child of it may hold it open."""


class RemoteEvents(Protocol):
    """Told what happens to a replica."""

    def settled(self, remote: Remote) -> None:
        """Calls there have ended, or none go there any more."""
        ...


class Remote:
    """One replica; connected when it is first called.

    Args:
        opened: what the supervisor says of it.
        members: channel numbers of its chainlets.
        board: where it publishes its load.
    """

    def __init__(
        self,
        opened: Opened,
        members: Mapping[str, int],
        board: Board | None,
        loop: asyncio.AbstractEventLoop,
        segments: SegmentPool,
        events: RemoteEvents,
    ) -> None:
        self.name = opened.replica
        self.pid = opened.pid
        self.retired = False
        self.given_up = False
        """It is stuck, and what it has not begun has been sent elsewhere, or will be when it is dead."""
        self._address = opened.address
        self._row = opened.row
        self._members = members
        self._board = board if opened.row >= 0 else None
        self._loop = loop
        self._segments = segments
        self._events = events
        self._connection: Connection | None = None
        self._lost = False
        self._gone = False
        self._why = ""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether calls may go there."""
        return not self._lost and not self.retired

    def load(self, chainlet: str) -> int:
        """Inputs of a chainlet in it: its own count, or ours where that has not arrived yet."""
        ours = self._connection.load(chainlet) if self._connection is not None else 0
        if self._board is None:
            return ours
        return max(ours, self._board.get(self._row, self._members[chainlet]))

    def send(self, invocation: Invocation, reply: ConnReply) -> Sent:
        """Send a call to it; one that it cannot take comes back through the reply."""
        if self._connection is None:
            self._connection = Connection(
                self._connect(), self._loop, self._members, self._on_lost, self._segments
            )
        return self._connection.send(invocation, reply)

    def blocking(self, where: str) -> None:
        """Its event loop is blocked there, or no longer."""
        if self._connection is not None:
            self._connection.whereabouts = where

    def gone(self, why: str) -> None:
        """Its process has ended."""
        self._gone = True
        self._why = why
        if self._connection is None:
            self.fail()
        else:
            self._fail_after(0.0 if self._lost else LAST_WORDS_SECONDS)

    def close(self) -> None:
        """Leave it; calls that are still there have failed."""
        self._gone = True
        self._why = "was left, as the deployment was closed,"
        self.fail()

    def _hang_up(self) -> None:
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close()

    def fail(self) -> None:
        """Fail every call that is there; a process that still runs is connected to anew after that."""
        self._hang_up()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.fail(
                lambda sent: failed(FailureKind.LOST, WorkerLost(self._story(sent.invocation, sent.accepted)))
            )
        self._lost = self._gone
        self._why = ""
        self._events.settled(self)

    def _story(self, invocation: Invocation, accepted: bool) -> str:
        when = "while it ran" if accepted else "before it began"
        why = self._why or "ended, nobody knows why,"
        return f"{invocation.chainlet}: replica {self.name} {why} {when} call {invocation.id}"

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            sock.connect(self._address)
        except OSError as error:
            sock.close()
            self._why = f"cannot be reached ({error})"
            # The other end of this one is closed: whoever uses it hears that at once.
            sock, other = socket.socketpair()
            other.close()
        return sock

    def _on_lost(self, _connection: Connection, reason: str) -> None:
        if self._lost:
            return
        self._lost = True
        explained = bool(self._why)
        self._why = self._why or (f"broke off the connection ({reason})" if reason else "")
        self._fail_after(0.0 if explained else EXPLAIN_SECONDS)
        self._events.settled(self)

    def _fail_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self.fail)

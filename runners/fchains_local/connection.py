"""The calls from this process that are in flight to one replica, over one link to it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Mapping

from fchains.calls.invocation import Failed, FailureKind, Invocation
from fchains.errors import SerializationError
from fchains.wire.messages import Frame, ProtocolError
from fchains.worker.outcomes import failed
from fchains_local.callframes import call_frame
from fchains_local.link import FrameLink
from fchains_local.segments import SegmentPool
from fchains_local.sent import HEARD, ConnReply, Sent

__all__ = ["ConnReply", "Connection", "Sent"]

_NUMBERS = 1 << 32


class Connection:
    """Calls in flight to one replica; on the client's loop.

    Args:
        sock: connected to the replica; the link takes it over.
        loop: the client's.
        members: channel numbers of the replica's chainlets.
        on_lost: told once that the link is gone, and why if that is known. The owner then calls `fail`.
        segments: shared memory for large arguments.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        members: Mapping[str, int],
        on_lost: Callable[[Connection, str], None],
        segments: SegmentPool | None = None,
    ) -> None:
        self.calls: dict[int, Sent] = {}
        """Those that have not ended, by number."""
        self.whereabouts = ""
        """Where the replica's event loop is blocked, as ` at file:line`, if it is."""
        self._loop = loop
        self._members = members
        self._on_lost = on_lost
        self._loads = dict.fromkeys(members, 0)
        self._numbers = itertools.count(1)
        self._ended = False
        self._told = False
        self._error_for: Callable[[Sent], Failed] | None = None
        self.link = FrameLink(sock, loop, self._on_frame, self._on_closed, segments=segments)

    def send(self, invocation: Invocation, reply: ConnReply) -> Sent:
        """Send a call; its reply is told of anything only after this has returned."""
        channel = self._members[invocation.chainlet]
        sent = Sent(self, self._free_number(), invocation, reply)
        self.calls[sent.number] = sent
        self._loads[invocation.chainlet] += 1
        try:
            self.link.send(call_frame(sent.number, channel, invocation))
        except SerializationError as error:
            self._loop.call_soon(sent.end, failed(FailureKind.INVALID, error))
        if self._ended:
            self._loop.call_soon(self._came_too_late, sent)
        return sent

    def load(self, chainlet: str) -> int:
        """Calls of a chainlet that have not ended."""
        return self._loads.get(chainlet, 0)

    def close(self) -> None:
        """End the link; the replica cancels what is in flight. `on_lost` follows if there are calls."""
        self.link.close()
        if not self._ended:
            self._ended = True
            if self.calls:
                self._loop.call_soon(self._tell, "")

    def fail(self, error_for: Callable[[Sent], Failed]) -> None:
        """End the link and every call on it, those that may still be sent here too.

        Args:
            error_for: gives the outcome of a call.
        """
        self._error_for = error_for
        self.close()
        for sent in list(self.calls.values()):
            sent.end(error_for(sent))

    def forget(self, sent: Sent) -> None:
        """A call has ended."""
        del self.calls[sent.number]
        self._loads[sent.invocation.chainlet] -= 1

    def _free_number(self) -> int:
        number = next(self._numbers) % _NUMBERS
        while number in self.calls:
            number = next(self._numbers) % _NUMBERS
        return number

    def _on_frame(self, frame: Frame) -> None:
        if frame.kind not in HEARD:
            raise ProtocolError(f"{frame.kind.name} came from a replica")
        sent = self.calls.get(frame.call)
        if sent is not None:  # else it crossed the end of its call
            sent.hear(frame)

    def _on_closed(self, reason: str) -> None:
        self._ended = True
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        if not self._told and self._error_for is None:
            self._told = True
            self._on_lost(self, reason)

    def _came_too_late(self, sent: Sent) -> None:
        if self._error_for is not None:
            sent.end(self._error_for(sent))
        else:
            self._tell("")

"""A replica's front door: the links of its callers, and the calls that come over them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

from fchains.wire.messages import Frame, Kind, ProtocolError
from fchains.worker.replica import Replica
from fchains_local.callframes import invocation_of, refuse_frame
from fchains_local.link import FrameLink
from fchains_local.segments import SegmentPool
from fchains_local.visit import HEARD, Visit

logger = logging.getLogger(__name__)

_PAUSE = 0.5
"""Seconds until callers are let in again when there was no descriptor for one."""


class FrontDoor:
    """Serves a replica to links; on the replica's loop, once the replica has started.

    Args:
        replica: what runs the calls.
        members: its chainlets, by channel number.
        most: inputs of each that it takes, running or waiting.
        publish: told of a channel number and the inputs there, at every change.
        segments: shared memory for large results.
        threaded: those whose code runs in threads; by default any may. Their calls are acknowledged
            one by one, and those of the others together, where several come at once.
    """

    def __init__(
        self,
        replica: Replica,
        members: Sequence[str],
        most: Mapping[str, int],
        publish: Callable[[int, int], None],
        segments: SegmentPool | None = None,
        *,
        threaded: Collection[str] | None = None,
    ) -> None:
        self.refusing = False
        """Refuse all that comes from now on."""
        self.replica = replica
        self.members = tuple(members)
        self.segments = segments
        self.guests: set[_Guest] = set()
        self._channels = {name: channel for channel, name in enumerate(members)}
        self._most = [most[name] for name in members]
        self.threaded = frozenset(members if threaded is None else threaded)
        self._loads = [0] * len(members)
        self._publish = publish
        self._listening: set[socket.socket] = set()

    @property
    def load(self) -> int:
        """Inputs in the replica, running or waiting."""
        return sum(self._loads)

    def listen(self, sock: socket.socket) -> None:
        """Serve whoever connects to a listening socket, which is closed in the end."""
        sock.setblocking(False)
        self._listening.add(sock)
        self.replica.loop.add_reader(sock, self._let_in, sock)

    def serve(self, sock: socket.socket) -> None:
        """Serve the caller at the other end of a connected socket, which the link takes over."""
        _Guest(self, sock)

    def ended(self, chainlet: str, call: str) -> None:
        """An input no longer occupies the replica; what `ReplicaEvents.ended` says."""
        self._count(self._channels[chainlet], -1)

    def close(self) -> None:
        """Let nobody in any more, end all links, and cancel all calls that came over them."""
        for sock in self._listening:
            self.replica.loop.remove_reader(sock)
            sock.close()
        self._listening.clear()
        for guest in list(self.guests):
            guest.close()

    def admit(self, channel: int) -> bool:
        """Count one more input, if it may come."""
        if self.refusing or self._loads[channel] >= self._most[channel]:
            return False
        self._count(channel, 1)
        return True

    def _count(self, channel: int, change: int) -> None:
        self._loads[channel] += change
        self._publish(channel, self._loads[channel])

    def _let_in(self, sock: socket.socket) -> None:
        try:
            connected, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):  # it has gone again
            return
        except OSError as error:
            logger.warning("replica %s can let no caller in for now: %s", self.replica.name, error)
            # The socket stays readable: without a pause the loop would do nothing else.
            self.replica.loop.remove_reader(sock)
            self.replica.loop.call_later(_PAUSE, self._go_on, sock)
            return
        self.serve(connected)

    def _go_on(self, sock: socket.socket) -> None:
        if sock in self._listening:
            self.replica.loop.add_reader(sock, self._let_in, sock)


class _Guest:
    """A link, and its calls that have no outcome yet."""

    def __init__(self, door: FrontDoor, sock: socket.socket) -> None:
        self._door = door
        self._calls: dict[int, Visit] = {}
        door.guests.add(self)
        loop, segments = door.replica.loop, door.segments
        self.link = FrameLink(sock, loop, self._on_frame, self._on_closed, segments=segments)

    def close(self) -> None:
        """End the link and cancel its calls."""
        self.link.close()
        self._leave()

    def _forget(self, number: int) -> None:
        """A call has its outcome."""
        self._calls.pop(number, None)

    def _on_frame(self, frame: Frame) -> None:
        if frame.kind is Kind.CALL:
            self._take(frame)
            return
        if frame.kind not in HEARD:
            raise ProtocolError(f"{frame.kind.name} came from a caller")
        visit = self._calls.get(frame.call)
        if visit is not None:  # else it crossed the outcome
            visit.hear(frame)

    def _on_closed(self, reason: str) -> None:
        if reason:
            logger.warning("replica %s lost a caller: %s", self._door.replica.name, reason)
        self._leave()

    def _leave(self) -> None:
        self._door.guests.discard(self)
        visits, self._calls = list(self._calls.values()), {}
        for visit in visits:
            visit.abandon()

    def _take(self, frame: Frame) -> None:
        door = self._door
        if frame.call in self._calls:
            raise ProtocolError(f"CALL came with number {frame.call}, which is in use")
        if frame.channel >= len(door.members):
            raise ProtocolError(
                f"CALL came for chainlet {frame.channel} of a replica that has {len(door.members)}"
            )
        invocation = invocation_of(frame, door.members[frame.channel])
        if not door.admit(frame.channel):
            self.link.send(refuse_frame(frame.call))
            return
        threaded = invocation.chainlet in door.threaded
        visit = Visit(self.link, frame.call, invocation, self._forget, threaded=threaded)
        self._calls[frame.call] = visit
        try:
            visit.submit(door.replica)
        except Exception as error:
            door.ended(invocation.chainlet, invocation.id)
            visit.lose(f"replica {door.replica.name} could not take it", error)

"""A call that came to a replica over a link, from its CALL to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fchains.calls.invocation import FailureKind, Invocation, Outcome
from fchains.calls.runner import Reply
from fchains.errors import SerializationError, WorkerLost
from fchains.wire.messages import Frame, Kind, ProtocolError
from fchains.wire.payload import Payload
from fchains.worker.outcomes import failed
from fchains.worker.replica import Admitted, Replica
from fchains_local.callframes import (
    RESULT,
    Stop,
    accept_frame,
    credit_frame,
    credit_of,
    end_of,
    item_frame,
    outcome_frame,
    refuse_frame,
    stop_of,
)
from fchains_local.link import FrameLink


class Visit(Reply):
    """A call in a replica, and the reply to it; on the replica's loop.

    Args:
        link: the way to its caller.
        number: of the call on that link.
        invocation: what is called.
        threaded: its code runs in a thread, which may begin before this turn of the loop has ended.
        forget: told the number as the outcome goes; nothing about the call is heard after that.
    """

    def __init__(
        self,
        link: FrameLink,
        number: int,
        invocation: Invocation,
        forget: Callable[[int], None],
        *,
        threaded: bool,
    ) -> None:
        self._link = link
        self._number = number
        self._invocation = invocation
        self._forget = forget
        self._threaded = threaded
        self._admitted: Admitted | None = None
        self._begun = False
        self._recalled = False
        self._over = False
        self._arrived = dict.fromkeys(invocation.uploads, 0)
        """Items of each streamed parameter that has not ended."""

    def submit(self, replica: Replica) -> None:
        """Hand it to the replica."""
        admitted = replica.submit(self._invocation, self)
        if not self._over:
            self._admitted = admitted

    def lose(self, why: str, error: Exception) -> None:
        """It failed, and not by its own code."""
        invocation = self._invocation
        lost = WorkerLost(f"{invocation.chainlet}: {why} (call {invocation.id})")
        lost.__cause__ = error
        self.accepted()  # a second try would end in the same way
        self.finish(failed(FailureKind.LOST, lost))

    def abandon(self) -> None:
        """Its caller is gone."""
        self._over = True
        self._cancel()
        self._admitted = None

    def accepted(self) -> None:
        if not self._over:
            self._begun = True
            self._link.send(accept_frame(self._number))
            if self._threaded:
                self._link.flush()

    def item(self, payload: Payload) -> None:
        if self._over:
            return
        try:
            self._send(item_frame(self._number, RESULT, payload))
        except SerializationError as error:
            if self._admitted is not None:  # not from inside the generator's own step
                asyncio.get_running_loop().call_soon(self._admitted.cancel)
            self.finish(failed(FailureKind.INVALID, error))

    def consumed(self, stream: str, items: int, size: int) -> None:
        if not self._over:
            number = RESULT + 1 + self._invocation.uploads.index(stream)
            self._link.send(credit_frame(self._number, number, items, size))

    def finish(self, outcome: Outcome) -> None:
        if self._over:
            return
        self._over = True
        self._admitted = None  # which refers to this: its arguments would wait for the cycle collector
        self._forget(self._number)
        if self._recalled:
            self._link.send(refuse_frame(self._number))
            return
        try:
            self._send(outcome_frame(self._number, outcome))
        except SerializationError as error:
            self._link.send(outcome_frame(self._number, failed(FailureKind.INVALID, error)))

    def hear(self, frame: Frame) -> None:
        """A frame of the caller came.

        Raises:
            ProtocolError: it should not have.
        """
        HEARD[frame.kind](self, frame)

    def hear_cancel(self, frame: Frame) -> None:
        """CANCEL came."""
        how = stop_of(frame)
        if how is not Stop.RECALLED:
            self._cancel(timed_out=how is Stop.TIMED_OUT)
        elif not self._begun:
            self._recalled = True
            self._cancel()

    def hear_credit(self, frame: Frame) -> None:
        """CREDIT came."""
        if frame.channel != RESULT:
            raise ProtocolError(f"CREDIT came for stream {frame.channel}, which the replica does not send")
        credit = credit_of(frame)
        if self._admitted is not None:
            self._admitted.consumed(credit.items, credit.bytes)

    def hear_item(self, frame: Frame) -> None:
        """ITEM came."""
        name = self._upload(frame)
        self._arrived[name] += 1
        if self._admitted is not None:
            self._admitted.upload(name, frame.payload)

    def hear_end(self, frame: Frame) -> None:
        """END came."""
        name = self._upload(frame)
        items, failure = end_of(frame)
        arrived = self._arrived.pop(name)
        if items != arrived:
            raise ProtocolError(f"`{name}` of call {self._number}, of {items} items, ended after {arrived}")
        if self._admitted is not None:
            self._admitted.end_upload(name, failure)

    def _send(self, frame: Frame) -> None:
        self._link.send(frame)
        if frame.payload.buffers:
            self._link.detach()  # a generator may use one array for all items, a resource for all results

    def _upload(self, frame: Frame) -> str:
        position = frame.channel - RESULT - 1
        names = self._invocation.uploads
        if not 0 <= position < len(names) or names[position] not in self._arrived:
            raise ProtocolError(f"{frame.kind.name} came for stream {frame.channel}, which is not open")
        return names[position]

    def _cancel(self, *, timed_out: bool = False) -> None:
        if self._admitted is not None:
            self._admitted.cancel(timed_out=timed_out)


HEARD: dict[Kind, Callable[[Visit, Frame], None]] = {
    Kind.CANCEL: Visit.hear_cancel,
    Kind.CREDIT: Visit.hear_credit,
    Kind.ITEM: Visit.hear_item,
    Kind.END: Visit.hear_end,
}

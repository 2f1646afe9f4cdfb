"""A call of this process on its way to a replica, or in it.

Whatever the replica breaks in the protocol of one call loses that call only, and counts as after
its acknowledgement: nobody knows what the replica did with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fchains.calls.invocation import FailureKind, Invocation, Outcome, Success
from fchains.calls.runner import Reply, Transfer
from fchains.errors import SerializationError, WorkerLost
from fchains.wire.failures import Failure
from fchains.wire.messages import Frame, Kind, ProtocolError
from fchains.wire.payload import Payload
from fchains.wire.windows import SendWindow
from fchains.worker.outcomes import cancelled, failed
from fchains_local.callframes import (
    RESULT,
    Stop,
    cancel_frame,
    credit_frame,
    credit_of,
    end_frame,
    item_frame,
    outcome_of,
)

if TYPE_CHECKING:
    from fchains_local.connection import Connection


class ConnReply(Reply, Protocol):
    """Told what becomes of a call; `refused` or `finish` is the last thing it hears."""

    def refused(self) -> None:
        """The replica did not start the call and will not: it may be sent elsewhere."""
        ...


class Sent(Transfer):
    """A call on its way to a replica, or in it; on the client's loop.

    Args:
        connection: the way to the replica.
        number: of the call on its link.
        invocation: what is called.
        reply: told what becomes of it.
    """

    def __init__(self, connection: Connection, number: int, invocation: Invocation, reply: ConnReply) -> None:
        self.number = number
        self.invocation = invocation
        self.accepted = False
        """User code may have started."""
        self.finished = False
        """Its outcome, or its refusal, has come."""
        self.wanted = True
        """It was not cancelled."""
        self._connection = connection
        self._link = connection.link
        self._reply = reply
        self._items = 0
        self._uploads = {
            name: _Upload(stream, SendWindow()) for stream, name in enumerate(invocation.uploads, RESULT + 1)
        }

    def cancel(self, *, timed_out: bool = False) -> None:
        if self.wanted and not self.finished:
            self.wanted = False
            self._link.send(cancel_frame(self.number, Stop.TIMED_OUT if timed_out else Stop.CANCELLED))

    def recall(self) -> None:
        """Ask for the call back; the reply hears `refused` if it had not begun, else it goes on."""
        if self.wanted and not self.accepted and not self.finished:
            self._link.send(cancel_frame(self.number, Stop.RECALLED))

    def consumed(self, items: int, size: int) -> None:
        if not self.finished:
            self._link.send(credit_frame(self.number, RESULT, items, size))

    def upload(self, stream: str, item: Payload) -> None:
        if self.finished:
            return
        upload = self._uploads[stream]
        upload.window.sent(item.size)
        self._send_of_upload(item_frame(self.number, upload.stream, item))

    def end_upload(self, stream: str, failure: Failure | None) -> None:
        if self.finished:
            return
        upload = self._uploads[stream]
        self._send_of_upload(end_frame(self.number, upload.stream, upload.window.end(), failure))

    def whereabouts(self) -> str:
        return self._connection.whereabouts

    def end(self, outcome: Outcome) -> None:
        """It is over; only the first outcome counts."""
        if not self.finished:
            self._close()
            self._reply.finish(outcome)

    def break_off(self, error: ProtocolError) -> None:
        """The replica broke the protocol of this call."""
        if self.finished:
            return
        self._link.send(cancel_frame(self.number, Stop.CANCELLED))
        if not self.accepted:  # its code may run all the same
            self.hear_accept()
        invocation = self.invocation
        text = f"{invocation.chainlet}: its replica broke the protocol: {error} (call {invocation.id})"
        lost = WorkerLost(text)
        lost.__cause__ = error
        self.end(failed(FailureKind.LOST, lost))

    # What the replica says.

    def hear(self, frame: Frame) -> None:
        """A frame about this call came."""
        try:
            HEARD[frame.kind](self, frame)
        except ProtocolError as error:
            self.break_off(error)

    def hear_accept(self, _frame: Frame | None = None) -> None:
        """ACCEPT came."""
        if self.accepted:
            raise ProtocolError("ACCEPT came twice")
        self.accepted = True
        self._reply.accepted()

    def hear_item(self, frame: Frame) -> None:
        """ITEM came."""
        self._must_be_accepted(frame)
        self._must_be_of_result(frame)
        self._items += 1
        self._reply.item(frame.payload)

    def hear_credit(self, frame: Frame) -> None:
        """CREDIT came."""
        name = self._name_of(frame.channel)
        credit = credit_of(frame)
        self._uploads[name].window.credit(credit.items, credit.bytes)
        self._reply.consumed(name, credit.items, credit.bytes)

    def hear_refusal(self, _frame: Frame) -> None:
        """REFUSE came."""
        if self.accepted:
            raise ProtocolError("REFUSE came after ACCEPT")
        if self.wanted:
            self._close()
            self._reply.refused()
        else:
            self.end(cancelled(self.invocation.chainlet, self.invocation.id))

    def hear_outcome(self, frame: Frame) -> None:
        """RESULT, END or ERROR came."""
        self._must_be_of_result(frame)
        outcome = outcome_of(frame)
        if isinstance(outcome, Success):
            self._must_be_accepted(frame)
            if outcome.items != self._items:
                raise ProtocolError(f"a stream of {outcome.items} items ended after {self._items} of them")
        self.end(outcome)

    def _must_be_accepted(self, frame: Frame) -> None:
        if not self.accepted:
            raise ProtocolError(f"{frame.kind.name} came before ACCEPT")

    def _must_be_of_result(self, frame: Frame) -> None:
        if frame.channel != RESULT:
            raise ProtocolError(f"{frame.kind.name} came for stream {frame.channel}, which the caller sends")

    def _name_of(self, stream: int) -> str:
        names = self.invocation.uploads
        if not 0 < stream <= len(names):
            raise ProtocolError(f"CREDIT came for stream {stream}, which the call does not have")
        return names[stream - 1]

    def _send_of_upload(self, frame: Frame) -> None:
        try:
            self._link.send(frame)
        except SerializationError as error:
            self.cancel()
            self.end(failed(FailureKind.INVALID, error))

    def _close(self) -> None:
        # First of all: whoever is told then must find the room that it leaves.
        self.finished = True
        self._connection.forget(self)


class _Upload(NamedTuple):
    """A streamed parameter as it is sent."""

    stream: int
    window: SendWindow


HEARD: dict[Kind, Callable[[Sent, Frame], None]] = {
    Kind.ACCEPT: Sent.hear_accept,
    Kind.ITEM: Sent.hear_item,
    Kind.CREDIT: Sent.hear_credit,
    Kind.REFUSE: Sent.hear_refusal,
    Kind.RESULT: Sent.hear_outcome,
    Kind.END: Sent.hear_outcome,
    Kind.ERROR: Sent.hear_outcome,
}

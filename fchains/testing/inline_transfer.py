"""An invocation on its way to an inline replica and back, across threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from fchains.calls.invocation import FailureKind, Invocation, Outcome, Success
from fchains.calls.portal import portal
from fchains.calls.runner import Reply, Transfer
from fchains.errors import WorkerLost
from fchains.wire.failures import Failure
from fchains.wire.payload import Payload
from fchains.worker.outcomes import failed

if TYPE_CHECKING:
    from fchains.testing.inline_replica import InlineReplica
    from fchains.worker.replica import Admitted


class Owner(Protocol):
    """The replicas that an invocation may go to."""

    @property
    def any_open(self) -> bool: ...

    def withdraw(self, transfer: InlineTransfer) -> None: ...

    def replace(self, replica: InlineReplica, why: str) -> None: ...


class InlineTransfer(Transfer):
    """Lives on the portal's loop; posts to the replica's loop."""

    def __init__(self, invocation: Invocation, reply: Reply, owner: Owner) -> None:
        self.invocation = invocation
        self.reply = reply
        self.cancelled = False
        self._owner = owner
        self._replica: InlineReplica | None = None
        self._admitted: Admitted | None = None
        self._heard = False
        self._handover = Handover()

    @property
    def chainlet(self) -> str:
        """The chainlet that it calls."""
        return self.invocation.chainlet

    @property
    def awaits_start(self) -> bool:
        return self._replica is None and not self._owner.any_open

    def assign(self, replica: InlineReplica) -> None:
        """Hand the invocation to a replica."""
        replica.transfers.add(self)
        self._handover = Handover()
        self._replica = replica
        replica.portal.post(self._submit, replica)

    def recall(self) -> bool:
        """Take the invocation back from its replica; False when its user code may have started."""
        if self.cancelled or not self._handover.recall():
            return False
        if self._replica is not None and self._admitted is not None:
            self._replica.portal.post(self._admitted.cancel)
        self._replica = self._admitted = None
        return True

    def cancel(self, *, timed_out: bool = False) -> None:
        self.cancelled = True
        if self._replica is None:
            self._owner.withdraw(self)
            return
        self._to_replica(lambda admitted: self._cancel(admitted, timed_out))
        if timed_out:
            self._find_out_whether_heard(self._replica)

    def consumed(self, items: int, size: int) -> None:
        self._to_replica(lambda admitted: admitted.consumed(items, size))

    def upload(self, stream: str, item: Payload) -> None:
        detached = item.detached()
        self._to_replica(lambda admitted: admitted.upload(stream, detached))

    def end_upload(self, stream: str, failure: Failure | None) -> None:
        self._to_replica(lambda admitted: admitted.end_upload(stream, failure))

    def whereabouts(self) -> str:
        return self._admitted.whereabouts() if self._admitted is not None else ""

    def _submit(self, replica: InlineReplica) -> None:
        # A copy for each attempt: user code may write into the arrays it gets.
        sent = replace(self.invocation, arguments=self.invocation.arguments.detached())
        handover = self._handover
        reply = _PostedReply(self.reply, handover)
        try:
            admitted = replica.replica.submit(sent, reply, handover.accept)
        except Exception as error:
            lost = WorkerLost(f"{sent.chainlet}: replica {replica.name} could not take call {sent.id}")
            lost.__cause__ = error
            reply.accepted()  # a second try would end in the same way
            reply.finish(failed(FailureKind.LOST, lost))
            replica.ended(sent.chainlet, sent.id)
        else:
            if handover is self._handover:
                self._admitted = admitted

    def _cancel(self, admitted: Admitted, timed_out: bool) -> None:
        self._heard = True
        admitted.cancel(timed_out=timed_out)

    def _find_out_whether_heard(self, replica: InlineReplica) -> None:
        """A blocked event loop cannot even hear that time is up: then it is found out from here."""
        chainlet = self.chainlet
        grace = replica.grace(chainlet)

        def look() -> None:
            if not self._heard:
                where = replica.replica.blocked()
                why = f"{chainlet}, replica {replica.name}: the event loop is blocked{where}"
                self._owner.replace(replica, f"{why}, {grace:g} s after a call in it ran out of time")

        portal().loop.call_later(grace, look)

    def _to_replica(self, action: Callable[[Admitted], None]) -> None:
        def act() -> None:
            if self._admitted is not None:
                action(self._admitted)

        if self._replica is not None:
            self._replica.portal.post(act)


class Handover:
    """Decides between a replica that starts a call and an owner that takes it back: one of both wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted = False
        self.recalled = False

    def accept(self) -> bool:
        """User code is about to start; False when the call has been taken back."""
        with self._lock:
            self._accepted = not self.recalled
            return self._accepted

    def recall(self) -> bool:
        """Take the call back; False when its code has started."""
        with self._lock:
            self.recalled = not self._accepted
            return self.recalled


class _PostedReply:
    """Tells a reply that lives on the portal's loop, from the replica's."""

    def __init__(self, reply: Reply, handover: Handover) -> None:
        self._reply = reply
        self._handover = handover

    def accepted(self) -> None:
        portal().post(self._reply.accepted)

    def item(self, payload: Payload) -> None:
        portal().post(self._reply.item, payload.detached())

    def consumed(self, stream: str, items: int, size: int) -> None:
        portal().post(self._reply.consumed, stream, items, size)

    def finish(self, outcome: Outcome) -> None:
        if isinstance(outcome, Success):
            outcome = Success(outcome.payload.detached(), outcome.items)
        if not self._handover.recalled:
            portal().post(self._reply.finish, outcome)

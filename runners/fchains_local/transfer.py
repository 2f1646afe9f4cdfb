"""One invocation on its way to a replica, as its caller's dispatch holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fchains.calls.invocation import Invocation, Outcome
from fchains.calls.runner import Reply, Transfer
from fchains.wire.failures import Failure
from fchains.wire.payload import Payload
from fchains_local.connection import Sent
from fchains_local.remote import Remote

if TYPE_CHECKING:
    from fchains_local.pool import Pool


ANSWER_SECONDS = 0.1
"""How long after a deadline the replica's own word of it, which names the line, may still come."""


class LocalTransfer(Transfer):
    """Waits for a replica, is there, or has ended; on the client's loop."""

    def __init__(self, invocation: Invocation, reply: Reply, pool: Pool) -> None:
        self.invocation = invocation
        self.reply = reply
        self.pool = pool
        self.refusals = 0
        self.remote: Remote | None = None
        self._sent: Sent | None = None
        self._over = False
        self._recalled = False
        self._wanted = True

    @property
    def chainlet(self) -> str:
        """The chainlet that it calls."""
        return self.invocation.chainlet

    @property
    def accepted(self) -> bool:
        """Whether its user code has begun."""
        return self._sent is not None and self._sent.accepted

    @property
    def answers_within(self) -> float:
        return ANSWER_SECONDS if self.accepted else 0.0

    @property
    def awaits_start(self) -> bool:
        return self._sent is None and not self.pool.any_open

    def assign(self, remote: Remote) -> None:
        """Send it to a replica."""
        self.remote = remote
        self._sent = remote.send(self.invocation, _Heard(self))

    def cancel(self, *, timed_out: bool = False) -> None:
        if self._over or not self._wanted:
            return
        self._wanted = False
        if self._sent is None:
            self._over = True
            self.pool.withdraw(self)
            return
        self._sent.cancel(timed_out=timed_out)
        grace = self.pool.members[self.chainlet].options.grace
        patience = 0.0 if timed_out else self.invocation.budget
        if patience is not None:
            self.pool.later(patience + max(grace, ANSWER_SECONDS), self._look)
        self.pool.ended(self, self.remote)

    def recall(self) -> None:
        """Ask for it back, unless its user code has begun."""
        if self._sent is not None and self._wanted:
            self._recalled = True
            self._sent.recall()

    def cancel_there(self) -> None:
        """Stop its work, and still hear of its end."""
        if self._sent is not None:
            self._sent.cancel()

    def consumed(self, items: int, size: int) -> None:
        if self._sent is not None:
            self._sent.consumed(items, size)

    def upload(self, stream: str, item: Payload) -> None:
        if self._sent is not None:
            self._sent.upload(stream, item)

    def end_upload(self, stream: str, failure: Failure | None) -> None:
        if self._sent is not None:
            self._sent.end_upload(stream, failure)

    def whereabouts(self) -> str:
        return self._sent.whereabouts() if self._sent is not None else ""

    def refused(self) -> None:
        """The replica did not take it, or gave it back."""
        self._sent = self.remote = None
        if self._wanted:
            self.refusals += not self._recalled
            self._recalled = False
            self.pool.again(self)
        else:
            self._over = True

    def finish(self, outcome: Outcome) -> None:
        """It is over."""
        if self._over:
            return
        self._over = True
        self._sent = None  # which refers to this: its arguments would wait for the cycle collector
        if self._wanted:
            self.pool.ended(self, self.remote)
            self.reply.finish(outcome)

    def _look(self) -> None:
        """A replica that has not even answered that the time is up is blocked, or stopped."""
        sent, remote = self._sent, self.remote
        if self._over or sent is None or remote is None or sent.finished:
            return
        where = self.whereabouts()
        why = f"it did not hear that call {self.invocation.id} should stop{where}"
        self.pool.stuck(remote, f"{self.chainlet}, replica {remote.name}: {why}")


class _Heard:
    """What a replica says of one invocation."""

    def __init__(self, transfer: LocalTransfer) -> None:
        self._transfer = transfer
        self.accepted = transfer.reply.accepted
        self.item = transfer.reply.item
        self.consumed = transfer.reply.consumed
        self.finish = transfer.finish
        self.refused = transfer.refused

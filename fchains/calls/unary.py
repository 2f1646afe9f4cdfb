"""The short way to a runner: a channel that answers one invocation with one outcome."""

from __future__ import annotations

import abc
import asyncio

from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome
from fchains.calls.runner import Channel, Reply, Transfer
from fchains.errors import WorkerLost
from fchains.wire.failures import failure_of


class UnaryChannel(Channel):
    """A channel without streams; give `invoke`.

    Cancelling a call cancels the task that `invoke` runs in. What `invoke` raises is the failure of
    the machinery, and reaches the caller as `WorkerLost`.
    """

    @abc.abstractmethod
    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run an invocation somewhere, from start to end."""

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        return _Invoking(asyncio.get_running_loop().create_task(self._answer(invocation, reply)))

    async def _answer(self, invocation: Invocation, reply: Reply) -> None:
        reply.accepted()
        try:
            outcome = await self.invoke(invocation)
        except Exception as error:
            lost = WorkerLost(f"{invocation.chainlet}: call {invocation.id} was lost: {error!r}")
            lost.__cause__ = error
            outcome = Failed(FailureKind.LOST, failure_of(lost))
        reply.finish(outcome)


class _Invoking(Transfer):
    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self, *, timed_out: bool = False) -> None:
        self._task.cancel()

"""A batched function in its replica: calls gather, and one execution serves many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fchains.calls.context import ACTIVE, ActiveCall, CallInfo
from fchains.calls.invocation import FailureKind, Invocation, Outcome
from fchains.calls.runner import Reply
from fchains.definition.spec import Definition
from fchains.errors import CallCancelled, FchainsError, InvalidArguments, SerializationError
from fchains.worker.batcher import Batcher, Member, settle
from fchains.worker.host import Host
from fchains.worker.outcomes import cancelled, failed, of_bad_arguments, of_value, timed_out
from fchains.worker.slots import Lease, Slots
from fchains.worker.threads import Raised, Result, Returned, Running


@dataclass(eq=False)
class Joined:
    """A call in the queue or in a running batch."""

    invocation: Invocation
    reply: Reply
    arguments: dict[str, object]
    received: float
    may_start: Callable[[], bool]
    batch: Batch | None = None
    timer: asyncio.TimerHandle | None = None
    answered: bool = False

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, once."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.answered:
            self.answered = True
            self.reply.finish(outcome)


class BatchQueue:
    """The calls of one batched chainlet in one replica; lives on the replica's loop."""

    def __init__(self, host: Host, definition: Definition) -> None:
        if definition.batch is None:
            raise ValueError(f"{definition.name} is not batched")
        self.host = host
        self.definition = definition
        self.slots = Slots(definition.slots, self.advance)
        self.running: set[Batch] = set()
        self._batcher: Batcher[Joined] = Batcher(definition.batch.max_size, definition.batch.max_wait)
        self._wake: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._batcher)

    def admit(self, invocation: Invocation, reply: Reply, may_start: Callable[[], bool]) -> Joined | None:
        """Let a call join, if its arguments are good; None when it was answered at once."""
        try:
            arguments = self.definition.types.arguments.decode(invocation.arguments)
        except (InvalidArguments, SerializationError) as error:
            reply.finish(of_bad_arguments(self.definition.name, error))
            return None
        now = time.monotonic()
        deadline = None if invocation.remaining is None else now + invocation.remaining
        joined = Joined(invocation, reply, arguments, now, may_start)
        self._batcher.admit(Member(joined, joined, now, deadline))
        self.host.loop.call_soon(self.advance)
        return joined

    def cancel(self, joined: Joined, *, out_of_time: bool) -> None:
        """A caller has gone, or its time is up; the others of its batch are not concerned."""
        sent = joined.invocation
        joined.answer(timed_out(sent) if out_of_time else cancelled(sent.chainlet, sent.id))
        if not self._batcher.drop(joined) and joined.batch is not None:
            joined.batch.left(out_of_time=out_of_time)

    def cancel_all(self) -> None:
        """Cancel those that wait, and those that run."""
        waiting = [member.value for member in self._batcher]
        for joined in [*waiting, *(member for batch in list(self.running) for member in batch.members)]:
            self.cancel(joined, out_of_time=False)

    def advance(self) -> None:
        """Start what is due, and see to it that the rest is looked at in time."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while True:
            now = time.monotonic()
            step = self._batcher.next(now, self.slots.free)
            for member in step.expired:
                joined = member.value
                joined.answer(timed_out(joined.invocation))
            if not step.batch:
                break
            members = [member.value for member in step.batch if self._may_start(member.value)]
            if members:
                self.slots.take()
                Batch(self, members).start()
        if step.wake_at is not None:
            self._wake = self.host.loop.call_later(max(0.0, step.wake_at - now), self.advance)

    def _may_start(self, joined: Joined) -> bool:
        if joined.may_start():
            return True
        joined.answer(cancelled(joined.invocation.chainlet, joined.invocation.id))
        return False

    def ended(self, batch: Batch) -> None:
        """A batch's code has ended."""
        self.running.discard(batch)


class Batch:
    """One execution of a batched function."""

    def __init__(self, queue: BatchQueue, members: list[Joined]) -> None:
        self.queue = queue
        self.definition = queue.definition
        self.host = queue.host
        self.members = members
        self.running: Running | None = None
        self.task: asyncio.Task[None] | None = None
        self._ends_at: float | None = 0.0
        """When the last member's time is up, as a `time.monotonic()` value; None without a limit."""
        self._lease: Lease | None = None
        self._active: ActiveCall | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._stopping = False
        self._over = False

    @property
    def where(self) -> str:
        """The hop, as tracebacks name it."""
        return f"chainlet {self.definition.name}, replica {self.host.info(self.definition).replica}"

    def start(self) -> None:
        """Run the function on the members' arguments, in a fresh context."""
        self.queue.running.add(self)
        self._lease = Lease(self.queue.slots, self.host.loop)
        context = self.host.context(self.definition)
        self._active = self._activate(self._lease)
        context.run(ACTIVE.set, self._active)
        arguments: dict[str, object] = {
            p.name: [member.arguments[p.name] for member in self.members]
            for p in self.definition.signature.parameters
        }
        for name, resource in self.definition.signature.injected.items():
            arguments[name] = self.host.resources[resource]
        for member in self.members:
            self._admit(member)
        self._run(arguments, context)

    def left(self, *, out_of_time: bool) -> None:
        """A member's caller has gone; when all have, the code is told to stop.

        Code that ignores it after a mere cancellation keeps its slot until the deadline.
        """
        if not self._over and not self._stopping and all(other.answered for other in self.members):
            self._stopping = True
            if self._active is not None:
                self._active.info.cancelled = True
                for child in list(self._active.children):
                    child.cancel_child()
            if self.task is not None:
                self.task.cancel()
            elif self.running is not None:
                self.running.interrupt(CallCancelled)
            patience = self._patience(out_of_time=out_of_time)
            if patience is not None:
                self._grace = self.host.loop.call_later(patience, self._ignored)

    def _patience(self, *, out_of_time: bool) -> float | None:
        options = self.definition.options
        if out_of_time:
            return options.grace
        if options.kill_on_cancel:
            return 0.0
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic()) + options.grace

    def _admit(self, member: Joined) -> None:
        member.batch = self
        limits = [member.invocation.timeout]
        if member.invocation.remaining is not None:
            limits.append(member.received + member.invocation.remaining - time.monotonic())
        known = [limit for limit in limits if limit is not None]
        if not known:
            self._ends_at = None
        else:
            if self._ends_at is not None:
                self._ends_at = max(self._ends_at, time.monotonic() + min(known))
            cancel = partial(self.queue.cancel, member, out_of_time=True)
            member.timer = self.host.loop.call_later(max(0.0, min(known)), cancel)
        member.reply.accepted()

    def _activate(self, lease: Lease) -> ActiveCall:
        infos = tuple(self._info(member) for member in self.members)
        first = infos[0]
        info = CallInfo(
            first.id,
            first.chain_id,
            first.chainlet,
            first.attempt,
            first.deadline,
            first.headers,
            first.trace,
            infos,
        )
        path = max((member.invocation.path for member in self.members), key=len)
        return ActiveCall(info, self.host.info(self.definition), self.host.session, path, lease)

    def _info(self, member: Joined) -> CallInfo:
        sent = member.invocation
        budget = sent.budget
        deadline = None if budget is None else time.monotonic() + budget
        return CallInfo(
            sent.id, sent.chain_id, sent.chainlet, sent.attempt, deadline, sent.headers, sent.trace
        )

    def _run(self, arguments: dict[str, object], context: Context) -> None:
        if self.definition.signature.is_async:
            self.task = self.host.loop.create_task(self._call(arguments), context=context)
            self.task.add_done_callback(self._never_began)
        else:
            function = partial(self.definition.function, **arguments)
            self.running = self.host.threads(self.definition).run(function, self._ended, context=context)

    async def _call(self, arguments: dict[str, object]) -> None:
        result: Result[Any]
        try:
            result = Returned(await cast("Awaitable[Any]", self.definition.function(**arguments)))
        except BaseException as error:
            result = Raised(error)
        self._finish(self._outcomes(result))

    def _never_began(self, task: asyncio.Task[None]) -> None:
        # All callers left before the first step; `_call` itself catches what is raised in it.
        if task.cancelled():
            self._finish([cancelled(self.definition.name, member.invocation.id) for member in self.members])

    def _ended(self, result: Result[Any]) -> None:
        self.host.loop.call_soon_threadsafe(self._finish, self._outcomes(result))

    def _outcomes(self, result: Result[Any]) -> list[Outcome]:
        size = len(self.members)
        try:
            if isinstance(result, Raised):
                raise result.error
            values = settle(result.value, size)
        except FchainsError as error:
            kind = FailureKind.USER if isinstance(result, Raised) else FailureKind.INVALID
            return [failed(kind, error, self.where)] * size
        except BaseException as error:
            return [failed(FailureKind.USER, error, self.where)] * size
        return [self._outcome(value) for value in values]

    def _outcome(self, value: object) -> Outcome:
        if isinstance(value, Exception):
            return failed(FailureKind.USER, value, self.where)
        return of_value(self.definition, value, self.where)

    def _finish(self, outcomes: list[Outcome]) -> None:
        self._over = True
        if self._grace is not None:
            self._grace.cancel()
        for member, outcome in zip(self.members, outcomes, strict=True):
            member.answer(outcome)
        if self._active is not None:
            for child in list(self._active.children):
                child.cancel_child()
        self.queue.ended(self)
        if self._lease is not None:
            self._lease.end()

    def _ignored(self) -> None:
        self.host.stuck(self, "a batch went on after all its callers had left, longer than its grace allows")

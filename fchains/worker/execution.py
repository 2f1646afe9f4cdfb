"""One invocation in its replica, from the moment it gets a slot to its outcome."""

from __future__ import annotations

import abc
import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from fchains.calls.context import ACTIVE, ActiveCall, CallInfo
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome
from fchains.calls.runner import Reply
from fchains.definition.spec import Definition
from fchains.errors import CallCancelled, InvalidArguments, SerializationError
from fchains.worker.host import Host
from fchains.worker.outcomes import cancelled, failed, of_bad_arguments, timed_out
from fchains.worker.slots import Lease, Slots
from fchains.worker.threads import Running
from fchains.worker.uploading import UploadReader
from fchains.worker.whereabouts import of_task, of_thread

logger = logging.getLogger(__name__)

_INTERRUPT = f"{CallCancelled.__module__}:{CallCancelled.__qualname__}"


def always() -> bool:
    """Leave to start, for calls that are never taken back."""
    return True


class Execution(abc.ABC):
    """Runs an invocation's user code; everything but the user code is on the replica's loop."""

    def __init__(
        self, host: Host, definition: Definition, invocation: Invocation, reply: Reply, slots: Slots
    ) -> None:
        self.host = host
        self.definition = definition
        self.invocation = invocation
        self.reply = reply
        self.slots = slots
        self.started = False
        self.may_start: Callable[[], bool] = always
        """Asked right before user code starts: False when the call has been given to another replica."""
        self.running: Running | None = None
        self.task: asyncio.Task[None] | None = None
        self.active: ActiveCall | None = None
        self.uploads: dict[str, UploadReader] = {}
        self._lease: Lease | None = None
        self._received = time.monotonic()
        self._replied = False
        self._stopping = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def where(self) -> str:
        """The hop, as tracebacks name it."""
        return f"chainlet {self.definition.name}, replica {self.host.info(self.definition).replica}"

    def admit(self) -> None:
        """Wait for a slot; the caller's deadline runs already."""
        for name in self.invocation.uploads:
            codec = self.definition.types.uploads[name]
            self.uploads[name] = UploadReader(name, codec, self.host.loop, self.reply)
        if self.invocation.remaining is not None:
            self._arm(self.invocation.remaining, self._out_of_time)
        self.slots.acquire(self, self._start)

    def cancel(self, *, timed_out: bool) -> None:
        """The caller has gone, or its time is up: stop the code and free what it holds."""
        if self._over:  # it crossed the outcome: nothing is left to stop, and nobody ignores anything
            return
        if not self.started:
            self._give_up(self._stopped_outcome(timed_out=timed_out))
            return
        self.answer(self._stopped_outcome(timed_out=timed_out))
        self._stop()
        if timed_out:
            self._arm(self.definition.options.grace, self._ignored)
        elif self.definition.options.kill_on_cancel:
            self._arm(0.0, self._unwanted)

    @property
    def whereabouts(self) -> str:
        """Where the code is right now, as ` at file:line`."""
        if self.running is not None:
            return of_thread(self.running.thread_id)
        return of_task(self.task) if self.task is not None else ""

    @abc.abstractmethod
    def run(self, arguments: dict[str, object], context: Context) -> None:
        """Start the user code; `finish` is called with its outcome."""

    def interrupt(self) -> None:
        """Raise in the user code: `CancelledError` on the loop, `CallCancelled` in a thread."""
        if self.task is not None:
            self.task.cancel()
        elif self.running is not None:
            self.running.interrupt(CallCancelled)

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, once."""
        if not self._replied:
            self._replied = True
            self.reply.finish(outcome)

    def finish(self, outcome: Outcome) -> None:
        """The user code has ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._end_children()
        if self._replied:
            self._log_late(outcome)
        self._over = True
        # Before the answer: a caller who calls again at once must find the room that it made.
        self.host.ended(self)
        self.answer(outcome)
        if self._lease is not None:
            self._lease.end()

    @property
    def stopping(self) -> bool:
        """Whether the code was told to stop."""
        return self._stopping

    def spawn(self, work: Coroutine[Any, Any, None], context: Context) -> None:
        """Run async user code as a task of its own."""
        self.task = self.host.loop.create_task(work, context=context)
        self.task.add_done_callback(self._never_began)

    def allow(self, seconds: float | None) -> None:
        """Let the code go on for so many seconds, within what the caller's deadline leaves."""
        if self._stopping:
            return
        left = self._left()
        limits = [limit for limit in (seconds, left) if limit is not None]
        if limits:
            self._arm(max(0.0, min(limits)), self._out_of_time)
        elif self._timer is not None:
            self._timer.cancel()

    def _start(self) -> None:
        self.started = True
        if not self.may_start():
            self._abandon(cancelled(self.definition.name, self.invocation.id))
            return
        try:
            arguments = self.definition.types.arguments.decode(self.invocation.arguments)
        except (InvalidArguments, SerializationError) as error:
            self._abandon(of_bad_arguments(self.definition.name, error))
            return
        except Exception as error:  # a hook of the user's own class, which decoding runs
            self._abandon(failed(FailureKind.INVALID, error, self.where))
            return
        self._lease = Lease(self.slots, self.host.loop)
        self.active = self._activate(self._lease)
        context = self.host.context(self.definition)
        context.run(ACTIVE.set, self.active)
        for name, resource in self.definition.signature.injected.items():
            arguments[name] = self.host.resources[resource]
        arguments.update(self.uploads)
        self.allow(self.definition_timeout)
        self.reply.accepted()
        self.run(arguments, context)

    @property
    def definition_timeout(self) -> float | None:
        """Seconds of execution that the caller allows."""
        return self.invocation.timeout

    def _activate(self, lease: Lease) -> ActiveCall:
        invocation = self.invocation
        info = CallInfo(
            id=invocation.id,
            chain_id=invocation.chain_id,
            chainlet=self.definition.name,
            attempt=invocation.attempt,
            deadline=self._deadline(),
            headers=invocation.headers,
            trace=invocation.trace,
        )
        return ActiveCall(info, self.host.info(self.definition), self.host.session, invocation.path, lease)

    def _deadline(self) -> float | None:
        ends: list[float] = []
        if self.invocation.remaining is not None:
            ends.append(self._received + self.invocation.remaining)
        if self.invocation.timeout is not None and self.definition.kind == "unary":
            ends.append(time.monotonic() + self.invocation.timeout)
        return min(ends) if ends else None

    def _left(self) -> float | None:
        if self.invocation.remaining is None:
            return None
        return self._received + self.invocation.remaining - time.monotonic()

    def _stopped_outcome(self, *, timed_out: bool) -> Failed:
        if timed_out:
            return self._timeout_outcome()
        return cancelled(self.definition.name, self.invocation.id)

    def _timeout_outcome(self) -> Failed:
        return timed_out(self.invocation, self.whereabouts)

    def _never_began(self, task: asyncio.Task[None]) -> None:
        # The code's own coroutine catches what is raised in it: it was cancelled before its first step.
        if task.cancelled():
            self.finish(cancelled(self.definition.name, self.invocation.id))

    def _log_late(self, outcome: Outcome) -> None:
        """Nobody else hears of an error that came after the caller was answered."""
        if isinstance(outcome, Failed) and outcome.kind is FailureKind.USER:
            failure = outcome.failure
            if failure.type_name != _INTERRUPT:
                logger.warning(
                    "%s: the code of call %s, which was given up before, failed with %s: %s",
                    self.definition.name,
                    self.invocation.id,
                    failure.type_name.rpartition(":")[2],
                    failure.message,
                )

    def _out_of_time(self) -> None:
        self.cancel(timed_out=True)

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        if self.active is not None:
            self.active.info.cancelled = True
            for child in list(self.active.children):
                child.cancel_child()
        self.interrupt()

    def _ignored(self) -> None:
        where = self.whereabouts
        grace = self.definition.options.grace
        self.host.stuck(self, f"its code went on for {grace:g} s after it was told to stop{where}")

    def _unwanted(self) -> None:
        self.host.stuck(self, f"a call was cancelled, and kill_on_cancel ends its code{self.whereabouts}")

    def _give_up(self, outcome: Failed) -> None:
        self.slots.withdraw(self)
        self._abandon_before_start(outcome)

    def _abandon_before_start(self, outcome: Failed) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._over = True
        self.host.ended(self)
        self.answer(outcome)

    def _abandon(self, outcome: Failed) -> None:
        self.slots.release()
        self._abandon_before_start(outcome)

    def _end_children(self) -> None:
        if self.active is None or not self.active.children:
            return
        children = list(self.active.children)
        if not self._stopping:
            logger.warning(
                "%s ended with %d of its calls still running; they are cancelled: await them, or return them",
                self.definition.name,
                len(children),
            )
        for child in children:
            child.cancel_child()

    def _arm(self, delay: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.host.loop.call_later(delay, then)

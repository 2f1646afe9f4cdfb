"""Carries one call through its attempts to its one outcome.

A `Dispatch` lives on the portal's loop: every method but `cancel` and `consumed` is called there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fchains.calls.call import Opener
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.calls.portal import Portal
from fchains.calls.retries import next_delay
from fchains.calls.runner import Channel, Transfer
from fchains.calls.states import Event, State, advance
from fchains.calls.trace import Trace
from fchains.calls.uploads import Upload
from fchains.definition.retry import Retry
from fchains.errors import CallCancelled, CallTimeout, SetupError, WorkerLost
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload

logger = logging.getLogger(__name__)


_NOTHING = Payload(b"")


class Route(Protocol):
    """The way to a chainlet's channel, whose deployment may still be starting."""

    def open(self, then: Callable[[Channel], None], fail: Callable[[Failed], None]) -> None:
        """Call one of both on the portal's loop, once."""
        ...


class Sink(Protocol):
    """Where the outcome goes."""

    def settle(self, outcome: Outcome) -> bool: ...


class ItemSink(Sink, Protocol):
    """Where the items of a stream go as well."""

    def put(self, payload: Payload) -> None: ...

    @property
    def empty(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call asks for; the same in each of its attempts.

    Times are in seconds; `deadline` is the caller's, as a `time.monotonic()` value.
    """

    id: str
    chain_id: str
    chainlet: str
    arguments: Payload
    retry: Retry
    timeout: float | None
    startup_timeout: float
    deadline: float | None
    trace: Trace
    path: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    key: str | None = None
    on_overload: Callable[[], None] | None = None
    """Told of each refusal by a caller that waits instead of failing, as a map does."""

    def invocation(self, attempt: int, uploads: tuple[str, ...]) -> Invocation:
        remaining = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        return Invocation(
            self.id,
            self.chain_id,
            self.chainlet,
            self.arguments,
            attempt,
            self.timeout,
            remaining,
            self.trace,
            self.path,
            self.headers,
            uploads,
            self.key,
        )


class Dispatch:
    """One call on its way, as a `Child` of its caller's invocation and the work of its `Call`."""

    def __init__(
        self,
        plan: Plan,
        route: Route,
        portal: Portal,
        sink: Sink,
        opener: Opener,
        *,
        items: ItemSink | None = None,
        uploads: Mapping[str, Upload] | None = None,
        on_settled: Callable[[Dispatch], None] | None = None,
    ) -> None:
        self.plan = plan
        self.state = State.WAITING
        self._route = route
        self._portal = portal
        self._sink = sink
        self._opener = opener
        self._items = items
        self._uploads = dict(uploads or {})
        self._on_settled = on_settled
        self._attempts = 0
        self._overloads = 0
        self._resends = 0
        self._attempt: _Attempt | None = None
        self._transfer: Transfer | None = None
        self._streamed = False
        self._unsent_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; on the portal's loop."""
        if self.plan.deadline is not None and not self.state.settled:
            left = max(0.0, self.plan.deadline - time.monotonic())
            self._deadline_timer = self._portal.loop.call_later(left, self._deadline_passed)
        self._open()

    def cancel(self) -> None:
        """Cancel the call; from any thread."""
        self._portal.post(self._cancel)

    cancel_child = cancel

    def consumed(self, items: int, size: int) -> None:
        """The reader took items from the stream; from any thread."""
        self._portal.post(self._consumed, items, size)

    def _open(self) -> None:
        if self.state is State.WAITING:
            self._route.open(self._send, self._failed)

    def _send(self, channel: Channel) -> None:
        if self.state is not State.WAITING:
            return
        self.state = advance(self.state, Event.SEND)
        self._attempts += 1
        self._attempt = _Attempt(self)
        self._arm(self.plan.startup_timeout, self._never_started)
        invocation = self.plan.invocation(self._attempts, tuple(self._uploads))
        try:
            self._transfer = channel.send(invocation, self._attempt)
        except Exception as error:  # of the runner: the call ends all the same
            self._end_attempt()
            self._settle(Event.FAIL, not_sent(self.plan.chainlet, error))

    def accepted(self) -> None:
        if self.state is not State.SENT:
            return
        self.state = advance(self.state, Event.ACCEPT)
        self._arm(self.plan.timeout, self._timed_out)
        if self._uploads and self._transfer is not None:
            self._streamed = True
            for upload in self._uploads.values():
                upload.open(self._transfer)

    def item(self, payload: Payload) -> None:
        self._streamed = True
        self._arm(self.plan.timeout, self._timed_out)
        if self._items is not None:
            self._items.put(payload)

    def upload_consumed(self, stream: str, items: int, size: int) -> None:
        self._uploads[stream].consumed(items, size)

    def finish(self, outcome: Outcome) -> None:
        if isinstance(outcome, Success):
            self._settle(Event.SUCCEED, outcome)
        else:
            self._failed(outcome)

    def _failed(self, failed: Failed) -> None:
        self._end_attempt()
        delay = self._delay(failed)
        if delay is None:
            self._settle(Event.FAIL, failed)
            return
        if self.state is not State.WAITING:
            self.state = advance(self.state, Event.RETRY)
        logger.debug(
            "%s: attempt %d of call %s failed (%s); the next follows in %.3f s",
            self.plan.chainlet,
            self._attempts,
            self.plan.id,
            failed.kind.value,
            delay,
        )
        self._arm(delay, self._open)

    def _delay(self, failed: Failed) -> float | None:
        if failed.kind is FailureKind.OVERLOADED and self.plan.on_overload is not None:
            self.plan.on_overload()
            self._overloads += 1
            return _pause(self._overloads)
        user_error = failed.kind is FailureKind.USER and bool(self.plan.retry.on)
        error = type(self._opener.error(failed)) if user_error else Exception
        deadline = self.plan.deadline
        delay = next_delay(
            self.plan.retry,
            failed,
            error,
            attempt=max(1, self._attempts - self._resends),
            accepted=self.state is State.RUNNING,
            streamed=self._streamed,
            remaining=None if deadline is None else deadline - time.monotonic(),
            random=random.random,
        )
        if delay is not None and failed.kind is FailureKind.LOST and self.state is not State.RUNNING:
            return self._resend_delay()
        return delay

    def _resend_delay(self) -> float | None:
        """What nobody took goes elsewhere at once, then ever more slowly, for `startup_timeout` at most."""
        now = time.monotonic()
        if self._resends == 0:
            self._unsent_since = now
        elif now - self._unsent_since > self.plan.startup_timeout:
            return None
        self._resends += 1
        return 0.0 if self._resends == 1 else _pause(self._resends)

    def _never_started(self) -> None:
        within = f"within its startup_timeout of {self.plan.startup_timeout:g} s"
        if self._transfer is None or not self._transfer.awaits_start:
            self._time_out(f"no replica took the call {within}")
            return
        self._portal.loop.call_soon(functools.partial(self._transfer.cancel, timed_out=True))
        error = SetupError(f"{self.plan.chainlet}: no replica was ready {within} (call {self.plan.id})")
        self._failed(Failed(FailureKind.SETUP, failure_of(error)))

    def _timed_out(self) -> None:
        if self._items is not None and not self._items.empty:
            self._arm(self.plan.timeout, self._timed_out)  # it is the reader who pauses
            return
        what = "waited longer for an item than" if self._items is not None else "passed"
        time_out = functools.partial(self._time_out, f"{what} its timeout of {self.plan.timeout:g} s")
        if self._patience:
            self._arm(self._patience, time_out)
        else:
            time_out()

    def _deadline_passed(self) -> None:
        time_out = functools.partial(self._time_out, "passed the deadline of its caller", final=True)
        if self._patience and not self.state.settled:
            self._deadline_timer = self._portal.loop.call_later(self._patience, time_out)
        else:
            time_out()

    @property
    def _patience(self) -> float:
        return self._transfer.answers_within if self._transfer is not None else 0.0

    def _time_out(self, what: str, *, final: bool = False) -> None:
        if self.state.settled:
            return
        transfer, self._transfer = self._transfer, None
        where = transfer.whereabouts() if transfer is not None else ""
        if transfer is not None:
            self._portal.loop.call_soon(functools.partial(transfer.cancel, timed_out=True))
        error = CallTimeout(f"{self.plan.chainlet} {what}{where} (call {self.plan.id})")
        failed = Failed(FailureKind.TIMEOUT, failure_of(error))
        if final:
            self._end_attempt()
            self._settle(Event.FAIL, failed)
        else:
            self._failed(failed)

    def _cancel(self) -> None:
        if self.state.settled:
            return
        transfer = self._transfer
        error = CallCancelled(f"{self.plan.chainlet}: call {self.plan.id} was cancelled")
        self._settle(Event.CANCEL, Failed(FailureKind.CANCELLED, failure_of(error)))
        if transfer is not None:
            transfer.cancel()

    def _consumed(self, items: int, size: int) -> None:
        if self._transfer is not None:
            self._transfer.consumed(items, size)
            if self.state is State.RUNNING:
                self._arm(self.plan.timeout, self._timed_out)

    def _end_attempt(self) -> None:
        if self._attempt is not None:
            self._attempt.dispatch = None
            self._attempt = None
        self._transfer = None
        self._arm(None, self._timed_out)

    def _settle(self, event: Event, outcome: Outcome) -> None:
        self._end_attempt()
        self.state = advance(self.state, event)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        for upload in self._uploads.values():
            upload.close()
        # Whoever keeps the call for its result must not keep its arguments with it.
        self.plan = dataclasses.replace(self.plan, arguments=_NOTHING)
        if self._on_settled is not None:
            self._on_settled(self)
        self._sink.settle(outcome)

    def _arm(self, delay: float | None, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay is None else self._portal.loop.call_later(delay, then)


def not_sent(chainlet: str, error: Exception) -> Failed:
    """The failure of a call that its runner could not send."""
    lost = WorkerLost(f"{chainlet}: the call could not be sent: {error!r}")
    lost.__cause__ = error
    return Failed(FailureKind.LOST, failure_of(lost))


def _pause(times: int) -> float:
    return min(1.0, 0.005 * 2.0 ** min(times, 10)) * (0.5 + random.random() / 2)


class _Attempt:
    """The reply of one attempt; deaf once the call has gone on to the next, or has ended."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch: Dispatch | None = dispatch

    def accepted(self) -> None:
        if self.dispatch is not None:
            self.dispatch.accepted()

    def item(self, payload: Payload) -> None:
        if self.dispatch is not None:
            self.dispatch.item(payload)

    def consumed(self, stream: str, items: int, size: int) -> None:
        if self.dispatch is not None:
            self.dispatch.upload_consumed(stream, items, size)

    def finish(self, outcome: Outcome) -> None:
        if self.dispatch is not None:
            self.dispatch.finish(outcome)

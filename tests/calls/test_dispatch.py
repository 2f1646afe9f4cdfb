"""One call on its way, on a channel that the test plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from fchains.calls.cell import Cell
from fchains.calls.dispatch import Dispatch, Plan
from fchains.calls.invocation import Failed, FailureKind, Invocation, Success
from fchains.calls.portal import Portal
from fchains.calls.runner import Channel, Reply, Transfer
from fchains.calls.states import State
from fchains.calls.trace import Trace
from fchains.definition.retry import Retry
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload

DONE = Success(Payload(b"1"))


class Here:
    """A portal whose loop is the test's own."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def post(self, function: Callable[..., object], *args: object) -> None:
        function(*args)


class Sent(Transfer):
    """An attempt, as the channel got it."""

    def __init__(self, invocation: Invocation, reply: Reply) -> None:
        self.invocation = invocation
        self.reply = reply
        self.cancelled: list[bool] = []
        self.held = False

    @property
    def awaits_start(self) -> bool:
        return self.held

    def cancel(self, *, timed_out: bool = False) -> None:
        self.cancelled.append(timed_out)


class Wire(Channel):
    """Keeps what is sent; the test answers."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.broken: Exception | None = None
        self.came = asyncio.Event()

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        if self.broken is not None:
            raise self.broken
        self.sent.append(Sent(invocation, reply))
        self.came.set()
        return self.sent[-1]

    async def next(self) -> Sent:
        self.came.clear()
        async with asyncio.timeout(10):
            await self.came.wait()
        return self.sent[-1]


class Way:
    """A route that is open, or has failed."""

    def __init__(self, channel: Channel | None, failed: Failed | None = None) -> None:
        self._channel = channel
        self._failed = failed

    def open(self, then: Callable[[Channel], None], fail: Callable[[Failed], None]) -> None:
        if self._channel is not None:
            then(self._channel)
        elif self._failed is not None:
            fail(self._failed)


class Opener:
    def value(self, payload: Payload) -> Any:
        return payload

    def error(self, failed: Failed) -> BaseException:
        return ValueError("of the user")


def failed(kind: FailureKind) -> Failed:
    return Failed(kind, failure_of(ValueError(kind.value)))


def outcome_of(cell: Cell) -> Any:
    return cell.outcome


def start(route: Way, **changes: Any) -> tuple[Dispatch, Cell]:
    asked: dict[str, Any] = {
        "retry": Retry(attempts=1),
        "timeout": None,
        "startup_timeout": 600.0,
        "deadline": None,
        **changes,
    }
    plan = Plan("1", "chain", "f", Payload(b"[1]"), trace=Trace.start(), path=("f",), **asked)
    cell = Cell()
    dispatch = Dispatch(plan, route, cast("Portal", Here()), cell, Opener())
    dispatch.start()
    return dispatch, cell


async def test_a_call_is_sent_accepted_and_done_and_keeps_no_arguments() -> None:
    wire = Wire()
    dispatch, cell = start(Way(wire))
    assert wire.sent[0].invocation.arguments.body == b"[1]"
    wire.sent[0].reply.accepted()
    assert dispatch.state is State.RUNNING
    wire.sent[0].reply.finish(DONE)
    assert cell.outcome is DONE
    assert dispatch.plan.arguments.size == 0


async def test_a_channel_that_raises_ends_the_call() -> None:
    wire = Wire()
    wire.broken = RuntimeError("the socket is closed")
    _, cell = start(Way(wire))
    outcome = outcome_of(cell)
    assert outcome.kind is FailureKind.LOST
    assert "the socket is closed" in outcome.failure.exceptions[0].message


async def test_a_route_that_fails_ends_the_call() -> None:
    _, cell = start(Way(None, failed(FailureKind.SETUP)))
    assert outcome_of(cell).kind is FailureKind.SETUP


async def test_cancelling_frees_the_caller_even_when_the_channel_cannot_hear_it() -> None:
    wire = Wire()
    dispatch, cell = start(Way(wire))

    def deaf(*, timed_out: bool = False) -> None:
        raise RuntimeError("closed")

    wire.sent[0].cancel = deaf  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="closed"):
        dispatch.cancel()
    assert outcome_of(cell).kind is FailureKind.CANCELLED
    dispatch.cancel()


async def test_what_comes_after_the_outcome_is_dropped() -> None:
    wire = Wire()
    dispatch, cell = start(Way(wire))
    dispatch.cancel()
    wire.sent[0].reply.accepted()
    wire.sent[0].reply.finish(DONE)
    assert wire.sent[0].cancelled == [False]
    assert outcome_of(cell).kind is FailureKind.CANCELLED


async def test_what_nobody_took_is_sent_again_without_counting_as_an_attempt() -> None:
    wire = Wire()
    _, cell = start(Way(wire))
    for _ in range(2):
        wire.sent[-1].reply.finish(failed(FailureKind.LOST))
        await wire.next()
    wire.sent[-1].reply.accepted()
    wire.sent[-1].reply.finish(failed(FailureKind.LOST))
    assert outcome_of(cell).kind is FailureKind.LOST
    assert len(wire.sent) == 3


async def test_what_nobody_takes_is_not_sent_for_ever() -> None:
    wire = Wire()
    _, cell = start(Way(wire), startup_timeout=0.0)
    while cell.outcome is None:
        for sent in wire.sent[-1:]:
            sent.reply.finish(failed(FailureKind.LOST))
        await asyncio.sleep(0)
    assert outcome_of(cell).kind in (FailureKind.LOST, FailureKind.TIMEOUT)


@pytest.mark.parametrize(
    ("held", "kind", "text"),
    [
        (True, FailureKind.SETUP, "f: no replica was ready within its startup_timeout of 0 s"),
        (False, FailureKind.TIMEOUT, "f no replica took the call within its startup_timeout of 0 s"),
    ],
)
async def test_a_call_that_does_not_begin_in_time_says_whether_a_replica_was_ready(
    held: bool, kind: FailureKind, text: str
) -> None:
    wire = Wire()
    _, cell = start(Way(wire), startup_timeout=0.0)
    (sent,) = wire.sent
    sent.held = held
    async with asyncio.timeout(10):
        while not sent.cancelled:  # noqa: ASYNC110 - timers of the loop do it
            await asyncio.sleep(0)
    assert sent.cancelled == [True]
    assert outcome_of(cell).kind is kind
    assert text in outcome_of(cell).failure.exceptions[0].message


async def test_an_accepted_call_is_tried_again_as_often_as_its_retry_says() -> None:
    wire = Wire()
    _, cell = start(Way(wire), retry=Retry(attempts=2, backoff=0.0))
    wire.sent[0].reply.accepted()
    wire.sent[0].reply.finish(failed(FailureKind.LOST))
    again = await wire.next()
    assert again.invocation.attempt == 2
    again.reply.accepted()
    again.reply.finish(failed(FailureKind.LOST))
    assert outcome_of(cell).kind is FailureKind.LOST


async def test_past_the_callers_deadline_it_fails_and_the_replica_is_told() -> None:
    wire = Wire()
    _, cell = start(Way(wire), deadline=time.monotonic(), retry=Retry(attempts=5))
    settled = asyncio.Event()
    cell.when_settled(settled.set)
    async with asyncio.timeout(10):
        await settled.wait()
    await asyncio.sleep(0)
    assert outcome_of(cell).kind is FailureKind.TIMEOUT
    assert wire.sent[0].cancelled == [True]


async def test_a_map_is_told_of_a_refusal_and_its_call_comes_again() -> None:
    wire, told = Wire(), list[int]()
    _, cell = start(Way(wire), on_overload=lambda: told.append(1))
    wire.sent[0].reply.finish(failed(FailureKind.OVERLOADED))
    again = await wire.next()
    again.reply.finish(DONE)
    assert told == [1]
    assert cell.outcome is DONE

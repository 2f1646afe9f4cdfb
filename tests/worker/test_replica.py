"""A replica on the test's own loop: what becomes of calls that are cancelled at awkward moments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fchains import batched, chainlet
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome
from fchains.calls.runner import Chain
from fchains.calls.session import ChainSession
from fchains.definition.spec import Definition
from fchains.wire.payload import Payload
from fchains.worker.replica import Replica


class Events:
    """What the replica's owner is told."""

    def __init__(self) -> None:
        self.ended_calls: list[str] = []
        self.stuck_for: list[str] = []

    def ended(self, chainlet: str, call: str) -> None:
        self.ended_calls.append(call)

    def blocking(self, where: str) -> None: ...

    def stuck(self, why: str) -> None:
        self.stuck_for.append(why)


class Answer:
    """A reply, which the test waits for."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.began = asyncio.Event()
        self.over = asyncio.Event()

    def accepted(self) -> None:
        self.began.set()

    def item(self, payload: Payload) -> None: ...

    def consumed(self, stream: str, items: int, size: int) -> None: ...

    def finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.over.set()

    @property
    def kind(self) -> FailureKind | None:
        (outcome,) = self.outcomes
        return outcome.kind if isinstance(outcome, Failed) else None


@chainlet(concurrency=1, grace=0.0)
async def wait_for_ever(x: int) -> int:
    await asyncio.Event().wait()
    return x


@chainlet(grace=0.0)
async def echo(x: int) -> int:
    return x


@chainlet(grace=0.0)
@batched(max_size=2, max_wait=0.0)
async def echo_all(x: list[int]) -> list[int]:
    return x


@asynccontextmanager
async def serving(definition: Definition) -> AsyncGenerator[tuple[Replica, Events], None]:
    chain = Chain(definition.name, {definition.name: definition}, "1")

    def nowhere() -> Any:
        raise AssertionError("nothing here calls")

    events = Events()
    replica = Replica(chain, [definition], "r-0", ChainSession(chain, nowhere), events)
    await replica.start()
    try:
        yield replica, events
    finally:
        await replica.aclose()


def invocation(definition: Definition, id: str, x: object = 1) -> Invocation:
    return Invocation(id, "chain", definition.name, definition.types.arguments.encode({"x": x}))


async def turns() -> None:
    """Let what is due now, and the timers of no delay, happen."""
    for _ in range(5):
        await asyncio.sleep(0)


async def over(answer: Answer) -> None:
    async with asyncio.timeout(10):
        await answer.over.wait()


async def test_a_queued_call_that_is_cancelled_twice_leaves_once() -> None:
    async with serving(wait_for_ever.definition) as (replica, events):
        first, second = Answer(), Answer()
        running = replica.submit(invocation(wait_for_ever.definition, "first"), first)
        queued = replica.submit(invocation(wait_for_ever.definition, "second"), second)
        queued.cancel(timed_out=True)
        queued.cancel(timed_out=True)
        assert events.ended_calls == ["second"]
        assert second.kind is FailureKind.TIMEOUT
        running.cancel()
        await turns()
        assert sorted(events.ended_calls) == ["first", "second"]


async def test_time_that_runs_out_as_the_call_ends_does_not_replace_the_replica() -> None:
    async with serving(echo.definition) as (replica, events):
        answer = Answer()
        admitted = replica.submit(invocation(echo.definition, "1"), answer)
        await over(answer)
        admitted.cancel(timed_out=True)
        await turns()
        assert answer.kind is None
        assert events.stuck_for == []


async def test_bad_arguments_and_a_late_cancel_do_not_replace_the_replica() -> None:
    async with serving(echo.definition) as (replica, events):
        answer = Answer()
        admitted = replica.submit(invocation(echo.definition, "1", "no number"), answer)
        admitted.cancel(timed_out=True)
        await turns()
        assert answer.kind is FailureKind.INVALID
        assert events.ended_calls == ["1"]
        assert events.stuck_for == []


async def test_time_that_runs_out_as_a_batch_ends_does_not_replace_the_replica() -> None:
    async with serving(echo_all.definition) as (replica, events):
        answer = Answer()
        admitted = replica.submit(invocation(echo_all.definition, "1"), answer)
        await over(answer)
        admitted.cancel(timed_out=True)
        await turns()
        assert events.ended_calls == ["1"]
        assert events.stuck_for == []


async def test_a_running_call_that_is_cancelled_gives_its_slot_to_the_next() -> None:
    async with serving(wait_for_ever.definition) as (replica, events):
        first, second = Answer(), Answer()
        running = replica.submit(invocation(wait_for_ever.definition, "first"), first)
        replica.submit(invocation(wait_for_ever.definition, "second"), second)
        running.cancel()
        await turns()
        assert first.kind is FailureKind.CANCELLED
        assert second.began.is_set()
        replica.cancel_all()
        await turns()
        assert events.ended_calls == ["first", "second"]

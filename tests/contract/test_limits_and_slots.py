"""Deadlines, slots, queues and retries, where others work on for nobody, overbook or run things twice."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import (
    CallCancelled,
    CallTimeout,
    Overloaded,
    Retry,
    chainlet,
    current_call,
    gather,
    setup,
    use,
)
from tests.contract.gate import Gates

gates = Gates()


class Running:
    """How many executions there are, were at once, and have been cancelled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = self.cancelled = 0
        self.order: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self.lock:
            self.now -= 1
            self.cancelled += kind is asyncio.CancelledError


running = Running()
everybody = threading.Barrier(64)


@chainlet(replicas=1, concurrency=1, grace=20.0)
def blocks(name: str) -> str:
    """Blocks in C, where no exception reaches it."""
    with running:
        gates[f"{name} began"].open()
        gates[f"{name} may end"].pass_blocking()
    return name


@chainlet(replicas=1, concurrency=1, grace=20.0)
def fails_late(name: str) -> str:
    gates[f"{name} began"].open()
    try:
        while True:
            time.sleep(0.001)
    except CallCancelled:
        raise ValueError("the disk is full") from None


@chainlet(replicas=1, concurrency=1)
async def one_at_a_time(name: str) -> str:
    with running:
        gates[f"{name} began"].open()
        await gates[f"{name} may end"].passed()
    return name


@chainlet(timeout=0.08)
async def calls_the_busy_one(name: str) -> str:
    return await one_at_a_time.remote(name)


@chainlet(replicas=1)
async def too_slow() -> None:
    with running:
        await asyncio.Event().wait()


@chainlet
async def remaining() -> float | None:
    return current_call().remaining


@chainlet
async def remaining_of_a_child(timeout: float) -> tuple[float | None, float | None]:
    return current_call().remaining, await remaining.options(timeout=timeout).remote()


@chainlet(replicas=1, concurrency=1, max_queue=0)
async def full(name: str) -> str:
    gates[f"{name} began"].open()
    await gates[f"{name} may end"].passed()
    return name


@chainlet
async def calls_the_full_one(name: str) -> str:
    return await full.remote(name)


@chainlet(replicas=1, concurrency=4, max_queue=1)
async def five(number: int) -> int:
    return number


@chainlet(replicas=1, concurrency=1)
async def in_order(number: int) -> None:
    running.order.append(number)


@chainlet(replicas=1, concurrency=64)
def meets_everybody(number: int) -> int:
    everybody.wait(timeout=20)
    return number


@chainlet
async def meets_another(name: str, other: str) -> None:
    gates[name].open()
    await gates[other].passed()


@setup
async def slow_start() -> AsyncIterator[None]:
    await asyncio.sleep(0.1)
    yield


@chainlet(timeout=0.05)
async def starts_slowly(*, _: None = use(slow_start)) -> str:
    return "ready"


@chainlet
async def blocks_the_loop(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - what this is about


@chainlet
async def fails(kind: str) -> None:
    raise ValueError(kind)


@chainlet(replicas=1)
async def counts_attempts(error: str) -> None:
    running.order.append(current_call().attempt)
    raise TimeoutError(error)


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    yield
    vars(gates).update(vars(Gates()))
    vars(running).update(vars(Running()))


# Time


async def test_sync_code_that_is_out_of_time_keeps_its_slot_until_it_ends() -> None:
    with pytest.raises(CallTimeout):
        await blocks.options(timeout=0.02).remote("first")
    waiting = [blocks.remote("second"), blocks.remote("third")]
    for number in range(5):
        await five.remote(number)
    assert not gates["second began"].is_open
    for name in ("first", "second", "third"):
        gates[f"{name} may end"].open()
    assert await gather(*waiting) == ("second", "third")
    assert running.most == 1


async def test_an_error_raised_after_the_caller_was_answered_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        late = fails_late.options(timeout=0.02).remote("late")
        with pytest.raises(CallTimeout):
            await late
        next_one = fails_late.remote("next")  # gets the only slot when the code has ended
        await gates["next began"].passed()
        next_one.cancel()
        next_one.forget()
    (record,) = [record for record in caplog.records if f"call {late.id}, which was" in record.getMessage()]
    assert "fails_late" in record.getMessage()
    assert "ValueError: the disk is full" in record.getMessage()


async def test_every_attempt_that_runs_out_of_time_is_stopped_before_the_next_begins() -> None:
    with pytest.raises(CallTimeout):
        await too_slow.options(timeout=0.02, retries=Retry(attempts=3, backoff=0.001)).remote()
    async with asyncio.timeout(20):
        while running.cancelled < 3:
            await asyncio.sleep(0.001)
    assert (running.most, running.now) == (1, 0)


async def test_a_child_gets_the_smaller_of_its_own_timeout_and_what_is_left_of_its_callers() -> None:
    for timeout in (1.0, 100.0):
        above, below = await remaining_of_a_child.options(timeout=10).remote(timeout)
        assert above is not None
        assert below is not None
        assert below <= min(timeout, above)


async def test_a_queued_child_of_a_caller_out_of_time_never_runs() -> None:
    busy = one_at_a_time.remote("busy")
    await gates["busy began"].passed()
    with pytest.raises(CallTimeout):
        await calls_the_busy_one.remote("nobody waits for it")
    gates["busy may end"].open()
    assert await busy == "busy"
    gates["last may end"].open()
    assert await one_at_a_time.remote("last") == "last"
    assert not gates["nobody waits for it began"].is_open


async def test_the_timeout_does_not_count_the_start_of_a_replica() -> None:
    assert await starts_slowly.remote() == "ready"


def test_waiting_with_a_limit_gives_up_the_wait_and_not_the_call() -> None:
    call = one_at_a_time.remote("patient")
    with pytest.raises(TimeoutError, match="not done after 0"):
        call.result(timeout=0)
    gates["patient may end"].open()
    assert call.result(timeout=20) == "patient"


# Slots and queues


async def test_a_burst_that_fits_slots_and_queue_is_not_refused() -> None:
    for _ in range(20):
        assert await gather(*(five.remote(number) for number in range(5))) == (0, 1, 2, 3, 4)


async def test_calls_are_served_in_the_order_they_were_made() -> None:
    await gather(*(in_order.remote(number) for number in range(100)))
    assert running.order == list(range(100))


async def test_as_many_sync_calls_run_at_once_as_the_concurrency_says() -> None:
    assert await gather(*(meets_everybody.remote(number) for number in range(64))) == tuple(range(64))


async def test_async_calls_share_a_replica_by_default() -> None:
    await gather(meets_another.remote("a", "b"), meets_another.remote("b", "a"))


async def test_a_refusal_below_is_still_an_overload_above() -> None:
    first = full.remote("first")
    await gates["first began"].passed()
    with pytest.raises(Overloaded) as caught:
        await calls_the_full_one.remote("second")
    assert caught.value.retry_after > 0
    gates["first may end"].open()
    assert await first == "first"


async def test_cancelling_at_any_moment_leaves_no_slot_taken() -> None:
    for turn in range(100):
        call = one_at_a_time.remote(f"{turn}")
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        call.cancel()
        call.forget()
    gates["last may end"].open()
    assert await one_at_a_time.remote("last") == "last"
    assert running.most == 1


async def test_the_first_failure_of_a_gather_stops_its_siblings() -> None:
    with pytest.raises(ValueError, match="the first"):
        await gather(too_slow.remote(), fails.remote("the first"), too_slow.remote())
    async with asyncio.timeout(20):
        while running.now:
            await asyncio.sleep(0.001)


# Retries


@pytest.mark.parametrize("retries", [0, 1])
async def test_user_errors_are_not_retried_not_even_a_timeout_error_of_the_users_own(retries: int) -> None:
    with pytest.raises(TimeoutError, match="mine") as caught:
        await counts_attempts.options(retries=retries).remote("mine")
    assert not isinstance(caught.value, CallTimeout)
    assert running.order == [1]


async def test_no_retries_means_one_attempt() -> None:
    with pytest.raises(TimeoutError):
        await counts_attempts.options(retries=Retry(attempts=1, on=(TimeoutError,))).remote("mine")
    assert running.order == [1]


# The event loop


@pytest.mark.slow
async def test_code_that_blocks_the_loop_is_named_with_its_chainlet_and_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        await blocks_the_loop.remote(0.25)
    line = blocks_the_loop.definition.line + 1
    assert any(
        "blocks_the_loop" in record.getMessage() and f"test_limits_and_slots.py:{line}" in record.getMessage()
        for record in caplog.records
    ), caplog.text

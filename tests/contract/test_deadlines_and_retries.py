"""Deadlines and retries, where others work on for nobody or do things twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fchains import (
    CallCancelled,
    CallTimeout,
    Retry,
    chainlet,
    current_call,
    gather,
    setup,
    use,
)
from tests.contract.gate import Gates, Running, renew, until

gates = Gates()
attempts: list[int] = []
running = Running()


@chainlet(replicas=1, concurrency=1, grace=20.0)
def blocks(name: str) -> str:
    """Blocks in C, where no exception reaches it."""
    with running:
        gates[f"{name} began"].open()
        gates[f"{name} may end"].pass_blocking()
    return name


@chainlet(replicas=1, concurrency=1, grace=20.0)
def fails_late(name: str) -> str:
    try:
        gates[f"{name} began"].open()
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
async def remaining_of_a_child(limit: float) -> tuple[float | None, float | None]:
    return current_call().remaining, await remaining.options(timeout=limit).remote()


@chainlet(replicas=1, concurrency=4, max_queue=1)
async def five(number: int) -> int:
    return number


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
    attempts.append(current_call().attempt)
    raise TimeoutError(error)


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    yield
    renew(gates, running)
    attempts.clear()


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
    await until(lambda: running.cancelled == 3)
    assert (running.most, running.now) == (1, 0)


async def test_a_child_gets_the_smaller_of_its_own_timeout_and_what_is_left_of_its_callers() -> None:
    for limit in (1.0, 100.0):
        above, below = await remaining_of_a_child.options(timeout=10).remote(limit)
        assert above is not None
        assert below is not None
        assert below <= min(limit, above)


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


async def test_the_first_failure_of_a_gather_stops_its_siblings() -> None:
    with pytest.raises(ValueError, match="the first"):
        await gather(too_slow.remote(), fails.remote("the first"), too_slow.remote())
    await until(lambda: not running.now)


@pytest.mark.parametrize("retries", [0, 1])
async def test_user_errors_are_not_retried_not_even_a_timeout_error_of_the_users_own(retries: int) -> None:
    with pytest.raises(TimeoutError, match="mine") as caught:
        await counts_attempts.options(retries=retries).remote("mine")
    assert not isinstance(caught.value, CallTimeout)
    assert attempts == [1]


async def test_no_retries_means_one_attempt() -> None:
    with pytest.raises(TimeoutError):
        await counts_attempts.options(retries=Retry(attempts=1, on=(TimeoutError,))).remote("mine")
    assert attempts == [1]


@pytest.mark.slow
async def test_code_that_blocks_the_loop_is_named_with_its_chainlet_and_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        await blocks_the_loop.remote(0.25)
    here, line = Path(__file__).name, blocks_the_loop.definition.line + 1
    assert any(
        "blocks_the_loop" in record.getMessage() and f"{here}:{line}" in record.getMessage()
        for record in caplog.records
    ), caplog.text

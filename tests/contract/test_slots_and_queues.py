"""Slots and queues, where others overbook, refuse too early or serve one call at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from fchains import (
    Call,
    CallCancelled,
    Overloaded,
    chainlet,
    gather,
    use_runner,
)
from tests.contract.gate import Gates, Running, renew

gates = Gates()
order: list[int] = []
running = Running()
everybody = threading.Barrier(64)


@chainlet(replicas=1, concurrency=1)
async def one_at_a_time(name: str) -> str:
    with running:
        gates[f"{name} began"].open()
        await gates[f"{name} may end"].passed()
    return name


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
    order.append(number)


@chainlet(replicas=1, concurrency=64)
def meets_everybody(number: int) -> int:
    everybody.wait(timeout=20)
    return number


@chainlet
async def meets_another(name: str, other: str) -> None:
    gates[name].open()
    await gates[other].passed()


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    yield
    renew(gates, running)
    order.clear()


async def test_a_burst_that_fits_slots_and_queue_is_not_refused() -> None:
    for _ in range(20):
        assert await gather(*(five.remote(number) for number in range(5))) == (0, 1, 2, 3, 4)


async def test_calls_are_served_in_the_order_they_were_made() -> None:
    await gather(*(in_order.remote(number) for number in range(100)))
    assert order == list(range(100))


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


async def test_leaving_the_runner_with_an_error_settles_every_call_that_is_under_way_or_waits() -> None:
    async def fails_inside() -> None:
        async with use_runner("inline"):
            calls.extend(one_at_a_time.remote(f"{number}") for number in range(3))
            await gates["0 began"].passed()
            raise ZeroDivisionError

    calls: list[Call[str]] = []
    with pytest.raises(ZeroDivisionError):
        await fails_inside()
    for call in calls:
        async with asyncio.timeout(20):
            with pytest.raises((CallCancelled, Overloaded)):
                await call


async def test_a_runner_that_is_idle_closes_at_once() -> None:
    async with use_runner("inline"):
        await five.remote(1)
        began = time.monotonic()
    assert time.monotonic() - began < 0.9


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

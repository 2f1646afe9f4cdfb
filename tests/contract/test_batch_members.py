"""Callers of a batch that leave, are late or have a context, where others' batchers hang or leak."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator

import pytest

from fchains import (
    Call,
    CallCancelled,
    CallTimeout,
    batched,
    chainlet,
    gather,
    use_runner,
)
from tests.contract.gate import Gates, renew

gates = Gates()
ran: list[list[int]] = []
tag: contextvars.ContextVar[str] = contextvars.ContextVar("tag", default="clean")


@chainlet(replicas=1)
@batched(max_size=4, max_wait=0.01)
async def double(numbers: list[int]) -> list[int]:
    """Ends when its gate, named by its first number, is open; a number below 100 needs none."""
    ran.append(numbers)
    if numbers[0] >= 100:
        gates[f"{numbers[0]} began"].open()
        await gates[f"{numbers[0]} may end"].passed()
    return [2 * number for number in numbers]


@chainlet(replicas=1)
@batched(max_size=4, max_wait=0.01)
async def waits(names: list[str]) -> list[str]:
    gates[f"{names[0]} began"].open()
    try:
        await asyncio.Event().wait()
    finally:
        gates[f"{names[0]} cancelled"].open()
    return names


@chainlet(replicas=1)
@batched(max_size=1, max_wait=0)
async def waits_alone(names: list[str]) -> list[str]:
    gates[f"{names[0]} began"].open()
    await asyncio.Event().wait()
    return names


@chainlet(replicas=1)
@batched(max_size=8, max_wait=0.01)
async def read_tag(names: list[str]) -> list[str]:
    before = tag.get()
    tag.set(names[0])
    return [before] * len(names)


@chainlet(replicas=1, concurrency=2)
@batched(max_size=1, max_wait=0)
async def alone(numbers: list[int]) -> list[int]:
    return numbers


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    ran.clear()
    yield
    renew(gates)


async def behind(first: int, *numbers: int) -> tuple[Call[int], list[Call[int]]]:
    """A batch that runs, and calls that wait for the next one."""
    running = double.remote(first)
    await gates[f"{first} began"].passed()
    return running, [double.remote(number) for number in numbers]


@pytest.mark.parametrize("when", ["queued", "running"])
async def test_a_cancelled_member_frees_its_caller_and_the_others_get_their_results(when: str) -> None:
    first = 100 if when == "queued" else 101
    if when == "queued":
        running, calls = await behind(first, 1, 2, 3)
    else:
        calls = [double.remote(first), double.remote(1), double.remote(2)]
        await gates[f"{first} began"].passed()
        running = calls.pop(0)
    task = asyncio.ensure_future(asyncio.gather(calls[0]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gates[f"{first} may end"].open()
    assert await gather(running, *calls[1:]) == (
        2 * first,
        *(2 * n for n in ([2, 3] if when == "queued" else [2])),
    )
    if when == "queued":
        assert ran == [[100], [2, 3]]


async def test_a_batch_whose_callers_have_all_gone_does_not_run() -> None:
    running, calls = await behind(100, 1, 2)
    for call in calls:
        call.cancel()
        call.forget()
    gates["100 may end"].open()
    await running
    assert await double.remote(3) == 6
    assert ran == [[100], [3]]


async def test_a_running_batch_is_cancelled_only_when_all_its_callers_have_gone() -> None:
    calls = [waits.remote("a"), waits.remote("b")]
    await gates["a began"].passed()
    calls[0].cancel()
    await double.remote(1)
    assert not gates["a cancelled"].is_open
    calls[1].cancel()
    await gates["a cancelled"].passed()
    for call in calls:
        call.forget()


async def test_a_member_whose_time_is_up_in_the_queue_fails_alone_and_never_runs() -> None:
    running, (patient,) = await behind(100, 1)
    hasty = double.options(timeout=None).remote(2)
    late = asyncio.ensure_future(asyncio.gather(hasty_caller.options(timeout=0.05).remote(7)))
    with pytest.raises(CallTimeout):
        await late
    gates["100 may end"].open()
    assert await gather(running, patient, hasty) == (200, 2, 4)
    assert ran == [[100], [1, 2]]


@chainlet
async def hasty_caller(number: int) -> int:
    return await double.remote(number)


async def test_the_context_of_a_caller_leaks_into_no_batch() -> None:
    token = tag.set("the caller's")
    assert await read_tag.remote("first") == "clean"
    tag.reset(token)
    assert await gather(read_tag.remote("second"), read_tag.remote("third")) == ("clean", "clean")


def test_batches_work_on_one_event_loop_after_another() -> None:
    async def twice() -> tuple[int, int]:
        return await gather(double.remote(1), double.remote(2))

    assert [asyncio.run(twice()) for _ in range(3)] == [(2, 4)] * 3


async def test_leaving_the_runner_with_an_error_settles_the_members_of_every_batch() -> None:
    async def fails_inside() -> None:
        async with use_runner("inline"):
            calls.extend(waits.remote(f"{number}") for number in range(10))
            await gates["0 began"].passed()
            raise ZeroDivisionError

    calls: list[Call[str]] = []
    with pytest.raises(ZeroDivisionError):
        await fails_inside()
    for call in calls:
        with pytest.raises(CallCancelled):
            await call


async def test_callers_that_give_up_at_any_moment_leave_no_slot_taken() -> None:
    # Some are cancelled before their batch begins, some before its first step, some while it runs.
    await alone.remote(0)
    for turn in range(100):
        call = waits_alone.remote(f"{turn}")
        if turn % 2:
            await asyncio.sleep(0)
        call.cancel()
        call.forget()
    last = waits_alone.remote("last")
    await gates["last began"].passed()
    last.cancel()
    last.forget()

"""Batches, where others' batchers hang, mix up callers, leak context or share one exception."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fchains import (
    Call,
    CallTimeout,
    FchainsError,
    InvalidResult,
    RemoteError,
    batched,
    chainlet,
    current_call,
    gather,
)
from tests.contract.gate import Gates

gates = Gates()
ran: list[list[int]] = []
tag: contextvars.ContextVar[str] = contextvars.ContextVar("tag", default="clean")


class Awkward:
    """A value that refuses to be compared or to be taken for true or false."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __bool__(self) -> bool:
        raise AssertionError("asked whether it is true")

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


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
def fail(kinds: list[str]) -> list[int]:
    match kinds[0]:
        case "stop":
            raise StopIteration(1)
        case "exit":
            sys.exit(3)
        case "cancel":
            raise asyncio.CancelledError
        case "timeout":
            raise TimeoutError("the user's own")
        case kind:
            raise LookupError(kind)


@chainlet(replicas=1)
@batched(max_size=8, max_wait=0.01)
async def fail_async(kinds: list[str]) -> list[int]:
    if kinds[0] == "stop":
        raise RuntimeError("async functions cannot raise StopIteration")
    return fail(kinds)


@chainlet(replicas=1)
@batched(max_size=8, max_wait=0.01)
async def read_tag(names: list[str]) -> list[str]:
    before = tag.get()
    tag.set(names[0])
    return [before] * len(names)


@chainlet(replicas=1)
@batched(max_size=8, max_wait=0.01)
async def own_ids(names: list[str]) -> list[tuple[str, str]]:
    return [(call.id, name) for call, name in zip(current_call().batch, names, strict=True)]


@chainlet(replicas=1)
@batched(max_size=4, max_wait=0.01)
def returns(kinds: list[str]) -> list[Any]:
    """What no type checker would let pass."""
    results: dict[str, Any] = {
        "dict": dict.fromkeys(kinds, 1),
        "set": set(kinds),
        "str": "x" * len(kinds),
        "bytes": b"x" * len(kinds),
        "generator": (kind for kind in kinds),
        "none": None,
        "few": [],
        "many": [1, 2, 3],
    }
    return results[kinds[0]]  # type: ignore[no-any-return]


@chainlet(replicas=1)
@batched(max_size=4, max_wait=0.01)
def vectors(sizes: list[int]) -> list[npt.NDArray[np.int64]]:
    return [np.arange(size) for size in sizes]


@chainlet(replicas=1)
@batched(max_size=4, max_wait=0.01)
def awkward(kinds: list[str]) -> list[Any]:
    return [Awkward() for _ in kinds]


@chainlet(replicas=1, concurrency=2)
@batched(max_size=1, max_wait=0)
async def alone(numbers: list[int]) -> list[int]:
    return numbers


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    ran.clear()
    yield
    vars(gates).update(vars(Gates()))


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


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("plain", LookupError, "plain"),
        ("timeout", TimeoutError, "the user's own"),
        ("stop", RemoteError, "StopIteration"),
        ("exit", RemoteError, "SystemExit"),
        ("cancel", RemoteError, "CancelledError"),
    ],
)
@pytest.mark.parametrize("style", ["sync", "async"])
async def test_whatever_a_batch_raises_every_caller_is_told_and_the_next_batch_runs(
    style: str, kind: str, error: type[Exception], text: str
) -> None:
    if (style, kind) == ("async", "stop"):
        pytest.skip("Python itself turns it into a RuntimeError")
    chosen = fail if style == "sync" else fail_async
    calls = [chosen.remote(kind), chosen.remote(kind)]
    for call in calls:
        with pytest.raises(error) as caught:
            await call
        assert not isinstance(caught.value, CallTimeout)
        assert text in "".join(traceback.format_exception(caught.value))
    with pytest.raises(LookupError, match="next"):
        await chosen.remote("next")


async def test_no_exception_object_is_shared_by_the_callers_of_a_batch() -> None:
    calls = [fail.remote("shared") for _ in range(4)]
    errors: list[LookupError] = []
    for call in calls:
        with pytest.raises(LookupError) as caught:
            await call
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == 4
    depths = {len(traceback.extract_tb(error.__traceback__)) for error in errors}
    assert len(depths) == 1, "no traceback has grown by another caller's frames"


async def test_the_context_of_a_caller_leaks_into_no_batch() -> None:
    token = tag.set("the caller's")
    assert await read_tag.remote("first") == "clean"
    tag.reset(token)
    assert await gather(read_tag.remote("second"), read_tag.remote("third")) == ("clean", "clean")


async def test_each_member_of_a_batch_is_known_by_its_own_call() -> None:
    calls = [own_ids.remote(name) for name in "abc"]
    assert await gather(*calls) == tuple((call.id, name) for call, name in zip(calls, "abc", strict=True))


@pytest.mark.parametrize("kind", ["dict", "set", "str", "bytes", "generator", "none", "few", "many"])
async def test_what_is_no_list_of_one_result_each_fails_the_batch_for_all(kind: str) -> None:
    calls = [returns.remote(kind), returns.remote(kind)]
    for call in calls:
        with pytest.raises(InvalidResult, match="batched function must return"):
            await call


async def test_results_are_never_compared_or_asked_whether_they_are_true() -> None:
    arrays = await vectors.map([0, 1, 3])
    assert [array.tolist() for array in arrays] == [[], [0], [0, 1, 2]]
    with pytest.raises(FchainsError, match="Awkward"):
        await awkward.remote("any")


async def test_a_batch_size_of_one_is_allowed() -> None:
    assert await alone.map(range(20)) == list(range(20))


def test_batches_work_on_one_event_loop_after_another() -> None:
    async def twice() -> tuple[int, int]:
        return await gather(double.remote(1), double.remote(2))

    assert [asyncio.run(twice()) for _ in range(3)] == [(2, 4)] * 3


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

"""What a batch returns or raises, where others mix up callers or share one exception."""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fchains import (
    CallTimeout,
    Chainlet,
    FchainsError,
    InvalidResult,
    RemoteError,
    batched,
    chainlet,
    current_call,
    gather,
)


class Awkward:
    """A value that refuses to be compared or to be taken for true or false."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __bool__(self) -> bool:
        raise AssertionError("asked whether it is true")

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


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
    return fail(kinds)


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
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("plain", LookupError, "plain"),
        ("timeout", TimeoutError, "the user's own"),
        ("stop", (RemoteError, RuntimeError), "StopIteration"),
        ("exit", RemoteError, "SystemExit"),
        ("cancel", RemoteError, "CancelledError"),
    ],
)
@pytest.mark.parametrize("function", [fail, fail_async])
async def test_whatever_a_batch_raises_every_caller_is_told_and_the_next_batch_runs(
    function: Chainlet[..., Any, [str], int], kind: str, error: type[Exception], text: str
) -> None:
    calls = [function.remote(kind), function.remote(kind)]
    for call in calls:
        with pytest.raises(error) as caught:
            await call
        assert not isinstance(caught.value, CallTimeout)
        assert text in "".join(traceback.format_exception(caught.value))
    with pytest.raises(LookupError, match="next"):
        await function.remote("next")


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

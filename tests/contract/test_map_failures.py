"""`.map()`, where others stall, lose results, read everything ahead or answer in the wrong order."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import chainlet, gather
from tests.contract.gate import Gate, Gates, renew

gates = Gates()
cancelled: list[str] = []


@chainlet
async def nothing(number: int) -> None:
    return None


@chainlet
async def late_if_even(number: int) -> int:
    """Even numbers wait until the number after them has come through."""
    if number % 2 == 0:
        await gates[f"{number + 1}"].passed()
    gates[f"{number}"].open()
    return number


@chainlet
async def fails_early(number: int) -> int:
    """The last ones fail at once; the first waits until they have."""
    if number >= 2:
        gates[f"failed {number}"].open()
        raise LookupError(f"number {number}")
    await gates["failed 3"].passed()
    return number


@chainlet(replicas=1)
async def waits(name: str) -> str:
    gates[f"{name} began"].open()
    try:
        await gates[name].passed()
    except asyncio.CancelledError:
        cancelled.append(name)
        gates[f"{name} cancelled"].open()
        raise
    return name


@chainlet
async def fails_when_all_wait(name: str) -> str:
    if name != "bad":
        return await waits.remote(name)
    await gates["a began"].passed()
    await gates["b began"].passed()
    raise LookupError(name)


@chainlet
async def fails(number: int) -> int:
    raise LookupError(f"number {number}")


@chainlet
async def maps_below(size: int) -> int:
    return sum([number async for number in late_if_even.map(range(size))])


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    yield
    renew(gates)
    cancelled.clear()


async def test_results_that_are_none_are_counted() -> None:
    assert await nothing.map(range(200)) == [None] * 200


async def test_results_come_in_order_though_they_are_ready_out_of_order() -> None:
    assert await late_if_even.map(range(100)) == list(range(100))


async def test_the_failure_raised_is_the_first_in_order_and_not_the_first_to_arrive() -> None:
    stream = fails_early.map(range(4))
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(LookupError, match="number 2"):
        await anext(stream)


async def test_failures_take_their_place_among_the_results() -> None:
    results = await fails_early.map(range(4), return_exceptions=True)
    assert results[:2] == [0, 1]
    assert [str(result) for result in results[2:]] == ["number 2", "number 3"]


async def test_leaving_early_cancels_the_calls_under_way_and_closes_the_items() -> None:
    closed = Gate()

    def names() -> Iterator[str]:
        try:
            for number in itertools.count():
                yield f"{number}"
        finally:
            closed.open()

    gates["0"].open()
    async with waits.map(names(), max_in_flight=3) as results:
        assert await anext(results) == "0"
        await gates["2 began"].passed()
    await closed.passed()
    await gather_gates("1 cancelled", "2 cancelled")
    assert "0" not in cancelled


async def gather_gates(*names: str) -> None:
    for name in names:
        await gates[name].passed()


async def test_a_failure_cancels_the_calls_under_way() -> None:
    with pytest.raises(LookupError, match="bad"):
        await fails_when_all_wait.map(["bad", "a", "b"])
    await gather_gates("a cancelled", "b cancelled")


async def test_an_async_iterator_of_items_is_closed_when_the_map_is_left() -> None:
    closed = Gate()

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.open()

    async with nothing.map(numbers(), max_in_flight=2) as results:
        await anext(results)
    await closed.passed()


def test_items_that_block_do_not_lose_what_was_asked_for_before() -> None:
    """Each item needs the result of the one before it."""
    seen: list[int] = []

    def dependent() -> Iterator[int]:
        yield 0
        while len(seen) < 5:
            yield len(seen)

    for number in late_or_not.map(dependent(), max_in_flight=1):
        seen.append(number)  # noqa: PERF402 - the items look at it meanwhile
    assert seen == list(range(5))


@chainlet
async def late_or_not(number: int) -> int:
    return number


async def test_maps_in_maps_and_maps_side_by_side_do_not_starve_each_other() -> None:
    sizes = [6] * 10
    assert await maps_below.map(sizes) == [15] * 10
    one, other = late_or_not.map(range(100)), late_or_not.map(range(100))
    assert [await anext(stream) for _ in range(100) for stream in (one, other)] == [
        number for number in range(100) for _ in range(2)
    ]


async def test_a_map_that_nobody_reads_still_starts_its_first_calls_and_goes_away_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = waits.map(["a", "b"])
    await gather_gates("a began", "b began")
    del stream
    gc.collect()
    await gather_gates("a cancelled", "b cancelled")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_failures_of_a_map_that_was_left_are_not_logged_as_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(LookupError, match="number 0"):
        await fails.map(range(50))
    await late_or_not.remote(1)
    gc.collect()
    assert not [record for record in caplog.records if "nobody asked" in record.getMessage()]


def test_maps_of_several_threads_do_not_mix() -> None:
    results: dict[int, list[int]] = {}

    def run(start: int) -> None:
        results[start] = list(late_or_not.map(range(start, start + 50)))

    threads = [threading.Thread(target=run, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {start: list(range(start, start + 50)) for start in (0, 100, 200)}


async def test_gather_of_streams_and_calls_keeps_the_order() -> None:
    assert await gather(late_or_not.map([1, 2]), late_or_not.remote(3)) == ([1, 2], 3)

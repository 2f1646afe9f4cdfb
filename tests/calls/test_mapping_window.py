"""The window of a map: how far it reads ahead, and what becomes of it when something goes wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fchains import CallCancelled, InvalidResult
from fchains.calls.call import Call
from fchains.calls.cell import Cell
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.calls.mapping import MapResults, Window
from fchains.calls.stream import Stream
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload


class Opener:
    """Values are their bytes, and `bad` is none."""

    def value(self, payload: Payload) -> bytes:
        if payload.body == b"bad":
            raise InvalidResult("f gave what its annotation does not allow")
        return bytes(payload.body)

    def error(self, failed: Failed) -> BaseException:
        return ValueError(failed.failure.exceptions[0].message)


class Calls:
    """Starts calls, which the test ends."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.cancelled = 0
        self.began = asyncio.Event()

    def submit(self, item: Any) -> Call[Any]:
        if item is None:
            raise TypeError("no such item")
        self.cells.append(Cell())
        self.began.set()
        return Call(str(item), "f", self.cells[-1], Opener(), self)

    def cancel(self) -> None:
        self.cancelled += 1

    def end(self, index: int, body: bytes = b"done") -> None:
        self.cells[index].settle(Success(Payload(body)))

    def fail(self, index: int) -> None:
        self.cells[index].settle(Failed(FailureKind.USER, failure_of(ValueError(f"item {index}"))))


def started(
    items: Any, *, most: int = 2, ordered: bool = True, keep: bool = False
) -> tuple[Calls, Stream[Any]]:
    calls = Calls()
    results = MapResults(calls.submit, Window(most), ordered=ordered, return_exceptions=keep)
    results.feed(items)
    return calls, Stream(results, "f.map")


def test_a_window_is_halved_by_refusals_and_widened_by_results() -> None:
    window = Window(8)
    window.narrow()
    window.narrow()
    assert window.size == 2
    window.widen()
    assert window.size == 3
    for _ in range(20):
        window.narrow()
    assert window.size == 1


def test_it_reads_no_further_than_its_window_until_results_are_taken() -> None:
    calls, stream = started(itertools.count())
    assert len(calls.cells) == 2
    calls.end(0)
    assert next(stream) == b"done"
    calls.end(1)
    assert next(stream) == b"done"
    assert len(calls.cells) == 3
    stream.cancel()


def test_results_come_in_order_or_as_they_are_done() -> None:
    for ordered, expected in ((True, [b"0", b"1"]), (False, [b"1", b"0"])):
        calls, stream = started([0, 1], ordered=ordered)
        calls.end(1, b"1")
        calls.end(0, b"0")
        assert list(stream) == expected


def test_the_first_failure_in_order_cancels_the_rest() -> None:
    calls, stream = started([0, 1, 2], most=3)
    calls.fail(1)
    calls.end(0)
    assert next(stream) == b"done"
    with pytest.raises(ValueError, match="item 1"):
        next(stream)
    assert calls.cancelled == 1


def test_a_result_that_cannot_be_read_is_a_failure_like_any_other() -> None:
    calls, stream = started([0, 1])
    calls.end(0, b"bad")
    with pytest.raises(InvalidResult):
        next(stream)
    assert calls.cancelled == 1

    calls, stream = started([0, 1], keep=True)
    calls.end(0, b"bad")
    calls.end(1)
    first, second = stream
    assert isinstance(first, InvalidResult)
    assert second == b"done"


def test_an_item_whose_call_cannot_start_takes_its_place_in_the_order() -> None:
    calls, stream = started([0, None], keep=True)
    calls.end(0)
    first, second = stream
    assert first == b"done"
    assert isinstance(second, TypeError)


def test_an_item_that_is_read_while_the_map_is_left_starts_nothing_that_goes_on() -> None:
    holder: list[Stream[Any]] = []

    def items() -> Iterator[int]:
        yield 0
        holder[0].cancel()
        yield 1

    calls, stream = started(items(), most=1)
    holder.append(stream)
    calls.end(0)
    assert next(stream) == b"done"
    assert list(stream) == []
    assert len(calls.cells) == 1 + calls.cancelled


def test_what_the_iterator_raises_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise KeyError("no more")

    calls, stream = started(items())
    calls.end(0)
    assert next(stream) == b"done"
    with pytest.raises(KeyError, match="no more"):
        next(stream)


async def test_items_whose_reading_is_cancelled_are_not_all_there_are() -> None:
    async def items() -> AsyncIterator[int]:
        yield 0
        raise asyncio.CancelledError

    calls, stream = started(items())
    await calls.began.wait()
    calls.end(0)
    assert await anext(stream) == b"done"
    with pytest.raises(CallCancelled, match="before their end"):
        await anext(stream)


async def test_a_failing_end_of_the_items_is_raised_and_no_hang() -> None:
    class Items:
        def __aiter__(self) -> Items:
            return self

        async def __anext__(self) -> int:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            raise OSError("the file is gone")

    _, stream = started(Items())
    with pytest.raises(OSError, match="the file is gone"):
        async with asyncio.timeout(10):
            await anext(stream)

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fchains import CallCancelled, FchainsError
from fchains.calls.sources import END, PENDING
from fchains.calls.stream import Stream


class Items:
    """A source that gives what the test puts in; an exception among the items is raised."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.waiting = threading.Event()
        self.cancelled = 0
        self._wake: Callable[[], None] | None = None

    def take(self) -> Any:
        if not self.items:
            return PENDING
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def when_ready(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.waiting.set()

    def cancel(self) -> None:
        self.cancelled += 1
        if self._wake is not None:
            self._wake()


async def test_it_is_read_with_async_for_and_awaited_for_a_list() -> None:
    assert [item async for item in Stream[int](Items(1, 2, END), "f")] == [1, 2]
    assert await Stream[int](Items(1, 2, END), "f") == [1, 2]


def test_it_is_read_with_for() -> None:
    assert list(Stream[int](Items(1, 2, END), "f")) == [1, 2]


async def test_awaiting_it_after_reading_began_is_refused() -> None:
    stream = Stream[int](Items(1, END), "f")
    assert await anext(stream) == 1
    with pytest.raises(FchainsError, match="has been read from already"):
        await stream


def test_an_item_that_cannot_be_opened_ends_the_work_behind_it() -> None:
    source = Items(1, ValueError("bad item"), 2)
    stream = Stream[int](source, "f")
    assert next(stream) == 1
    with pytest.raises(ValueError, match="bad item"):
        next(stream)
    assert source.cancelled == 1
    assert list(stream) == []


async def test_a_stream_that_was_cancelled_is_no_complete_list() -> None:
    stream = Stream[int](Items(1, 2), "f")
    stream.cancel()
    with pytest.raises(CallCancelled, match="f: the stream was cancelled"):
        await stream


def test_who_waits_for_an_item_is_told_that_another_thread_cancelled_the_stream() -> None:
    source, caught = Items(1), list[BaseException]()
    stream = Stream[int](source, "f")

    def read() -> None:
        try:
            list(stream)
        except CallCancelled as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert source.waiting.wait(10)
    stream.cancel()
    reader.join(10)
    assert len(caught) == 1


def test_leaving_its_block_cancels_and_so_does_letting_go_of_it() -> None:
    source = Items()
    with Stream[int](source, "f") as stream:
        pass
    assert source.cancelled == 1
    assert list(stream) == []
    other = Items()
    Stream[int](other, "f")
    assert other.cancelled == 1

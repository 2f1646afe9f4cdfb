"""Streams that nobody reads to their end, both ways, and ones whose writer dies."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fchains import Stream, WorkerLost, gather, use_runner
from fchains_local.board import Board
from fchains_local.runner import LocalRunner
from tests.local.leftovers import become, descriptors, folder, nothing_left, tasks
from tests.local.workload import (
    JOURNAL,
    counter,
    counter_sync,
    dies_after,
    ends_with,
    first_of,
    held,
    listens,
    passes_on,
    written,
)

__all__ = ["folder"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

STREAMS = 500
ENDLESS = 1 << 40
WINDOW = 16


class Held:
    """What a replica and this process hold while nothing is under way; more is what streams left there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there = (0, 0, 0)
        self._here = 0
        self._tasks: set[asyncio.Task[object]] = set()

    async def look(self) -> None:
        """Remember how things are."""
        for each in (counter, counter_sync):
            assert await each.remote(20) == list(range(20))
        gc.collect()
        self._there = await held.remote()
        self._here = len(descriptors())
        self._tasks = tasks()

    async def check(self) -> None:
        """All must be as it was, soon, and the one slot of the chainlets free."""
        async with asyncio.timeout(20):
            for each in (counter, counter_sync):
                assert await each.remote(20) == list(range(20))
            gc.collect()
            await become(lambda: not self.loads(), "the board says that nothing is under way")
            while (there := await held.remote()) != self._there:
                await asyncio.sleep(0.02)
                assert there[2] == self._there[2], "the replica was replaced"
            await become(lambda: len(descriptors()) <= self._here, "no descriptor is left")
            await become(lambda: tasks() <= self._tasks, "no task is left")

    def loads(self) -> dict[tuple[int, int], int]:
        """Loads on the board that are not 0, by row and column."""
        (path,) = self._folder.glob("fchains-*/board")
        board = Board.open(path)
        try:
            cells = ((row, column) for row in range(8) for column in range(board.columns))
            return {cell: load for cell in cells if (load := board.get(*cell))}
        finally:
            board.close()


async def _read_some(stream: Stream[int], count: int) -> None:
    wanted = 0
    async for item in stream:
        assert item == wanted
        wanted += 1
        if wanted == count:
            break


async def _broken_off(stream: Stream[int]) -> None:
    await _read_some(stream, 3)


async def _closed(stream: Stream[int]) -> None:
    await _read_some(stream, 3)
    await stream.aclose()


async def _closed_unread(stream: Stream[int]) -> None:
    await stream.aclose()


async def _never_touched(stream: Stream[int]) -> None:
    del stream


async def _cancelled_in_a_task(stream: Stream[int]) -> None:
    reading = asyncio.create_task(_read_some(stream, ENDLESS))
    del stream
    await asyncio.sleep(0.001)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading


async def _left_by_an_error(stream: Stream[int]) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with stream:
            async for item in stream:
                assert 1 // (item - 1)


LEAVE: list[Callable[[Stream[int]], Coroutine[Any, Any, None]]] = [
    _broken_off,
    _closed,
    _closed_unread,
    _never_touched,
    _cancelled_in_a_task,
    _left_by_an_error,
]


async def test_five_hundred_streams_left_one_after_another_or_many_at_once_leave_nothing(
    folder: Path,
) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            state = Held(folder)
            await state.look()
            for number in range(STREAMS // 2):
                await LEAVE[number % len(LEAVE)]((counter, counter_sync)[number % 2].remote(ENDLESS))
            await state.check()
            # One slot: most of them have not begun when they are left.
            for _ in range(5):
                streams = [(counter, counter_sync)[n % 2].remote(ENDLESS) for n in range(STREAMS // 10)]
                while streams:
                    await LEAVE[len(streams) % len(LEAVE)](streams.pop(0))
                await state.check()


def test_streams_left_by_sync_readers_in_threads_leave_nothing(folder: Path) -> None:
    def leave(number: int) -> None:
        stream = counter_sync.remote(ENDLESS)
        for item in stream:
            if item == number:
                break

    with nothing_left(folder), use_runner(LocalRunner()):
        state = Held(folder)
        asyncio.run(state.look())
        for _ in range(5):
            threads = [threading.Thread(target=leave, args=(number,)) for number in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()
        asyncio.run(state.check())


async def test_slow_readers_pause_their_writers_at_a_window(folder: Path, tmp_path: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            small = [written.remote(str(tmp_path / f"small{n}"), 10) for n in range(40)]
            large = [written.remote(str(tmp_path / f"large{n}"), 300_000) for n in range(5)]
            for stream in (*small, *large):
                assert len(await anext(stream)) in (10, 300_000)
            # Each reader has taken one item, and may have said so already.
            await become(
                lambda: set(_sizes(tmp_path, "small")) <= {WINDOW, WINDOW + 1}, "all windows are full"
            )
            await become(lambda: set(_sizes(tmp_path, "large")) <= {3, 4}, "a megabyte is on its way in each")
            for _ in range(100):
                await anext(small[0])
            await become(lambda: _sizes(tmp_path, "small")[0] >= 101, "the writer goes on")
            assert _sizes(tmp_path, "small")[0] <= 101 + WINDOW
            assert set(_sizes(tmp_path, "small")[1:]) <= {WINDOW, WINDOW + 1}
            assert set(_sizes(tmp_path, "large")) <= {3, 4}
            for stream in (*small, *large):
                await stream.aclose()


def _sizes(folder: Path, name: str) -> list[int]:
    files = sorted(folder.glob(f"{name}*"), key=lambda file: int(file.name.removeprefix(name)))
    return [file.stat().st_size for file in files]


class Source:
    """An endless stream to pass to a call, and what became of it."""

    def __init__(self) -> None:
        self.read = 0
        self.closed = False

    async def items(self) -> AsyncIterator[int]:
        try:
            while True:
                self.read += 1
                yield 1
        finally:
            self.closed = True


async def test_streams_passed_to_calls_are_closed_however_the_calls_end(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            state = Held(folder)
            await first_of.remote(Source().items(), 3)
            await state.look()
            finished = [Source() for _ in range(50)]
            assert sum(await gather(*(first_of.remote(each.items(), 30) for each in finished))) == 50 * 30
            assert max(each.read for each in finished) <= 30 + WINDOW + 2
            left = [Source() for _ in range(50)]
            calls = [first_of.remote(each.items(), ENDLESS) for each in left]
            await become(lambda: all(each.read > 50 for each in left), "all are read")
            for call in calls:
                call.cancel()
            sources = [*finished, *left]
            await become(lambda: all(each.closed for each in sources), "all are closed")
            await state.check()


async def test_the_death_of_the_reader_closes_a_stream_passed_to_it(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            sources = [Source() for _ in range(10)]
            lasting = [first_of.remote(each.items(), ENDLESS) for each in sources[1:]]
            with pytest.raises(WorkerLost, match="SIGKILL"):
                await dies_after.remote(sources[0].items(), 100)
            for call in lasting:
                with pytest.raises(WorkerLost, match="SIGKILL"):
                    await call
            await become(lambda: all(each.closed for each in sources), "all are closed")
            assert await first_of.remote(Source().items(), 10) == 10


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(JOURNAL, str(tmp_path))
    return tmp_path


async def test_the_death_of_a_writer_comes_after_its_items(folder: Path, journal: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            for count in (0, 1, 10, 100):
                items: list[int] = []
                with pytest.raises(WorkerLost, match="SIGKILL"):
                    await _collect(ends_with.remote(count), items)
                assert items == list(range(count))


async def _collect(stream: Stream[int], items: list[int]) -> None:
    async for item in stream:
        items.append(item)  # noqa: PERF401 - what came before the error counts


async def _five() -> AsyncIterator[int]:
    for item in range(5):
        yield item


async def test_a_stream_passed_by_a_replica_that_dies_never_looks_complete(
    folder: Path, journal: Path
) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            for _ in range(3):
                with pytest.raises(WorkerLost, match="SIGKILL"):
                    await passes_on.remote(10)
            assert await listens.remote(_five()) == 5
            heard = journal / "heard"
            await become(lambda: len(heard.read_text().splitlines()) == 4, "all readers have ended")
    assert "complete after 10" not in heard.read_text()
    assert heard.read_text().count("complete") == 1

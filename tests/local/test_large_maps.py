"""Maps over many items, and more calls at once than there is room for."""

from __future__ import annotations

import asyncio
import collections
import gc
import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fchains import Overloaded, gather, use_runner
from fchains_local.runner import LocalRunner
from tests.local.leftovers import become, folder, nothing_left, resident
from tests.local.workload import crowded, mixed, slowly, with_pid

__all__ = ["folder"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ITEMS = 10_000
GROWTH = 30 * 1000 * 1000
"""Bytes that the process may grow by."""


async def test_ten_thousand_items_come_in_order_from_two_processes_and_memory_stays(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            assert len(await with_pid.map(range(2000))) == 2000
            gc.collect()
            before = resident()
            most = 0
            pids: set[int] = set()
            wanted = 0
            async for result, pid in with_pid.map(range(ITEMS)):
                assert result == mixed(wanted)
                wanted += 1
                pids.add(pid)
                if not wanted % 500:
                    most = max(most, resident())
        assert wanted == ITEMS
        assert len(pids) >= 2
        assert most - before < GROWTH


async def test_results_that_come_as_they_are_made_are_all_there_once(folder: Path) -> None:
    async with use_runner(LocalRunner()):
        results = [result async for result, _ in with_pid.map(range(ITEMS // 4), ordered=False)]
    assert sorted(results) == sorted(map(mixed, range(ITEMS // 4)))


def test_sync_code_maps_an_endless_generator_and_leaves_it(folder: Path) -> None:
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    with nothing_left(folder), use_runner(LocalRunner()):
        with with_pid.map(endless()) as results:
            taken = [result for result, _ in itertools.islice(results, 1000)]
        assert taken == [mixed(number) for number in range(1000)]
        assert closed == [True]


async def test_an_endless_async_generator_is_read_as_needed_and_closed_in_the_end(folder: Path) -> None:
    read: list[int] = []
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                read.append(number)
                yield number
        finally:
            closed.set()

    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            taken: list[int] = []
            async with with_pid.map(endless(), max_in_flight=32) as results:
                async for result, _ in results:
                    taken.append(result)
                    if len(taken) == 1000:
                        break
            await closed.wait()
    assert taken == [mixed(number) for number in range(1000)]
    assert len(read) <= 1000 + 32 + 1


async def test_a_map_that_is_left_early_cancels_the_rest(folder: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            async with slowly.map(range(1000), kwargs={"file": str(notes)}, max_in_flight=50) as results:
                taken = [await anext(results) for _ in range(5)]
                await become(lambda: len(_lines(notes, "began")) == 54, "all of the window begins")
            await become(lambda: len(_lines(notes, "cancelled")) == 49, "all the rest is cancelled")
    assert taken == [0, 1, 2, 3, 4]
    assert len(_lines(notes, "began")) == 54


async def test_where_the_queue_is_full_calls_are_refused_at_once_and_none_is_lost(
    folder: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            await crowded.map(range(50))
            both = [crowded.remote(0, str(gate)) for _ in range(2)]
            calls = [asyncio.ensure_future(_outcome(number)) for number in range(2000)]
            await become(lambda: sum(call.done() for call in calls) == 1000, "half of them are refused")
            gate.touch()
            async with asyncio.timeout(30):
                outcomes = collections.Counter(await asyncio.gather(*calls))
            assert outcomes == {"refused": 1000, "right": 1000}
            assert await gather(*both) == (mixed(0), mixed(0))
            assert await crowded.remote(7) == mixed(7)


async def _outcome(number: int) -> str:
    try:
        return "right" if await crowded.remote(number) == mixed(number) else "wrong"
    except Overloaded:
        return "refused"


async def test_a_map_over_a_full_queue_is_never_refused(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            results = await crowded.map(range(3000), max_in_flight=2000)
    assert results == [mixed(number) for number in range(3000)]


def _lines(file: Path, begin: str) -> list[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if line.startswith(begin)]

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import CallTimeout, StreamChainlet, chainlet

LIMIT = 0.6


@chainlet
async def count(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


@chainlet
def count_sync(to: int) -> Iterator[int]:
    yield from range(to)


@chainlet
async def stall_after(items: int) -> AsyncIterator[int]:
    for number in range(items):
        yield number
    await asyncio.Event().wait()


@chainlet
async def never() -> None:
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


@pytest.mark.slow
@pytest.mark.parametrize("pause_at", [0, 20])
@pytest.mark.parametrize("generator", [count, count_sync], ids=["async", "sync"])
async def test_the_time_that_the_reader_pauses_does_not_count(
    generator: StreamChainlet[[int], object, [int], int], pause_at: int
) -> None:
    seen: list[int] = []
    async for item in generator.options(timeout=LIMIT).remote(40):
        seen.append(item)
        if item == pause_at:
            with pytest.raises(CallTimeout):
                await never.options(timeout=2 * LIMIT).remote()
    assert seen == list(range(40))


@pytest.mark.slow
async def test_after_a_pause_of_the_reader_the_writers_time_counts_again() -> None:
    stream = stall_after.options(timeout=LIMIT).remote(20)
    assert await anext(stream) == 0
    with pytest.raises(CallTimeout):
        await never.options(timeout=2 * LIMIT).remote()
    assert [await anext(stream) for _ in range(19)] == list(range(1, 20))
    with pytest.raises(CallTimeout):
        await anext(stream)

"""Streams that are left early, where others leak connections, or go on for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import Stream, chainlet, current_call, use_runner
from tests.contract.gate import Gate, Running, renew, until

counts = Running()
made: list[int] = []


@chainlet(replicas=1)
async def endless() -> AsyncIterator[int]:
    number = 0
    with counts:
        while True:
            made.append(number)
            yield number
            number += 1


@chainlet(replicas=1)
def endless_sync() -> Iterator[int]:
    number = 0
    with counts:
        while True:
            made.append(number)
            yield number
            number += 1


@chainlet(replicas=1, group="counted")
async def counted() -> AsyncIterator[int]:
    for number in range(1000):
        yield number


@chainlet(replicas=1, group="counted")
async def tasks_beside_it() -> int:
    """Tasks on the event loop of the replica, this one aside."""
    return len(asyncio.all_tasks()) - 1


@chainlet
async def relay() -> AsyncIterator[int]:
    async for number in endless.remote():
        yield number


@chainlet
async def first_two(numbers: AsyncIterator[int]) -> int:
    return await anext(numbers) + await anext(numbers)


@chainlet
async def join_words(words: AsyncIterator[str]) -> str:
    return " ".join([word async for word in words])


@chainlet
async def caller_of_this() -> str:
    return current_call().chain_id


async def callers() -> AsyncIterator[str]:
    """Runs in the chainlet that passes it on, and so calls from there."""
    same_chain = await caller_of_this.remote() == current_call().chain_id
    yield current_call().chainlet if same_chain else "a chain of its own"


@chainlet
async def passes_a_stream() -> str:
    return await join_words.remote(callers())


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""
    renew(counts)
    made.clear()


async def until_closed() -> None:
    await until(lambda: counts.begun > 0 and not counts.now)


async def read_on(stream: Stream[int]) -> None:
    async for _ in stream:
        await asyncio.sleep(0)


async def leave(how: str) -> None:
    stream = counted.remote()
    if how != "unread":
        assert await anext(stream) == 0
    match how:
        case "break":
            async for _ in stream:
                break
        case "with":
            async with stream:
                pass
        case "task":
            reader = asyncio.create_task(read_on(stream))
            await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
        case _:
            stream.cancel()


@pytest.mark.slow
async def test_five_hundred_streams_left_early_leave_no_task_thread_or_slot() -> None:
    await leave("cancel")
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    # The replica has a hundred slots: a leak of any kind would soon leave none.
    for _ in range(100):
        for how in ("break", "with", "task", "cancel", "unread"):
            await leave(how)
    gc.collect()
    async with asyncio.timeout(20):
        while await tasks_beside_it.remote():
            pass
    assert len(asyncio.all_tasks()) == tasks
    assert threading.active_count() <= threads
    assert len(await counted.remote()) == 1000


async def test_a_sync_generator_left_early_gives_its_only_slot_back_each_time() -> None:
    for _ in range(50):
        async with endless_sync.remote() as stream:
            assert await anext(stream) == 0
    await until_closed()
    assert counts.begun == 50


async def test_a_stream_holds_its_slot_until_it_ends() -> None:
    first, second = endless_sync.remote(), endless_sync.remote()
    assert await anext(first) == 0
    await first.aclose()
    assert await anext(second) == 0
    await second.aclose()
    await until_closed()
    assert counts.most == 1


async def test_more_streams_left_before_their_first_item_than_there_are_slots() -> None:
    for _ in range(300):
        endless.remote().cancel()
    async with endless.remote() as stream:
        assert await anext(stream) == 0
    await until_closed()


async def test_leaving_a_relayed_stream_reaches_the_generator_behind_it() -> None:
    async with relay.remote() as stream:
        assert await anext(stream) == 0
    await until_closed()


async def test_a_reader_that_pauses_holds_back_an_endless_generator() -> None:
    async with endless.remote() as stream:
        for _ in range(3):
            await anext(stream)
        await tasks_beside_it.remote()
        assert len(made) < 40
    await until_closed()


async def test_a_streamed_parameter_that_is_not_read_to_its_end_is_closed() -> None:
    closed = Gate()

    async def source() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.open()

    assert await first_two.remote(source()) == 2
    await closed.passed()


async def test_calls_made_by_a_streamed_parameter_belong_to_the_call_that_passes_it() -> None:
    assert await passes_a_stream.remote() == "passes_a_stream"


@pytest.mark.slow
def test_a_runner_is_left_although_a_stream_in_it_is_not_read_any_more() -> None:
    streams: list[Stream[int]] = []

    def leave_with_a_stream_open() -> None:
        with use_runner("inline"):
            streams.append(endless.remote())
            next(streams[0])

    leaving = threading.Thread(target=leave_with_a_stream_open, daemon=True)
    leaving.start()
    leaving.join(timeout=10)
    hangs = leaving.is_alive()
    streams[0].cancel()
    leaving.join(timeout=20)
    assert not hangs

"""Streams that are left, cut off or slow, where others lose items, leak connections or go on for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import CallTimeout, Retry, Stream, WorkerLost, chainlet, current_call, use_runner
from fchains.calls.invocation import Success
from fchains.calls.sources import StreamBuffer
from fchains.wire.payload import Payload
from tests.contract.gate import Gate


class Counts:
    """Generators that are open now, and those that were ever opened."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = 0
        self.opened = 0
        self.made = 0

    def __enter__(self) -> None:
        with self.lock:
            self.open += 1
            self.opened += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.open -= 1


counts = Counts()


@chainlet(replicas=1)
async def endless() -> AsyncIterator[int]:
    number = 0
    with counts:
        while True:
            counts.made += 1
            yield number
            number += 1


@chainlet(replicas=1)
def endless_sync() -> Iterator[int]:
    number = 0
    with counts:
        while True:
            counts.made += 1
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
async def sentences() -> AsyncIterator[str]:
    for text in ("", "ä", "🙂" * 1000, "\ud7ff", "line\nbreak", ""):
        yield text


@chainlet
async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"", b"\xff\xfe", b"\0" * 70_000, b""):
        yield piece


@chainlet
async def flaky(fail_on: int) -> AsyncIterator[int]:
    """Fails in its first attempt, after `fail_on` items."""
    for number in range(5):
        if number == fail_on and current_call().attempt == 1:
            raise ConnectionError(f"attempt {current_call().attempt} lost")
        yield number


@chainlet(timeout=0.1)
async def stalls() -> AsyncIterator[int]:
    yield 1
    yield 2
    await asyncio.Event().wait()


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
    vars(counts).update(vars(Counts()))


async def until_closed() -> None:
    async with asyncio.timeout(20):
        while counts.open or counts.opened == 0:
            await asyncio.sleep(0.001)


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
            await asyncio.sleep(0.001)
    assert len(asyncio.all_tasks()) == tasks
    assert threading.active_count() <= threads
    assert len(await counted.remote()) == 1000


async def test_a_sync_generator_left_early_gives_its_only_slot_back_each_time() -> None:
    for _ in range(50):
        async with endless_sync.remote() as stream:
            assert await anext(stream) == 0
    await until_closed()
    assert counts.opened == 50


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
        assert counts.made < 40
    await until_closed()


async def test_texts_and_bytes_keep_their_boundaries_and_every_character() -> None:
    assert await sentences.remote() == ["", "ä", "🙂" * 1000, "\ud7ff", "line\nbreak", ""]
    assert await pieces.remote() == [b"", b"\xff\xfe", b"\0" * 70_000, b""]


async def test_an_error_before_the_first_item_may_be_retried_and_one_after_it_is_raised() -> None:
    again = flaky.options(retries=Retry(attempts=2, backoff=0.001, on=(ConnectionError,)))
    assert await again.remote(0) == [0, 1, 2, 3, 4]
    seen: list[int] = []
    with pytest.raises(ConnectionError, match="attempt 1 lost"):
        async for number in again.remote(3):
            seen.append(number)
    assert seen == [0, 1, 2]


async def test_a_stream_that_stalls_is_an_error_that_names_the_limit_after_its_items() -> None:
    seen: list[int] = []
    with pytest.raises(CallTimeout, match=r"stalls.*(item|time)"):
        async for number in stalls.remote():
            seen.append(number)
    assert seen == [1, 2]


async def test_a_reader_slower_than_the_timeout_is_not_a_stalled_stream() -> None:
    stream = counted.options(timeout=0.05).remote()
    assert await anext(stream) == 0
    await asyncio.sleep(0.12)  # longer than the timeout, with the window full
    assert len([number async for number in stream]) == 999


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
    leaving.join(timeout=2)
    hangs = leaving.is_alive()
    streams[0].cancel()
    leaving.join(timeout=20)
    assert not hangs


def test_a_stream_that_lost_items_on_the_way_never_looks_complete() -> None:
    class Plain:
        def value(self, payload: Payload) -> int:
            return int(bytes(payload.body))

        def error(self, failed: object) -> BaseException:
            raise AssertionError(failed)

    buffer: StreamBuffer[int] = StreamBuffer(Plain(), "numbers")
    buffer.put(Payload(b"1"))
    buffer.settle(Success(Payload(b"null"), 3))
    assert buffer.take() == 1
    with pytest.raises(WorkerLost, match="numbers: the stream ended after 1 of 3 items"):
        buffer.take()

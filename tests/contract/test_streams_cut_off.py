"""Streams that fail, stall or lose something, where others end as if they were complete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fchains import CallTimeout, Retry, WorkerLost, chainlet, current_call
from fchains.calls.invocation import Success
from fchains.calls.sources import StreamBuffer
from fchains.wire.payload import Payload


@chainlet(replicas=1, group="counted")
async def counted() -> AsyncIterator[int]:
    for number in range(1000):
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


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


async def test_texts_and_bytes_keep_their_boundaries_and_every_character() -> None:
    assert await sentences.remote() == ["", "ä", "🙂" * 1000, "\ud7ff", "line\nbreak", ""]
    assert await pieces.remote() == [b"", b"\xff\xfe", b"\0" * 70_000, b""]


async def test_an_error_before_the_first_item_may_be_retried_and_one_after_it_is_raised() -> None:
    again = flaky.options(retries=Retry(attempts=2, backoff=0.001, on=(ConnectionError,)))
    assert await again.remote(0) == [0, 1, 2, 3, 4]
    stream = again.remote(3)
    assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ConnectionError, match="attempt 1 lost"):
        await anext(stream)


async def test_a_stream_that_stalls_is_an_error_that_names_the_limit_after_its_items() -> None:
    stream = stalls.remote()
    assert [await anext(stream), await anext(stream)] == [1, 2]
    with pytest.raises(CallTimeout, match=r"stalls.*(item|time)"):
        await anext(stream)


async def test_a_reader_slower_than_the_timeout_is_not_a_stalled_stream() -> None:
    stream = counted.options(timeout=0.05).remote()
    assert await anext(stream) == 0
    await asyncio.sleep(0.12)  # longer than the timeout, with the window full
    assert len([number async for number in stream]) == 999


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

from __future__ import annotations

import asyncio

import pytest

from fchains.calls.invocation import Failed
from fchains.calls.sources import StreamBuffer
from fchains.calls.unread import OpenStreams
from fchains.wire.payload import Payload


class Opener:
    """Gives payloads back as text."""

    def value(self, payload: Payload) -> str:
        return bytes(payload.body).decode()

    def error(self, failed: Failed) -> BaseException:
        raise NotImplementedError


class Feeder:
    """Remembers that it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def consumed(self, items: int, size: int) -> None:
        """Credit that nobody waits for."""


def stream(streams: OpenStreams, items: int) -> tuple[StreamBuffer[str], Feeder]:
    buffer: StreamBuffer[str] = StreamBuffer(Opener(), "count")
    feeder = Feeder()
    buffer.feeder = feeder
    for number in range(items):
        buffer.put(Payload(str(number).encode()))
    streams.add(buffer)
    return buffer, feeder


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_stream_whose_reader_has_stopped_is_cancelled() -> None:
    streams = OpenStreams()
    _unread, feeder = stream(streams, 3)
    watching = asyncio.ensure_future(streams.cancel_unread(patience=0))
    async with asyncio.timeout(5):
        await feeder.cancelled.wait()
    watching.cancel()


@pytest.mark.parametrize("items", [0, 10])
async def test_a_stream_that_is_read_on_is_left_alone(items: int) -> None:
    streams = OpenStreams()
    buffer, feeder = stream(streams, items)
    watching = asyncio.ensure_future(streams.cancel_unread(patience=0))
    for _ in range(items):
        buffer.take()
        await turns(1)
    await turns()
    assert not feeder.cancelled.is_set()
    watching.cancel()

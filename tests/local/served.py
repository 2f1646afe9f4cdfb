"""Chainlets behind a front door, and frames that call them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fchains import batched, chainlet
from fchains.wire.frames import Frame, encode
from fchains_local.callframes import call_frame
from tests.local.peers import calling


@chainlet
async def double(x: int) -> int:
    return 2 * x


@chainlet(concurrency=1)
async def wait_for_ever(x: int) -> int:
    await asyncio.Event().wait()
    return x


@chainlet
@batched(max_size=2, max_wait=60.0)
async def double_all(x: list[int]) -> list[int]:
    return [2 * each for each in x]


MADE: list[int] = []


@chainlet
async def count(to: int) -> AsyncIterator[int]:
    MADE.clear()
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
def count_sync(to: int) -> Iterator[int]:
    MADE.clear()
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])


@chainlet
async def hold(numbers: AsyncIterator[int]) -> int:
    await asyncio.Event().wait()
    return len([number async for number in numbers])


GATE = threading.Event()


@chainlet
def wait_in_thread(x: int) -> int:
    GATE.wait(10)
    return x


def call(number: int, chainlet: object, channel: int = 0, **arguments: Any) -> Frame:
    return call_frame(number, channel, calling(chainlet, f"call-{number}", **arguments))


HEAD = b'{"pid":1,"segments":null}'


def as_bytes(*frames: Frame) -> bytes:
    return b"".join(bytes(piece) for frame in frames for piece in encode(frame))

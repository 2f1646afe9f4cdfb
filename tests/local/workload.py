"""Chainlets for the tests of endurance, which workers import."""

from __future__ import annotations

import asyncio
import functools
import gc
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np

from fchains import Retry, chainlet, current_call
from fchains.calls.portal import portal
from fchains_local.segments import SegmentPool

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

JOURNAL = "FCHAINS_TEST_JOURNAL"
"""Environment variable with the folder in which executions are noted down."""

CHAOS_RETRY = Retry(attempts=6, backoff=0.05, max_delay=0.4)


def mixed(number: int) -> int:
    """A number that nothing but the right computation gives."""
    return (number * 2654435761) & 0xFFFFFFFF


@functools.cache
def _journal(pid: int) -> int:
    return os.open(f"{os.environ[JOURNAL]}/{pid}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)


def note() -> None:
    """Note down that the current attempt of the current call is executed here."""
    call = current_call()
    os.write(_journal(os.getpid()), f"{call.id} {call.attempt}\n".encode())


# For the chaos: one chain, two replicas each.


@chainlet(replicas=2)
def tiny(number: int) -> int:
    note()
    return mixed(number)


@chainlet(replicas=2)
async def quick(number: int) -> int:
    note()
    await asyncio.sleep(0)
    return mixed(number) ^ 1


@chainlet(replicas=2)
async def numbers(first: int, count: int) -> AsyncIterator[int]:
    note()
    for number in range(first, first + count):
        yield number


@chainlet(replicas=2)
async def total(items: AsyncIterator[int]) -> int:
    note()
    result = 0
    async for item in items:
        result += item
    return result


@chainlet(replicas=2)
def inverted(data: Bytes) -> Bytes:
    note()
    return 255 - data


@chainlet(replicas=2, entrypoint=True, calls=[numbers, total, inverted])
async def nested(number: int) -> int:
    note()
    first = tiny.options(retries=CHAOS_RETRY).remote(number)
    second = quick.options(retries=CHAOS_RETRY).remote(number)
    return await first + await second


# For large maps.


@chainlet(replicas=2)
def with_pid(number: int) -> tuple[int, int]:
    return mixed(number), os.getpid()


@chainlet(replicas=2)
async def slowly(number: int, file: str) -> int:
    """Notes in a file that it began and that it was cancelled; all but the first few wait for ever."""
    _write(file, f"began {number}")
    try:
        if number >= 5:
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        _write(file, f"cancelled {number}")
        raise
    return number


@chainlet(replicas=2, max_queue=1000)
def crowded(number: int, gate: str = "") -> int:
    """Where a gate is named, it waits until there is such a file."""
    while gate and not os.path.exists(gate):  # noqa: PTH110
        time.sleep(0.005)
    return mixed(number)


# For streams that are left.


@chainlet(replicas=1, concurrency=1, group="left")
async def counter(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@chainlet(replicas=1, concurrency=1, group="left")
def counter_sync(count: int) -> Iterator[int]:
    yield from range(count)


@chainlet(replicas=1, group="left")
async def held() -> tuple[int, int, int]:
    """Tasks on the loops of the replica, this one aside, and its open files; which process it is."""
    own = asyncio.all_tasks()
    others = asyncio.all_tasks(portal().loop)
    return len(own) + len(others) - 1, len(os.listdir("/proc/self/fd")), os.getpid()  # noqa: PTH208


@chainlet(replicas=1, concurrency=100, group="left")
async def written(file: str, size: int) -> AsyncIterator[bytes]:
    """Writes without end, and notes in a file how many items it has got rid of."""
    with open(file, "ab", buffering=0) as progress:  # noqa: ASYNC230, PTH123
        while True:
            yield bytes(size)
            progress.write(b".")


@chainlet(replicas=1, concurrency=100, group="left")
async def first_of(items: AsyncIterator[int], count: int) -> int:
    """The sum of so many items; the rest is left."""
    result = 0
    async for item in items:
        result += item
        count -= 1
        if not count:
            break
    return result


@chainlet(replicas=1, concurrency=100, group="left")
async def dies_after(items: AsyncIterator[int], count: int) -> int:
    async for _ in items:
        count -= 1
        if not count:
            os.kill(os.getpid(), 9)
    return 0


@chainlet(replicas=1, group="mortal")
async def ends_with(count: int) -> AsyncIterator[int]:
    """The process is killed after so many items, in the middle of a stream."""
    for number in range(count):
        yield number
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), 9)
    yield -1


@chainlet(replicas=1, group="mortal")
async def passes_on(count: int) -> int:
    """Streams to another replica, and dies in the middle."""

    async def items() -> AsyncIterator[int]:
        for number in range(count):
            yield number
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), 9)
        yield -1

    return await listens.remote(items())


@chainlet(replicas=1, calls=[ends_with])
async def listens(items: AsyncIterator[int]) -> int:
    """Writes down whether its items seemed complete."""
    heard = f"{os.environ[JOURNAL]}/heard"
    count = 0
    try:
        async for _ in items:
            count += 1
    except BaseException as error:
        _write(heard, f"{type(error).__name__} after {count}")
        raise
    _write(heard, f"complete after {count}")
    return count


def _write(file: str, line: str) -> None:
    with open(file, "a") as lines:  # noqa: PTH123
        lines.write(line + "\n")


# For large values.


def digest_of(data: Bytes) -> str:
    """What only the same content has."""
    return hashlib.blake2b(data.data).hexdigest()


def trim() -> int:
    """Give back the shared memory of this process that nobody reads; the bytes that stay."""
    pools = [each for each in gc.get_objects() if type(each) is SegmentPool]
    for pool in pools:
        pool.idle_seconds = 0.0
        while pool.trim():
            pass
    return sum(pool.size for pool in pools)


@chainlet(replicas=2, memory="4GiB", group="large")
def trimmed() -> tuple[int, int]:
    return os.getpid(), trim()


@chainlet(replicas=2, memory="4GiB", group="large")
def returned(data: Bytes) -> tuple[Bytes, str, bool, int]:
    """The same content, its digest here, whether it could be written to, and where that was."""
    writable = bool(data.flags.writeable)
    data[0] ^= 255
    data[0] ^= 255
    return data, digest_of(data), writable, os.getpid()

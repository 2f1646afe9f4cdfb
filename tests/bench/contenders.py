"""The contenders of each kind of measurement: fchains, the floor below it, and its peers."""

import asyncio
import timeit
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.floor import raw_hops

OWN, FLOOR, POOL = "fchains", "floor", "pool"

Timed = Callable[[int], Awaitable[float]]
"""Does something so many times, and gives the seconds that one time takes."""

Prepare = Callable[[ExitStack, float], dict[str, Timed]]
"""Makes contenders; the number is the share of the full sizes, below 1 to try a thing out."""


def echo(value: object) -> object:
    return value


def blocking(call: Callable[[], object]) -> Timed:
    async def timed(calls: int) -> float:
        return median(timeit.repeat(call, number=1, repeat=calls))

    return timed


def awaited(call: Callable[[], Awaitable[object]], width: int = 1) -> Timed:
    """Median of single calls; with `width` of them in flight, the time of all by their number."""

    async def timed(calls: int) -> float:
        times: list[float] = []

        async def lane() -> None:
            for _ in range(-(-calls // width)):
                began = perf_counter()
                await call()
                times.append(perf_counter() - began)

        began = perf_counter()
        await asyncio.gather(*(lane() for _ in range(width)))
        return median(times) if width == 1 else (perf_counter() - began) / len(times)

    return timed


def calls(
    call: Callable[[], Awaitable[object]],
    peer: Callable[[Any], object] | None = None,
    value: object = 1,
    *,
    hops: int = 1,
    width: int = 1,
) -> Prepare:
    """Calls against raw messages through so many processes, and `peer(value)` in a pool of one process."""

    def prepare(stack: ExitStack, share: float) -> dict[str, Timed]:
        contenders = {OWN: awaited(call, width), FLOOR: blocking(stack.enter_context(raw_hops(hops)))}
        if (work := peer) is not None:
            pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            contenders[POOL] = awaited(lambda: asyncio.wrap_future(pool.submit(work, value)), width)
        return contenders

    return prepare


def maps(call: Callable[[range], Awaitable[object]], items: int) -> Prepare:
    """Maps against as many coroutines in this process, and against a pool of two processes."""

    async def bare(number: int) -> int:
        return number

    def prepare(stack: ExitStack, share: float) -> dict[str, Timed]:
        async def gathered() -> None:
            await asyncio.gather(*map(bare, numbers))

        numbers = range(max(1, round(items * share)))
        pool = stack.enter_context(ProcessPoolExecutor(2, get_context("spawn")))
        listed = blocking(lambda: list(pool.map(echo, numbers, chunksize=1)))
        return {OWN: awaited(lambda: call(numbers)), FLOOR: awaited(gathered), POOL: listed}

    return prepare


def arrays(call: Callable[[NDArray[np.float32]], Awaitable[object]], size: int, copies: int) -> Prepare:
    """Calls with an array of so many bytes against copies of it, into memory that is there already."""

    def prepare(stack: ExitStack, share: float) -> dict[str, Timed]:
        source = np.ones(max(1, round(size * share / 4)), np.float32)
        target = np.ones_like(source)

        def copy() -> None:
            for _ in range(copies):
                np.copyto(target, source)

        return {OWN: awaited(lambda: call(source)), FLOOR: blocking(copy)}

    return prepare

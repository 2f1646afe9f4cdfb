"""The chainlets that the contract calls; they say what image they need, as a user's would."""

from __future__ import annotations

import asyncio
import enum
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from fchains.calls.context import current_call, deployment, secret
from fchains.calls.decorator import chainlet
from fchains.calls.gather import gather
from fchains.definition.batched import batched
from fchains.definition.resource import setup, use
from fchains.definition.retry import Retry
from fchains.packaging.image import Image
from fchains.testing.contract.journal import Journal

image = Image.debian_slim()


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Animal(BaseModel):
    name: str
    legs: int = 4


class Dog(Animal):
    good: bool = True


class Cat(BaseModel):
    """The same fields as `Animal`: only its class tells them apart."""

    name: str
    legs: int = 4


@dataclass(frozen=True)
class Point:
    x: float
    y: float


class Custom(Exception):
    """Its `__init__` takes other arguments than its `args`."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"custom {code}")
        self.code = code
        self.hint = hint


@setup
async def journal() -> AsyncIterator[Journal]:
    notes = Journal()
    yield notes
    notes.add("teardown")


@setup
def tally() -> list[int]:
    return []


@setup
def broken() -> int:
    raise ValueError("no weights")


@chainlet(image=image)
def add(a: int, b: int = 1) -> int:
    return a + b


@chainlet(image=image)
async def add_async(a: int, b: int = 1) -> int:
    return a + b


@chainlet(image=image)
def echo_plain(
    text: str,
    when: datetime,
    color: Color,
    tags: set[str],
    pair: tuple[int, str],
    table: dict[int, list[float | None]],
    mode: Literal["a", "b"] = "a",
    extra: Any = None,
) -> tuple[
    str, datetime, Color, set[str], tuple[int, str], dict[int, list[float | None]], Literal["a", "b"], Any
]:
    return text, when, color, tags, pair, table, mode, extra


@chainlet(image=image)
def echo_animal(animal: Animal | Cat) -> Animal | Cat:
    return animal


@chainlet(image=image)
def echo_base(animal: Animal) -> Animal:
    return animal


@chainlet(image=image)
def echo_point(point: Point) -> Point:
    return point


@chainlet(image=image)
def echo_bytes(data: bytes) -> bytes:
    return data


@chainlet(image=image)
def change_list(values: list[int]) -> list[int]:
    values.append(0)
    return values


@chainlet(image=image)
def wrong_result() -> int:
    return "no number"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # what it is for


@chainlet(image=image)
def fail(kind: str) -> int:
    match kind:
        case "custom":
            error = Custom(7, hint="look here")
            error.add_note("a note")
            raise error from ValueError("the cause")
        case "key":
            raise KeyError("missing")
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "stop":
            raise StopIteration(1)
        case "timeout":
            raise TimeoutError("the user's own")
        case _:
            raise RuntimeError(kind)


@chainlet(image=image)
async def fail_below(kind: str) -> int:
    return await fail.remote(kind)


@chainlet(image=image)
def fail_unknown() -> int:
    class Hidden(Exception):
        pass

    raise Hidden("deep inside")


@chainlet(image=image)
async def count(to: int, fail_at: int = -1) -> AsyncIterator[int]:
    for number in range(to):
        if number == fail_at:
            raise RuntimeError(f"failed at {number}")
        yield number


@chainlet(image=image)
def count_sync(to: int, fail_at: int = -1) -> Iterator[int]:
    for number in range(to):
        if number == fail_at:
            raise RuntimeError(f"failed at {number}")
        yield number


@chainlet(image=image)
async def double_all(to: int) -> AsyncIterator[int]:
    async for number in count.remote(to):
        yield 2 * number


@chainlet(image=image, group="journal", replicas=1)
async def endless(name: str, *, notes: Journal = use(journal)) -> AsyncIterator[int]:
    number = 0
    try:
        while True:
            yield number
            number += 1
            notes.add(f"{name} made {number}")
    finally:
        notes.add(f"{name} left")


@chainlet(image=image, group="journal", replicas=1)
def endless_sync(name: str, *, notes: Journal = use(journal)) -> Iterator[int]:
    number = 0
    try:
        while True:
            yield number
            number += 1
            notes.add(f"{name} made {number}")
    finally:
        notes.add(f"{name} left")


@chainlet(image=image)
async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])


@chainlet(image=image)
async def running_total(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    sum_so_far = 0
    async for number in numbers:
        sum_so_far += number
        yield sum_so_far


@chainlet(image=image, group="journal", replicas=1)
async def read_journal(*, notes: Journal = use(journal)) -> list[str]:
    return list(notes.notes)


@chainlet(image=image, group="journal", replicas=1)
async def wait_for_note(note: str, *, notes: Journal = use(journal)) -> None:
    await notes.wait_for(note)


@chainlet(image=image, group="journal", replicas=1)
async def add_note(note: str, *, notes: Journal = use(journal)) -> None:
    notes.add(note)


@chainlet(image=image, group="journal", replicas=1)
async def wait_async(name: str, *, notes: Journal = use(journal)) -> str:
    """Wait for the note `go NAME`; say when it began, and if it was cancelled."""
    try:
        notes.add(f"{name} began")
        await notes.wait_for(f"go {name}")
    except asyncio.CancelledError:
        notes.add(f"{name} cancelled")
        raise
    return name


@chainlet(image=image, group="journal", replicas=1, concurrency=4)
def wait_sync(name: str, *, notes: Journal = use(journal)) -> str:
    """The same in a thread; it looks for the note between short waits, where it can be interrupted."""
    try:
        notes.add(f"{name} began")
        while f"go {name}" not in notes.notes:
            time.sleep(0.005)
    except BaseException as error:
        notes.add(f"{name} stopped by {type(error).__name__}")
        raise
    return name


@chainlet(image=image, group="journal", replicas=1)
async def wait_below(name: str, *, notes: Journal = use(journal)) -> str:
    return await wait_async.remote(name)


@chainlet(image=image, group="journal", replicas=1)
async def leave_children(name: str, *, notes: Journal = use(journal)) -> None:
    forgotten = wait_async.remote(name)
    await notes.wait_for(f"{name} began")
    del forgotten


@chainlet(image=image, timeout=0.1, grace=0.1, replicas=1)
async def too_slow() -> None:
    await asyncio.Event().wait()


@chainlet(image=image, timeout=0.1, grace=5.0, replicas=1, concurrency=2)
def too_slow_sync() -> None:
    while True:
        time.sleep(0.005)


@chainlet(image=image, timeout=0.1, grace=0.05, replicas=1)
def blocked(seconds: float) -> str:
    """Blocks in C, where no exception reaches it."""
    threading.Event().wait(seconds)
    return "done"


@chainlet(image=image)
async def remaining_below() -> float | None:
    return await remaining.remote()


@chainlet(image=image)
async def remaining() -> float | None:
    return current_call().remaining


@chainlet(image=image, group="journal", replicas=1)
async def attempts(name: str, succeed_at: int, *, notes: Journal = use(journal)) -> int:
    notes.add(f"{name} attempt {current_call().attempt}")
    if current_call().attempt < succeed_at:
        raise ConnectionError(f"attempt {current_call().attempt}")
    return current_call().attempt


@chainlet(image=image, replicas=1, concurrency=1, max_queue=1)
async def narrow(name: str) -> str:
    await wait_for_note.remote(f"go {name}")
    return name


@chainlet(image=image, replicas=1, concurrency=1, max_queue=2)
def narrow_map(number: int) -> int:
    return number + 1


@chainlet(image=image, replicas=1, concurrency=1)
def fib(n: int) -> int:
    if n < 2:
        return n
    left, right = fib.remote(n - 1), fib.remote(n - 2)
    return left.result() + right.result()


@chainlet(image=image, replicas=1, concurrency=1)
async def ping(n: int) -> int:
    return 0 if n == 0 else 1 + await pong.remote(n - 1)


@chainlet(image=image, replicas=1, concurrency=1)
async def pong(n: int) -> int:
    return 0 if n == 0 else 1 + await ping.remote(n - 1)


@chainlet(image=image)
async def bottomless() -> int:
    return await bottomless.remote()


@chainlet(image=image)
async def fan_out(numbers: list[int]) -> list[int]:
    return list(await gather(*(add.remote(number) for number in numbers)))


@chainlet(image=image, replicas=1)
@batched(max_size=8, max_wait=0.05)
async def square(numbers: list[int]) -> list[int | Exception]:
    return [ValueError("thirteen") if number == 13 else number * number for number in numbers]


@chainlet(image=image, replicas=1)
@batched(max_size=8, max_wait=0.05)
def batch_sizes(numbers: list[int]) -> list[int]:
    return [len(current_call().batch)] * len(numbers)


@chainlet(image=image, replicas=1)
@batched(max_size=4, max_wait=0.01)
def short_batch(numbers: list[int]) -> list[int]:
    return numbers[1:]


@chainlet(image=image, replicas=1)
def times_made(*, made: list[int] = use(tally)) -> int:
    made.append(1)
    return len(made)


@chainlet(image=image)
def needs_broken(*, value: int = use(broken)) -> int:
    return value


@chainlet(image=image)
def where_am_i() -> tuple[str, str, str]:
    return deployment().chainlet, current_call().chainlet, deployment().replica


@chainlet(image=image)
async def trace_below() -> tuple[str, str]:
    return current_call().trace.trace_id, await trace_id.remote()


@chainlet(image=image)
async def trace_id() -> str:
    return current_call().trace.trace_id


@chainlet(image=image, secrets=["FCHAINS_CONTRACT_SECRET"])
def read_secret(name: str) -> str:
    return secret(name)


@chainlet(image=image)
def speak(text: str) -> None:
    print(f"said {text}")
    print(f"shouted {text}", file=sys.stderr)
    logging.getLogger("contract").warning("logged %s", text)


@chainlet(image=image)
async def call_unseen(name: str) -> int:
    """Calls what no code of this function names."""
    return await globals()[name].remote(1)  # type: ignore[no-any-return]


@chainlet(image=image)
def unseen(a: int) -> int:
    return a


@chainlet(image=image)
async def call_plain() -> int:
    return times_made()


RETRY_CONNECTION = Retry(attempts=3, backoff=0.001, on=(ConnectionError,))

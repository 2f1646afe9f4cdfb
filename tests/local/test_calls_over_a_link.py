"""A connection at one end of a socket, a front door with a replica at the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import pytest

from fchains import WorkerLost, batched, chainlet
from fchains.calls.invocation import Failed, FailureKind, Invocation
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload
from fchains.wire.windows import ITEMS
from fchains.worker.outcomes import failed
from fchains_local.connection import Connection, Sent
from fchains_local.segments import SegmentPool
from tests.local.peers import Answer, House, calling, serving, until, value_of

Floats = npt.NDArray[np.float64]


class Line:
    """A connection to a house."""

    def __init__(self, house: House) -> None:
        self.lost: list[str] = []
        loop = asyncio.get_running_loop()
        self.connection = Connection(house.connect(), loop, house.channels, self._on_lost, house.segments)

    def _on_lost(self, connection: Connection, reason: str) -> None:
        self.lost.append(reason)

    def send(self, invocation: Invocation) -> tuple[Sent, Answer]:
        answer = Answer()
        return self.connection.send(invocation, answer), answer

    def read(self, invocation: Invocation) -> tuple[Sent, Answer]:
        """Send a call, and give credit for each of its items at once."""
        sent, answer = self.send(invocation)
        answer.on_item = lambda payload: sent.consumed(1, payload.size)
        return sent, answer


@asynccontextmanager
async def line(
    *chainlets: object, most: int = 2000, segments: SegmentPool | None = None
) -> AsyncGenerator[tuple[House, Line], None]:
    async with serving(*chainlets, most=most, segments=segments) as house:
        there = Line(house)
        try:
            yield house, there
        finally:
            there.connection.close()


async def came(answer: Answer, items: int) -> None:
    """Wait for so many items."""
    await until(lambda: len(answer.items) >= items)


def lost(sent: Sent) -> Failed:
    return failed(FailureKind.LOST, WorkerLost(f"{sent.invocation.id} is gone"))


@chainlet
async def double(x: int) -> int:
    return 2 * x


@chainlet
def double_sync(x: int) -> int:
    return 2 * x


@chainlet
@batched(max_size=4, max_wait=0.0)
async def double_all(x: list[int]) -> list[int]:
    return [2 * each for each in x]


@chainlet
async def refuse(x: int) -> int:
    raise LookupError(f"no {x} here")


@chainlet
async def negative(image: Floats) -> Floats:
    image *= -1  # what arrives is writable
    return image


MADE: list[int] = []


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    MADE.clear()


@chainlet
async def count(to: int) -> AsyncIterator[int]:
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
def count_sync(to: int) -> Iterator[int]:
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
async def running_total(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    total = 0
    async for number in numbers:
        total += number
        yield total


@chainlet(concurrency=1)
async def wait_for_ever(x: int) -> int:
    await asyncio.Event().wait()
    return x


@pytest.mark.parametrize("function", [double, double_sync, double_all], ids=["async", "sync", "batched"])
async def test_a_call_comes_back_with_its_result(function: object) -> None:
    async with line(function) as (house, there):
        _, answer = there.send(calling(function, x=21))
        assert value_of(function, (await answer.success()).payload) == 42
        assert answer.heard == ["accepted", "finish"]
        assert house.door.load == 0


async def test_a_call_comes_back_with_what_its_function_raised() -> None:
    async with line(refuse) as (_, there):
        _, answer = there.send(calling(refuse, x=1))
        kind, error = await answer.failure()
        assert kind is FailureKind.USER
        assert isinstance(error, LookupError)
        assert str(error) == "no 1 here"


@pytest.mark.parametrize("size", [0, 10, 50_000, 1_000_000])
async def test_arrays_travel_both_ways(size: int) -> None:
    async with line(negative) as (_, there):
        image = np.arange(size, dtype=np.float64)
        _, answer = there.send(calling(negative, image=image))
        result = value_of(negative, (await answer.success()).payload)
        assert np.array_equal(result, -np.arange(size, dtype=np.float64))
        assert size == 0 or image[-1] == size - 1


SHARED = np.zeros(1_500_000, dtype=np.float64)


@chainlet
async def fill(x: int) -> Floats:
    SHARED[:] = x
    return SHARED


@chainlet
def fill_often(times: int, size: int) -> Iterator[Floats]:
    for x in range(times):
        SHARED[:size] = x
        yield SHARED[:size]


@pytest.mark.parametrize("pooled", [False, True], ids=["through the socket", "through shared memory"])
async def test_an_array_that_its_function_uses_again_arrives_as_it_was(pooled: bool) -> None:
    segments = SegmentPool() if pooled else None
    async with line(fill, fill_often, segments=segments) as (_, there):
        if pooled:
            await until(lambda: there.connection.link.shares)
        answers = [there.send(calling(fill, f"call-{x}", x=x))[1] for x in range(4)]
        for x, answer in enumerate(answers):
            array = value_of(fill, (await answer.success()).payload)
            assert np.all(np.equal(array, x))
            answer.outcomes.clear()
        for size in (100, 12_000, 100_000):
            _, answer = there.read(calling(fill_often, times=30, size=size))
            await answer.success()
            for x, item in enumerate(answer.items):
                assert np.all(np.equal(value_of(fill_often, item), x))


@pytest.mark.slow
@pytest.mark.parametrize("function", [double, double_sync, double_all], ids=["async", "sync", "batched"])
async def test_a_thousand_calls_at_once_each_get_their_own_result(function: object) -> None:
    async with line(function) as (house, there):
        answers = [there.send(calling(function, f"call-{x}", x=x))[1] for x in range(1000)]
        results = [value_of(function, (await answer.success()).payload) for answer in answers]
        assert results == [2 * x for x in range(1000)]
        assert all(answer.heard == ["accepted", "finish"] for answer in answers)
        assert house.door.load == there.connection.load(house.definitions[0].name) == 0


async def test_calls_beyond_what_a_replica_takes_are_refused() -> None:
    async with line(wait_for_ever, most=3) as (house, there):
        answers = [there.send(calling(wait_for_ever, f"call-{x}", x=x))[1] for x in range(5)]
        for answer in answers[3:]:
            await answer.over()
        assert [answer.heard for answer in answers] == [["accepted"], [], [], ["refused"], ["refused"]]
        assert house.door.load == there.connection.load("wait_for_ever") == 3


@pytest.mark.parametrize("generator", [count, count_sync], ids=["async", "sync"])
@pytest.mark.parametrize("to", [0, 1, 100])
async def test_a_stream_comes_complete_and_in_order(generator: object, to: int) -> None:
    async with line(generator) as (_, there):
        _, answer = there.read(calling(generator, to=to))
        assert (await answer.success()).items == to
        assert [value_of(generator, item) for item in answer.items] == list(range(to))
        assert answer.heard == ["accepted", *["item"] * to, "finish"]


@pytest.mark.parametrize("generator", [count, count_sync], ids=["async", "sync"])
async def test_a_reader_that_pauses_is_waited_for(generator: object) -> None:
    async with line(generator, double) as (_, there):
        sent, answer = there.send(calling(generator, to=100))
        await until(lambda: len(answer.items) == ITEMS)
        await there.send(calling(double, x=1))[1].over()
        assert len(answer.items) == ITEMS
        assert len(MADE) <= ITEMS + 1
        answer.on_item = lambda payload: sent.consumed(1, payload.size)
        sent.consumed(ITEMS, sum(item.size for item in answer.items))
        assert (await answer.success()).items == 100


async def test_a_stream_is_cancelled_in_the_middle() -> None:
    async with line(count) as (house, there):
        sent, answer = there.send(calling(count, to=100))
        await until(lambda: len(answer.items) == ITEMS)
        sent.cancel()
        assert (await answer.failure())[0] is FailureKind.CANCELLED
        await house.empty()
        assert sent.finished


async def test_a_link_that_is_lost_in_the_middle_of_a_stream_delivers_what_came_before() -> None:
    async with line(count) as (house, there):
        _, answer = there.send(calling(count, to=100))
        await until(lambda: len(MADE) > ITEMS)
        house.door.close()
        await until(lambda: there.lost == [""])
        assert answer.heard == ["accepted", *["item"] * ITEMS]
        there.connection.fail(lost)
        assert (await answer.failure())[0] is FailureKind.LOST
        await house.empty()


async def test_uploads_flow_while_items_come_back() -> None:
    async with line(running_total) as (house, there):
        sent, answer = there.read(calling(running_total, uploads=("numbers",)))
        for number in range(100):
            sent.upload("numbers", Payload(b"%d" % number))
            await came(answer, number + 1)
        sent.end_upload("numbers", None)
        assert (await answer.success()).items == 100
        assert value_of(running_total, answer.items[-1]) == sum(range(100))
        assert sum(items for _, items, _ in answer.credits) > 100 - ITEMS
        assert house.door.load == 0


async def test_the_failure_of_an_uploads_source_reaches_the_function() -> None:
    async with line(running_total) as (_, there):
        sent, answer = there.send(calling(running_total, uploads=("numbers",)))
        sent.upload("numbers", Payload(b"1"))
        sent.end_upload("numbers", failure_of(KeyError("broken")))
        kind, error = await answer.failure()
        assert kind is FailureKind.USER
        assert isinstance(error, KeyError)
        assert len(answer.items) == 1


async def test_an_upload_to_a_call_that_was_cancelled_disturbs_nobody() -> None:
    async with line(running_total, double) as (house, there):
        sent, answer = there.send(calling(running_total, uploads=("numbers",)))
        sent.upload("numbers", Payload(b"1"))
        sent.cancel()
        for _ in range(3):
            sent.upload("numbers", Payload(b"1"))
        sent.end_upload("numbers", None)
        assert (await answer.failure())[0] is FailureKind.CANCELLED
        assert value_of(double, (await there.send(calling(double, x=1))[1].success()).payload) == 2
        await house.empty()


async def test_every_call_ends_once_when_cancels_cross_results() -> None:
    async with line(double) as (house, there):
        answers: list[Answer] = []
        for x in range(200):
            sent, answer = there.send(calling(double, f"call-{x}", x=x))
            answers.append(answer)
            asyncio.get_running_loop().call_later(0.00005 * x, sent.cancel)
        for answer in answers:
            await answer.over()
        await house.empty()
        assert all(len(answer.outcomes) == 1 for answer in answers)
        assert there.connection.load("double") == 0


async def test_every_call_goes_on_or_comes_back_when_recalls_cross_acknowledgements() -> None:
    async with line(double, wait_for_ever) as (house, there):
        sent = [there.send(calling(double, f"call-{x}", x=x)) for x in range(100)]
        sent += [there.send(calling(wait_for_ever, f"call-{x}", x=x)) for x in range(100)]
        for each, _ in sent:
            each.recall()
        for _, answer in [*sent[:100], *sent[101:]]:
            await answer.over()
        heard = [answer.heard for _, answer in sent]
        assert heard == [["accepted", "finish"]] * 100 + [["accepted"]] + [["refused"]] * 99
        assert house.door.load == 1


GATE = threading.Event()


@chainlet
def wait_in_thread(x: int) -> int:
    GATE.wait(10)
    return x


async def test_a_call_is_acknowledged_before_its_code_in_a_thread_ends() -> None:
    GATE.clear()
    async with line(wait_in_thread) as (_, there):
        sent, answer = there.send(calling(wait_in_thread, x=1))
        await until(lambda: sent.accepted)
        assert answer.heard == ["accepted"]
        GATE.set()
        await answer.success()

"""Calls that start at once, are forgotten, come from several loops and threads, or are plain calls."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fchains import Call, Chainlet, FchainsError, asyncify, chainlet, current_call, gather, use_runner
from tests.contract.gate import Gates, renew

gates = Gates()
who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


@chainlet
async def opens(name: str) -> str:
    gates[name].open()
    return name


@chainlet(concurrency=3)
def opens_sync(name: str) -> str:
    gates[name].open()
    return name


@chainlet
async def fails(text: str) -> None:
    raise LookupError(text)


@chainlet
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@chainlet
async def double_async(number: int) -> int:
    return 2 * number


@chainlet
async def who_calls() -> str:
    return who.get()


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> Iterator[None]:
    """Calls run in this process."""
    yield
    renew(gates)


async def all_open(*names: str) -> bool:
    """Whether the gates open while this very loop is blocked, as user code may block it."""
    deadline = time.monotonic() + 20
    while not all(gates[name].is_open for name in names):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)  # noqa: ASYNC251 - what this is about
    return True


@pytest.mark.parametrize("function", [opens, opens_sync])
async def test_three_calls_run_before_the_first_await(function: Chainlet[..., Any, [str], str]) -> None:
    calls: list[Call[str]] = []
    for name in ("a", "b", "c"):
        calls.append(function.remote(name))
        time.sleep(0.001)  # noqa: ASYNC251 - what this is about
    assert await all_open("a", "b", "c")
    assert await gather(*calls) == ("a", "b", "c")


async def test_a_call_that_nobody_awaits_or_holds_runs_to_its_end() -> None:
    opens.remote("forgotten")
    gc.collect()
    assert await all_open("forgotten")


async def test_a_stream_starts_before_it_is_read_and_so_does_a_map() -> None:
    stream = opens.map(["x", "y"])
    assert await all_open("x", "y")
    assert await stream == ["x", "y"]


@pytest.mark.parametrize(
    "when", ["dropped at once", "dropped when done", "retrieved", "cancelled", "in a gather"]
)
async def test_a_failure_is_logged_once_if_nobody_asked_for_it(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = fails.remote(when)
    match when:
        case "dropped at once":
            pass
        case "dropped when done":
            while not call.done():
                await double.remote(1)
        case "cancelled":
            call.cancel()
        case "in a gather":
            with pytest.raises(LookupError):
                await gather(call, fails.remote("the other"))
        case _:
            with pytest.raises(LookupError):
                await call
    del call
    gc.collect()
    for _ in range(3):
        await fails_to_end()
    records = [record for record in caplog.records if "nobody asked" in record.getMessage()]
    assert len(records) == (1 if when.startswith("dropped") else 0)
    if records:
        assert "fails" in records[0].getMessage()
        assert records[0].exc_info is not None
        assert records[0].levelno == logging.ERROR


async def fails_to_end() -> None:
    """One more call of the same chainlet, after those before it."""
    with pytest.raises(LookupError):
        await fails.remote("after")


async def test_a_context_variable_of_the_caller_does_not_travel_by_accident() -> None:
    who.set("the caller")
    assert await who_calls.remote() == "nobody"


def test_calls_work_on_one_event_loop_after_another_with_one_runner_and_with_several() -> None:
    async def calls() -> int:
        return sum(await gather(double.remote(1), double_async.remote(2)))

    async def with_a_runner() -> int:
        async with use_runner("inline"):
            return await calls()

    assert [asyncio.run(calls()) for _ in range(3)] == [6, 6, 6]
    assert [asyncio.run(with_a_runner()) for _ in range(2)] == [6, 6]


def test_a_call_made_on_a_loop_that_has_gone_can_be_waited_for_elsewhere() -> None:
    async def start() -> Callable[[], int]:
        return double.remote(2).result

    result = asyncio.run(start())
    assert result() == 4


def test_a_call_that_was_awaited_on_a_loop_that_has_gone_harms_nobody() -> None:
    async def give_up() -> None:
        waiting = asyncio.ensure_future(wait_for_ever())
        await asyncio.sleep(0)
        waiting.cancel()

    async def wait_for_ever() -> None:
        await opens.remote("given up")

    asyncio.run(give_up())
    assert double.remote(1).result() == 2


def test_threads_call_and_wait_each_for_itself_also_for_each_others_calls() -> None:
    handed = [double.remote(number) for number in range(8)]
    results: dict[int, int] = {}

    def wait(number: int) -> None:
        results[number] = handed[7 - number].result() + double_async.remote(number).result()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(8), 14)


async def test_several_tasks_may_await_one_call() -> None:
    call = double.remote(21)
    assert await asyncio.gather(*(asyncio.ensure_future(wait_for(call)) for _ in range(5))) == [42] * 5


async def wait_for(call: Call[int]) -> int:
    return await call


def test_plain_calls_are_the_function_itself() -> None:
    assert double(2) == 4
    assert asyncio.run(double_async(2)) == 4
    with pytest.raises(LookupError, match="only inside a chainlet"):
        current_call()


def test_a_chainlet_is_a_function_to_the_rest_of_python() -> None:
    assert (double.__name__, double.__doc__, double.__module__) == ("double", "Twice the number.", __name__)
    assert str(inspect.signature(double)) == "(number: 'int') -> 'int'"
    assert inspect.unwrap(double)(3) == 6
    assert list(map(double, [1, 2])) == [2, 4]
    assert functools.partial(double, 4)() == 8
    assert pickle.loads(pickle.dumps(double)) is double


async def test_a_plain_function_may_be_run_beside_the_loop() -> None:
    assert await asyncify(double)(3) == 6


async def test_calls_may_be_awaited_in_any_order() -> None:
    calls = [double.remote(number) for number in range(20)]
    assert [await call for call in reversed(calls)] == [2 * number for number in reversed(range(20))]


def test_gather_is_refused_in_sync_code_with_the_way_to_write_it() -> None:
    with pytest.raises(FchainsError, match=r"result\(\)"):
        _ = gather(double.remote(1))

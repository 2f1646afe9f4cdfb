"""`asyncify`, where others' bridges hang, lose context or run out of threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fchains import asyncify, chainlet, run_sync, use_runner
from tests.contract.gate import Gate

first: contextvars.ContextVar[str] = contextvars.ContextVar("first", default="unset")
second: contextvars.ContextVar[str] = contextvars.ContextVar("second", default="unset")


@chainlet
async def shout(text: str) -> str:
    return text.upper()


@chainlet
async def in_a_thread(text: str) -> str:
    """Async, blocking, and async again: what a library with a sync API leads to."""
    return await asyncify(lambda: run_sync(shout.remote(text)))()


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


def read_both() -> tuple[str, str]:
    return first.get(), second.get()


async def test_all_context_variables_reach_the_thread_and_its_changes_stay_there() -> None:
    first.set("one")
    second.set("two")

    def read_and_change() -> tuple[str, str]:
        seen = read_both()
        first.set("changed")
        return seen

    assert await asyncify(read_and_change)() == ("one", "two")
    assert first.get() == "one"


async def test_stop_iteration_in_the_thread_is_an_error_and_no_hang() -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await asyncify(next)(iter(()))


async def test_it_decorates_and_keeps_name_and_signature() -> None:
    @asyncify
    def add(a: int, *, b: int = 1) -> int:
        """Add."""
        return a + b

    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    assert await add(1, b=2) == 3


class Agent:
    def __call__(self, text: str) -> str:
        return f"called {text}"

    def ask(self, text: str) -> str:
        return f"asked {text}"

    async def ask_async(self, text: str) -> str:
        return f"asked async {text}"


class AsyncAgent:
    async def __call__(self, text: str) -> str:
        return f"called async {text}"


async def test_methods_partials_and_objects_that_can_be_called_are_functions_too() -> None:
    agent = Agent()
    assert await asyncify(agent.ask)("x") == "asked x"
    assert await asyncify(functools.partial(agent.ask, "y"))() == "asked y"
    assert await asyncify(agent)("z") == "called z"


async def test_what_is_async_already_is_awaited_however_it_is_wrapped() -> None:
    agent = Agent()
    assert asyncify(agent.ask_async) == agent.ask_async
    assert await asyncify(functools.partial(agent.ask_async, "y"))() == "asked async y"
    assert await asyncify(AsyncAgent())("z") == "called async z"
    assert await asyncify(lambda: agent.ask_async("w"))() == "asked async w"
    assert await asyncify(asyncify(agent.ask))("x") == "asked x"


async def test_a_chainlet_may_be_wrapped_like_any_function() -> None:
    wrapped: Callable[[str], Any] = asyncify(shout)
    assert await wrapped("hi") == "HI"


async def test_many_functions_block_at_once_without_a_hidden_limit_of_threads() -> None:
    everybody = threading.Barrier(64)
    await asyncio.gather(*(asyncify(everybody.wait)(timeout=20) for _ in range(64)))


async def test_cancelling_frees_the_caller_while_the_thread_goes_on() -> None:
    began, may_end, ended = Gate(), Gate(), Gate()

    def work() -> None:
        began.open()
        may_end.pass_blocking()
        ended.open()

    task = asyncio.create_task(asyncify(work)())
    await began.passed()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_open
    may_end.open()
    await ended.passed()


async def test_async_calls_from_a_blocking_library_inside_async_code_do_not_deadlock() -> None:
    assert await in_a_thread.remote("deep") == "DEEP"


# run_sync


async def test_a_runner_may_be_left_while_a_thread_of_its_caller_still_works() -> None:
    began, may_end = Gate(), Gate()

    def work() -> None:
        began.open()
        may_end.pass_blocking()

    async with use_runner("inline"):
        task = asyncio.create_task(asyncify(work)())
        await began.passed()
    may_end.open()
    await task

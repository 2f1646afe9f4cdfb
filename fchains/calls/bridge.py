"""Blocking code from async code, and the reverse, with context variables carried along."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast, overload

from fchains.calls.blocking import refuse_in_event_loop
from fchains.calls.portal import user_portal
from fchains.errors import CallTimeout

P = ParamSpec("P")
T = TypeVar("T")


@overload
def asyncify(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]: ...
@overload
def asyncify(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]: ...
def asyncify(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A blocking function as an async one: it runs in a thread, with the caller's context variables.

    Works as a decorator and on bound methods, partials and callable objects; an async function
    comes back as it is. Cancelling the awaiting task frees it at once; the thread runs on, because
    no thread can be stopped from outside, and what it raises then is dropped.
    """
    if inspect.iscoroutinefunction(function):
        return function

    async def call(*args: Any, **kwargs: Any) -> Any:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        work = functools.partial(context.run, _without_stop_iteration, function, args, kwargs)
        result = await loop.run_in_executor(_threads(), cast("Callable[[], Any]", work))
        # Not every function shows that it is async: a callable object, or a lambda around one.
        return await result if inspect.iscoroutine(result) else result

    if hasattr(function, "__name__"):
        return functools.wraps(function)(call)
    return call


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    """As many threads as block: a limit would be a deadlock for functions that wait for each other."""
    return concurrent.futures.ThreadPoolExecutor(10_000, "fchains-asyncify")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)


def _without_stop_iteration(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # A future cannot carry StopIteration: the awaiting coroutine would hang.
        raise RuntimeError(f"{function!r} raised StopIteration") from error


def run_sync(awaitable: Awaitable[T], timeout: float | None = None) -> T:
    """Wait for an awaitable from blocking code; it runs on a loop of fchains' own.

    Args:
        awaitable: a coroutine, a `Call`, or anything else to await.
        timeout: seconds to wait, None for no limit; past it the awaitable is cancelled.

    Raises:
        BlockingError: an event loop runs in this thread; `await` there instead.
        CallTimeout: it took longer than `timeout`.
    """
    try:
        refuse_in_event_loop("run_sync()")
    except BaseException:
        _close(awaitable)
        raise
    context = contextvars.copy_context()
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        task = user_portal().loop.create_task(_into(awaitable, outcome), context=context)
        task.add_done_callback(lambda _: _close(awaitable))  # it may be cancelled before it begins
        tasks.append(task)

    def cancel() -> None:
        tasks[0].cancel()

    user_portal().post(start)
    try:
        return outcome.result(timeout)
    except concurrent.futures.TimeoutError:
        if outcome.done():
            raise
        user_portal().post(cancel)
        raise CallTimeout(f"run_sync() waited for {timeout:g} s") from None
    except BaseException:
        user_portal().post(cancel)
        raise


def _close(awaitable: Awaitable[object]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()


async def _into(awaitable: Awaitable[T], outcome: concurrent.futures.Future[T]) -> None:
    try:
        outcome.set_result(await awaitable)
    except BaseException as error:
        if not outcome.cancelled():
            outcome.set_exception(cast("Exception", error))

"""Blocking code from async code, and the reverse, with context variables carried along."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast, overload

from fchains.calls.blocking import refuse_in_event_loop
from fchains.calls.portal import portal
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
        return await loop.run_in_executor(None, cast("Callable[[], Any]", work))

    if hasattr(function, "__name__"):
        return functools.wraps(function)(call)
    return call


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
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise
    context = contextvars.copy_context()
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        tasks.append(portal().loop.create_task(_into(awaitable, outcome), context=context))

    def cancel() -> None:
        tasks[0].cancel()

    portal().post(start)
    try:
        return outcome.result(timeout)
    except concurrent.futures.TimeoutError:
        if outcome.done():
            raise
        portal().post(cancel)
        raise CallTimeout(f"run_sync() waited for {timeout:g} s") from None
    except BaseException:
        portal().post(cancel)
        raise


async def _into(awaitable: Awaitable[T], outcome: concurrent.futures.Future[T]) -> None:
    try:
        outcome.set_result(await awaitable)
    except BaseException as error:
        if not outcome.cancelled():
            outcome.set_exception(cast("Exception", error))

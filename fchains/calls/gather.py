"""Waiting for several calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar, cast, overload

from fchains.errors import NotSupported

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T_co = TypeVar("T_co", covariant=True)
Gathered = Coroutine[Any, Any, T]


class Pending(Protocol[T_co]):
    """Work under way: a `Call`, or a `Stream`, which is awaited as the list of its items."""

    def __await__(self) -> Generator[Any, None, T_co]: ...
    def cancel(self) -> object: ...


@overload
def gather() -> Gathered[tuple[()]]: ...
@overload
def gather(call1: Pending[T1], /) -> Gathered[tuple[T1]]: ...
@overload
def gather(call1: Pending[T1], call2: Pending[T2], /) -> Gathered[tuple[T1, T2]]: ...
@overload
def gather(call1: Pending[T1], call2: Pending[T2], call3: Pending[T3], /) -> Gathered[tuple[T1, T2, T3]]: ...
@overload
def gather(
    call1: Pending[T1], call2: Pending[T2], call3: Pending[T3], call4: Pending[T4], /
) -> Gathered[tuple[T1, T2, T3, T4]]: ...
@overload
def gather(
    call1: Pending[T1],
    call2: Pending[T2],
    call3: Pending[T3],
    call4: Pending[T4],
    call5: Pending[T5],
    /,
) -> Gathered[tuple[T1, T2, T3, T4, T5]]: ...
@overload
def gather(
    call1: Pending[T1],
    call2: Pending[T2],
    call3: Pending[T3],
    call4: Pending[T4],
    call5: Pending[T5],
    call6: Pending[T6],
    /,
) -> Gathered[tuple[T1, T2, T3, T4, T5, T6]]: ...
@overload
def gather(*calls: Pending[T]) -> Gathered[tuple[T, ...]]: ...
def gather(*calls: Pending[Any]) -> Gathered[tuple[Any, ...]]:
    """Wait for all calls: `a, b = await gather(f.remote(1), g.remote(2))`.

    The first failure cancels the calls that are not done, and is raised; so does cancelling the
    task that awaits.

    Args:
        calls: calls under way, each an argument of its own; for a list write `gather(*calls)`.

    Returns:
        Their results in the order of the arguments, whatever the order they came in.

    Raises:
        TypeError: an argument is no call.
        NotSupported: no event loop runs here; sync code calls `.result()` of each.
    """
    for call in calls:
        if not (hasattr(call, "__await__") and hasattr(call, "cancel")):
            hint = ": write gather(*calls)" if isinstance(cast("object", call), (list, tuple)) else ""
            raise TypeError(f"gather() takes calls, as .remote() gives them, not {call!r}{hint}")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NotSupported(
            "gather() is for async code; in sync code write `a.result(), b.result()`:"
            " the calls run at the same time all the same"
        ) from None
    return _gather(calls)


async def _gather(calls: tuple[Pending[Any], ...]) -> tuple[Any, ...]:
    __tracebackhide__ = True
    waiting = [asyncio.ensure_future(_result(call)) for call in calls]
    try:
        return tuple(await asyncio.gather(*waiting))
    except BaseException:
        for call, waiter in zip(calls, waiting, strict=True):
            call.cancel()
            waiter.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)  # retrieves what failed at the same time
        raise


async def _result(call: Pending[T]) -> T:
    __tracebackhide__ = True
    return await call

"""Calling a chainlet as the plain function it is, with resources made once per process."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from fchains.calls.context import PLACE, Place
from fchains.calls.leaving import at_exit
from fchains.calls.portal import user_portal
from fchains.calls.resources import ResourcePool
from fchains.definition.overrides import Overrides, current_overrides
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.errors import NotSupported

T = TypeVar("T")


class PlainResources:
    """Resources of plain calls under one set of overrides.

    What is not async is made in the calling thread. An async resource belongs to the event loop
    that it was made on: each loop of the caller gets its own, sync callers share one of fchains' own.
    """

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._lock = threading.RLock()
        self._shared = ResourcePool(overrides.resources)
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ResourcePool] = (
            weakref.WeakKeyDictionary()
        )

    def make(self, resources: Mapping[str, Resource[Any]]) -> dict[str, object]:
        """Values for a sync caller."""
        with self._lock:
            if not any(_is_async(resource) for resource in resources.values()):
                _run_to_end(self._shared.make(resources.values()))
                return {name: self._shared.values[resource] for name, resource in resources.items()}
        return user_portal().submit(self.make_here(resources)).result()

    async def make_here(self, resources: Mapping[str, Resource[Any]]) -> dict[str, object]:
        """Values for an async caller, made on its loop as far as they are async."""
        sync = {name: resource for name, resource in resources.items() if not _is_async(resource)}
        values = await asyncio.to_thread(self.make, sync) if sync else {}
        rest = [resource for resource in resources.values() if _is_async(resource)]
        pool = self._by_loop.setdefault(
            asyncio.get_running_loop(), ResourcePool(self._overrides.resources, _to_thread)
        )
        await pool.make(rest)
        return {
            name: values[name] if name in values else pool.values[resource]
            for name, resource in resources.items()
        }

    def close(self) -> None:
        """Tear down all whose loop is still there."""
        with self._lock:
            _run_to_end(self._shared.aclose())
        for loop, pool in list(self._by_loop.items()):
            if loop.is_running() and loop is not _running_loop():
                asyncio.run_coroutine_threadsafe(pool.aclose(), loop).result(timeout=10)


_pools: weakref.WeakKeyDictionary[Overrides, PlainResources] = weakref.WeakKeyDictionary()
_pools_lock = threading.Lock()


def call_plain(definition: Definition, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:
    """Call the plain function; injected parameters that are not passed are made first.

    Raises:
        NotSupported: this is another chainlet's replica, and the resources are not loaded in it.
    """
    missing = {
        name: resource for name, resource in definition.signature.injected.items() if name not in kwargs
    }
    if not missing:
        return definition.function(*args, **kwargs)
    place = PLACE.get()
    if place is not None:
        return definition.function(*args, **kwargs, **_of_replica(definition, missing, place))
    pool = _pool(current_overrides())
    if definition.signature.is_async and not definition.signature.is_generator:
        return _call_async(definition.function, args, kwargs, pool, missing)
    return definition.function(*args, **kwargs, **pool.make(missing))


async def _call_async(
    function: Callable[..., Coroutine[Any, Any, Any]],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    pool: PlainResources,
    missing: Mapping[str, Resource[Any]],
) -> Any:
    injected = await pool.make_here(missing)
    return await function(*args, **kwargs, **injected)


def _of_replica(
    definition: Definition, missing: Mapping[str, Resource[Any]], place: Place
) -> dict[str, object]:
    absent = [resource.name for resource in missing.values() if resource not in place.resources]
    if absent:
        raise NotSupported(
            f"{definition.name}(…) would load {', '.join(absent)} in the replica of {place.where.chainlet}:"
            f" call {definition.name}.remote(…), which runs where they are loaded"
        )
    return {name: place.resources[resource] for name, resource in missing.items()}


def _pool(overrides: Overrides) -> PlainResources:
    with _pools_lock:
        pool = _pools.get(overrides)
        if pool is None:
            pool = _pools[overrides] = PlainResources(overrides)
            if overrides:
                overrides.on_exit.append(pool.close)
            else:
                at_exit(pool.close)
    return pool


def _is_async(resource: Resource[Any]) -> bool:
    return "async" in resource.style or any(_is_async(used) for used in resource.dependencies)


async def _to_thread(function: Callable[[], T], /) -> T:
    if not threading.main_thread().is_alive():  # at the very end executors take nothing more
        return function()
    return await asyncio.to_thread(function)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _run_to_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never really waits, here and now."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("sync resources do not wait")

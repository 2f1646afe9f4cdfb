"""The life of resources: made once, dependencies first, torn down in reverse order."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

from fchains.definition.resource import Resource
from fchains.errors import SetupError

T = TypeVar("T")

NO_VALUE = object()

logger = logging.getLogger(__name__)


class Offload(Protocol):
    """Runs blocking code off the event loop."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


class ResourcePool:
    """The values of resources, each made at most once; used from one event loop.

    Args:
        overrides: values that take the place of resources.
        offload: runs setup code that is not async; without it such code runs right here.
    """

    def __init__(self, overrides: Mapping[Resource[Any], object], offload: Offload | None = None) -> None:
        self.values: dict[Resource[Any], object] = dict(overrides)
        self._offload = offload
        self._teardowns: list[tuple[Resource[Any], Callable[[], Awaitable[object]]]] = []

    async def make(self, resources: Iterable[Resource[Any]]) -> None:
        """Make the resources that are not there yet, and what they use.

        Raises:
            SetupError: a setup function raised; what was made before stays until `aclose`.
        """
        for resource in resources:
            await self._make(resource)

    async def aclose(self) -> None:
        """Tear down in reverse order; a teardown that raises is logged, the others still run."""
        while self._teardowns:
            resource, teardown = self._teardowns.pop()
            self.values.pop(resource, None)
            try:
                await teardown()
            except Exception:
                logger.exception("the teardown of %s failed", resource.name)

    async def _make(self, resource: Resource[Any]) -> None:
        if resource in self.values:
            return
        await self.make(resource.dependencies)
        arguments = {
            **resource.bound,
            **{name: self.values[used] for name, used in resource.signature.injected.items()},
        }
        try:
            self.values[resource] = await self._call(resource, arguments)
        except Exception as error:
            raise SetupError(
                f"{resource.name} ({resource.file}:{resource.line}) failed: {error!r}"
            ) from error

    async def _call(self, resource: Resource[Any], arguments: dict[str, object]) -> object:
        match resource.style:
            case "async":
                return await cast("Coroutine[Any, Any, object]", resource.function(**arguments))
            case "async generator":
                agen = cast("AsyncGenerator[object, None]", resource.function(**arguments))
                value = await anext(agen, NO_VALUE)
                self._teardowns.append((resource, lambda: _finish_async(agen)))
                return _yielded(value)
            case "generator":
                gen = cast("Generator[object, None, None]", resource.function(**arguments))
                value = await self._run(lambda: next(gen, NO_VALUE))
                self._teardowns.append((resource, lambda: self._run(lambda: _finish(gen))))
                return _yielded(value)
            case _:
                return await self._run(lambda: resource.function(**arguments))

    async def _run(self, function: Callable[[], T]) -> T:
        return function() if self._offload is None else await self._offload(function)


def _yielded(value: object) -> object:
    if value is NO_VALUE:
        raise RuntimeError("a @setup generator yields its value, and this one ended without")
    return value


def _finish(generator: Generator[object, None, None]) -> None:
    for _ in generator:
        generator.close()
        raise RuntimeError("a @setup generator yields once; what it yields after that is nobody's")


async def _finish_async(generator: AsyncGenerator[object, None]) -> None:
    async for _ in generator:
        await generator.aclose()
        raise RuntimeError("a @setup generator yields once; what it yields after that is nobody's")

"""Resources: values made once per replica by a `@setup` function and injected by `use()`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)
from contextlib import AbstractContextManager
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from fchains.definition.injected import Injected
from fchains.definition.overrides import overriding
from fchains.definition.problems import Problem, place_of, report
from fchains.definition.signature import Signature, read_signature

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Style = Literal["plain", "async", "generator", "async generator"]


class Resource(Generic[T_co]):
    """A value made once per replica: a model, a client, a pool.

    Made by `@setup`; two uses of one resource with equal bound parameters share its value.
    """

    def __init__(self, function: Callable[..., object], bound: Mapping[str, object]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.bound = dict(bound)
        self.file, self.line = place_of(function)
        self.signature, self.problems = self._read()

    def _read(self) -> tuple[Signature, list[Problem]]:
        return read_signature(self.function, self.name, (self.file, self.line))

    @property
    def name(self) -> str:
        """The function's name, with its bound parameters."""
        name: str = self.function.__name__
        shown = ", ".join(f"{key}={value!r}" for key, value in self.bound.items())
        return f"{name}({shown})" if shown else name

    @property
    def style(self) -> Style:
        """How the function makes its value; code after a generator's `yield` is the teardown."""
        if inspect.isasyncgenfunction(self.function):
            return "async generator"
        if inspect.isgeneratorfunction(self.function):
            return "generator"
        return "async" if inspect.iscoroutinefunction(self.function) else "plain"

    @property
    def dependencies(self) -> tuple[Resource[Any], ...]:
        """The resources that this one uses, in the order of its parameters."""
        return tuple(self.signature.injected.values())

    @property
    def unbound(self) -> tuple[str, ...]:
        """Parameters that have neither a bound value nor a default."""
        return tuple(p.name for p in self.signature.parameters if p.required and p.name not in self.bound)

    def bind(self, **params: object) -> Resource[T_co]:
        """Fix parameters of the setup function, as in `use(model.bind(size="small"))`.

        Raises:
            DefinitionError: a parameter is unknown or injected.
        """
        problems = [
            Problem(
                f"bind() got {name!r}, which is no parameter to bind",
                f"it takes {', '.join(sorted(self.signature.names)) or 'none'}",
                self.file,
                self.line,
                self.name,
            )
            for name in params
            if name not in self.signature.names
        ]
        if problems:
            report(problems)
        return Resource(self.function, {**self.bound, **params})

    def override(self, value: object) -> AbstractContextManager[None]:
        """Use `value` instead of making the resource, inside the block; for tests."""
        return overriding(resources={self: value})

    def __call__(self, *args: object, **kwargs: object) -> T_co:
        raise TypeError(
            f"{self.name} is a resource: inject it with a parameter `…: T = use({self.name})`,"
            f" or call the plain function, {self.function.__name__}.__wrapped__(…)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        theirs = cast("Resource[object]", other)
        return self.function is theirs.function and self.bound == theirs.bound

    def __hash__(self) -> int:
        return hash((self.function, tuple(sorted(self.bound))))

    def __repr__(self) -> str:
        return f"<resource {self.name} at {self.file}:{self.line}>"


@overload
def setup(function: Callable[P, Coroutine[Any, Any, T]]) -> Resource[T]: ...
@overload
def setup(function: Callable[P, AsyncGenerator[T, Any]]) -> Resource[T]: ...
@overload
def setup(function: Callable[P, AsyncIterator[T]]) -> Resource[T]: ...
@overload
def setup(function: Callable[P, Generator[T, Any, Any]]) -> Resource[T]: ...
@overload
def setup(function: Callable[P, Iterator[T]]) -> Resource[T]: ...
@overload
def setup(function: Callable[P, T]) -> Resource[T]: ...
def setup(function: Callable[..., Any]) -> Resource[Any]:
    """Make a function's value a resource: made once per replica, before the replica is ready.

    The function may be plain, `async`, a generator or an async generator; what stands after the
    one `yield` is the teardown. It may `use()` other resources, and its own parameters are fixed
    with `.bind(…)` or have defaults.

    Raises:
        DefinitionError: this is no function, or a parameter is `*args`, `**kwargs` or positional-only.
    """
    if not inspect.isfunction(function):
        file, line = place_of(function)
        hint = "write `@setup` above a `def`"
        report([Problem(f"@setup decorates a function, not {function!r}", hint, file, line)])
        return Resource(_stand_in, {})
    resource: Resource[Any] = Resource(function, {})
    if resource.problems:
        report(resource.problems)
    return resource


def _stand_in() -> None:
    """Takes the place of what is no setup function while problems are collected."""


def use(resource: Resource[T]) -> T:
    """Mark a parameter's default as injected: `def f(x: int, *, model: Model = use(load)) -> int`.

    Raises:
        DefinitionError: the argument is no resource.
    """
    if not isinstance(cast("object", resource), Resource):
        frame = inspect.currentframe()
        caller = frame.f_back if frame else None
        place = (caller.f_code.co_filename, caller.f_lineno) if caller else ("<unknown>", 0)
        hint = "decorate the function that makes it with @setup"
        report([Problem(f"use() needs a resource, not {resource!r}", hint, place[0], place[1])])
        return cast("T", Injected(Resource(_stand_in, {})))
    return cast("T", Injected(resource))

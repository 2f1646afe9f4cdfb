"""`@batched`: a function over lists, each of whose remote callers passes and gets one item."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from fchains.definition.batch_options import BatchOptions
from fchains.definition.decorated import problem_with, stand_in
from fchains.definition.problems import Problem, place_of, report

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)
Results_co = TypeVar("Results_co", covariant=True)

Results = list[R] | Coroutine[Any, Any, list[R]]


class Batched(Generic[P, T_co, Q, R_co]):
    """What `@batched` hands to `@chainlet`: a function over lists, and when a batch closes.

    It cannot be called. `P` and `T_co` are the parameters and the result of the plain function over
    lists, `Q` and `R_co` those of a remote call with one item.
    """

    def __init__(self, function: Callable[P, T_co], batch: BatchOptions) -> None:
        self.function = function
        self.batch = batch

    @property
    def max_size(self) -> int:
        """The most items in one batch."""
        return self.batch.max_size

    @property
    def max_wait(self) -> float:
        """Seconds after the arrival of its oldest item at which a batch closes."""
        return self.batch.max_wait

    def __repr__(self) -> str:
        return f"<batched function {self.function.__name__}, which lacks @chainlet above @batched>"


class Takes1(Protocol[P, T_co, A_contra, Results_co]):  # pyright: ignore[reportInvalidTypeVarUse]
    """A function, and beside its own type what it gives for one argument.

    pyright takes `A_contra`, a parameter's type, for covariant: the second overload misleads it.
    """

    @overload
    def __call__(self, a: A_contra, /) -> Results_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class Takes2(Protocol[P, T_co, A_contra, B_contra, Results_co]):  # pyright: ignore[reportInvalidTypeVarUse]
    """A function, and beside its own type what it gives for two arguments."""

    @overload
    def __call__(self, a: A_contra, b: B_contra, /) -> Results_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class Takes3(Protocol[P, T_co, A_contra, B_contra, C_contra, Results_co]):  # pyright: ignore[reportInvalidTypeVarUse]
    """A function, and beside its own type what it gives for three arguments."""

    @overload
    def __call__(self, a: A_contra, b: B_contra, c: C_contra, /) -> Results_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class Batching:
    """`@batched(…)`, waiting for its function."""

    def __init__(self, batch: BatchOptions) -> None:
        self._batch = batch

    @overload
    def __call__(
        self, function: Takes1[P, T, list[A], Results[R | Exception]], /
    ) -> Batched[P, T, [A], R]: ...
    @overload
    def __call__(self, function: Takes1[P, T, list[A], Results[R]], /) -> Batched[P, T, [A], R]: ...
    @overload
    def __call__(
        self, function: Takes2[P, T, list[A], list[B], Results[R | Exception]], /
    ) -> Batched[P, T, [A, B], R]: ...
    @overload
    def __call__(
        self, function: Takes2[P, T, list[A], list[B], Results[R]], /
    ) -> Batched[P, T, [A, B], R]: ...
    @overload
    def __call__(
        self, function: Takes3[P, T, list[A], list[B], list[C], Results[R | Exception]], /
    ) -> Batched[P, T, [A, B, C], R]: ...
    @overload
    def __call__(
        self, function: Takes3[P, T, list[A], list[B], list[C], Results[R]], /
    ) -> Batched[P, T, [A, B, C], R]: ...
    def __call__(self, function: object, /) -> Batched[..., Any, ..., Any]:
        problem = problem_with(function, "batched") or _yields(function)
        if problem is not None:
            report([problem])
            function = stand_in
        return Batched(cast("Callable[..., Any]", function), self._batch)


def _yields(function: object) -> Problem | None:
    if not (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        return None
    hint = "return a list with one result for each item"
    return Problem("a batched function cannot yield", hint, *place_of(function), function.__name__)


def batched(*, max_size: int, max_wait: float) -> Batching:
    """Gather the calls of several callers into one call of a function over lists.

    The function takes one or several lists of equal length, and returns a list with a result for
    each item, in order; an exception instance in it fails that item alone. Remote callers pass one
    item and get one result. Put `@chainlet` above it:

        @chainlet(gpu="L4")
        @batched(max_size=32, max_wait=0.01)
        def embed(texts: list[str], *, model: Model = use(load)) -> list[Vector]: ...

        vector = await embed.remote("one text")

    Args:
        max_size: the most items in one batch.
        max_wait: seconds after the arrival of its oldest item at which a batch closes, 0 to 600.

    Raises:
        DefinitionError: a value is wrong, or what it decorates is no function over lists.
    """
    return Batching(BatchOptions(max_size, max_wait))

"""What type checkers compare functions with; nothing here exists when a program runs.

`Concatenate` would be the plain way to say "a function whose first parameter is …", but mypy infers
`Never` from it when that parameter has a name or keyword-only ones follow. Protocols work in both.
"""

from __future__ import annotations

from typing import Any, ParamSpec, Protocol, TypeVar, overload

from fchains.calls.call import Call

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)
D_contra = TypeVar("D_contra", contravariant=True)
E_contra = TypeVar("E_contra", contravariant=True)
Shape_co = TypeVar("Shape_co", covariant=True)


class Returns(Protocol[P, T_co, Shape_co]):
    """A function, and beside its result's own type a shape that this type has.

    `Returns[P, T, Iterable[Y]]` finds the `Y` of a function and keeps that `T` is a `Generator`.
    """

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...
    @overload
    def __call__(  # type: ignore[overload-cannot-match]  # pyright: ignore[reportOverlappingOverload]
        self, *args: P.args, **kwargs: P.kwargs
    ) -> Shape_co: ...


class Takes1(Protocol[A_contra, R_co]):
    """A chainlet that one positional argument is enough for."""

    def remote(self, a: A_contra, /) -> Call[R_co]: ...


class Takes2(Protocol[A_contra, B_contra, R_co]):
    """A chainlet that two positional arguments are enough for."""

    def remote(self, a: A_contra, b: B_contra, /) -> Call[R_co]: ...


class Takes3(Protocol[A_contra, B_contra, C_contra, R_co]):
    """A chainlet that three positional arguments are enough for."""

    def remote(self, a: A_contra, b: B_contra, c: C_contra, /) -> Call[R_co]: ...


class Takes4(Protocol[A_contra, B_contra, C_contra, D_contra, R_co]):
    """A chainlet that four positional arguments are enough for."""

    def remote(self, a: A_contra, b: B_contra, c: C_contra, d: D_contra, /) -> Call[R_co]: ...


class Takes5(Protocol[A_contra, B_contra, C_contra, D_contra, E_contra, R_co]):
    """A chainlet that five positional arguments are enough for."""

    def remote(self, a: A_contra, b: B_contra, c: C_contra, d: D_contra, e: E_contra, /) -> Call[R_co]: ...


class TakesFirst(Protocol[A_contra, R_co]):
    """A chainlet that takes one positional argument, and others by name."""

    def remote(self, a: A_contra, /, *args: Any, **kwargs: Any) -> Call[R_co]: ...

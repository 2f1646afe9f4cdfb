"""The verb `.starmap()`: long only because no type says "as many arguments as the tuples have items".

mypy cannot match a `TypeVarTuple` with the parameters of a function that has keyword-only ones too.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from fchains.calls.base import BaseChainlet
from fchains.calls.mapping import start_map
from fchains.calls.shapes import Takes1, Takes2, Takes3, Takes4, Takes5
from fchains.calls.stream import Stream

P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class StarMap(BaseChainlet[P, T_co], Generic[P, T_co, R_co]):
    """A chainlet whose remote calls give `R_co`, with the verb for tuples of arguments."""

    @overload
    def starmap(
        self: Takes1[A, R],
        items: Iterable[tuple[A]] | AsyncIterable[tuple[A]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def starmap(
        self: Takes2[A, B, R],
        items: Iterable[tuple[A, B]] | AsyncIterable[tuple[A, B]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def starmap(
        self: Takes3[A, B, C, R],
        items: Iterable[tuple[A, B, C]] | AsyncIterable[tuple[A, B, C]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def starmap(
        self: Takes4[A, B, C, D, R],
        items: Iterable[tuple[A, B, C, D]] | AsyncIterable[tuple[A, B, C, D]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def starmap(
        self: Takes5[A, B, C, D, E, R],
        items: Iterable[tuple[A, B, C, D, E]] | AsyncIterable[tuple[A, B, C, D, E]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def starmap(
        self: Takes1[A, R],
        items: Iterable[tuple[A]] | AsyncIterable[tuple[A]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def starmap(
        self: Takes2[A, B, R],
        items: Iterable[tuple[A, B]] | AsyncIterable[tuple[A, B]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def starmap(
        self: Takes3[A, B, C, R],
        items: Iterable[tuple[A, B, C]] | AsyncIterable[tuple[A, B, C]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def starmap(
        self: Takes4[A, B, C, D, R],
        items: Iterable[tuple[A, B, C, D]] | AsyncIterable[tuple[A, B, C, D]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def starmap(
        self: Takes5[A, B, C, D, E, R],
        items: Iterable[tuple[A, B, C, D, E]] | AsyncIterable[tuple[A, B, C, D, E]],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def starmap(
        self,
        items: Iterable[tuple[Any, ...]] | AsyncIterable[tuple[Any, ...]],
        *,
        kwargs: Mapping[str, object],
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R_co]: ...
    @overload
    def starmap(
        self,
        items: Iterable[tuple[Any, ...]] | AsyncIterable[tuple[Any, ...]],
        *,
        kwargs: Mapping[str, object],
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R_co | Exception]: ...
    def starmap(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        kwargs: Mapping[str, object] | None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Stream[Any]:
        """Start a call for each tuple of arguments, and give the results as a stream.

        Args:
            items: tuples of positional arguments, from an iterable or an async iterable; up to five
                are typed.
            kwargs: further arguments, the same for each call; the items are not typed then.
            max_in_flight: calls under way at most; None is twice what the replicas hold, at least 64.
            ordered: give the results in the order of the items, not as they come in.
            return_exceptions: give a failed call's exception in its place.

        Raises:
            TypeError: `items` is no iterable.
            ValueError: `max_in_flight` is below 1.
        """
        return start_map(
            self.definition,
            items,
            star=True,
            kwargs=kwargs,
            max_in_flight=max_in_flight,
            ordered=ordered,
            return_exceptions=return_exceptions,
            settings=self._settings,
        )

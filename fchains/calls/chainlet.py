"""The typed handles of chainlets, and the verbs that users call on them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from fchains.calls.base import BaseChainlet
from fchains.calls.call import Call
from fchains.calls.fakes import Override
from fchains.calls.job import Job, MapJob, start_job, start_map_job
from fchains.calls.mapping import start_map
from fchains.calls.overrides import open_override
from fchains.calls.shapes import Takes1, TakesFirst
from fchains.calls.starmap import StarMap
from fchains.calls.starting import start_call, start_stream
from fchains.calls.stream import Stream

P = ParamSpec("P")
Q = ParamSpec("Q")
F = ParamSpec("F")
A = TypeVar("A")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class StreamChainlet(BaseChainlet[P, T_co], Generic[P, T_co, Q, R_co]):
    """A generator as a service: made by `@chainlet`, called with `.remote(…)`, gives a `Stream`.

    `P` and `T_co` are the parameters and the result of the plain function, `Q` those of `.remote()`
    and `R_co` the type of an item.
    """

    def remote(self, *args: Q.args, **kwargs: Q.kwargs) -> Stream[R_co]:
        """Start the generator where it is deployed, and give its items as they are made.

        Read them with `async for` or `for`, or `await` the stream for a list. It starts at once;
        a slow reader pauses it. Parameters that `use()` injects are not passed.

        Raises:
            TypeError: a name or the number of arguments is wrong, or an injected parameter is passed.
            SerializationError: an argument cannot travel.
            DefinitionError: the chain is declared wrongly.
            NotDeployed: the running chain does not contain this chainlet.
        """
        __tracebackhide__ = True
        return start_stream(self.definition, args, kwargs, self._settings)

    @overload
    def override(
        self, fake: Callable[Q, Iterator[R_co] | AsyncIterator[R_co]]
    ) -> Override[Callable[Q, object], Callable[Q, object]]: ...
    @overload
    def override(
        self, fake: Callable[F, Iterator[R_co] | AsyncIterator[R_co]]
    ) -> Override[Callable[F, object], Callable[Q, object]]: ...
    def override(self, fake: Callable[..., Any]) -> Override[Any, Any]:
        """Let `.remote()` reach a fake inside a `with` block; for tests.

        Args:
            fake: a generator or an async generator with the parameters that callers pass; it may
                leave out those that `use()` injects. It runs in this process.

        Raises:
            DefinitionError: the fake cannot be called as the chainlet is.
        """
        return Override(open_override(self.definition, fake))


class Chainlet(StarMap[P, T_co, R_co], Generic[P, T_co, Q, R_co]):
    """A function as a service: made by `@chainlet`, called with `.remote(…)`, gives a `Call`.

    `P` and `T_co` are the parameters and the result of the plain function, `Q` and `R_co` those of a
    remote call: the same, with `async def` unwrapped, or for a batched function those of one item.
    """

    def remote(self, *args: Q.args, **kwargs: Q.kwargs) -> Call[R_co]:
        """Start a call where the chainlet is deployed; `await` it, or call `.result()` in sync code.

        It starts at once, also when nobody awaits it yet. Parameters that `use()` injects are not
        passed. A batched function's caller passes one item and gets one result.

        Raises:
            TypeError: a name or the number of arguments is wrong, or an injected parameter is passed.
            SerializationError: an argument cannot travel.
            DefinitionError: the chain is declared wrongly.
            NotDeployed: the running chain does not contain this chainlet.
        """
        __tracebackhide__ = True
        return start_call(self.definition, args, kwargs, self._settings)

    @overload
    def map(
        self: Takes1[A, R],
        items: Iterable[A] | AsyncIterable[A],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def map(
        self: TakesFirst[A, R],
        items: Iterable[A] | AsyncIterable[A],
        *,
        kwargs: Mapping[str, object],
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> Stream[R]: ...
    @overload
    def map(
        self: Takes1[A, R],
        items: Iterable[A] | AsyncIterable[A],
        *,
        kwargs: None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    @overload
    def map(
        self: TakesFirst[A, R],
        items: Iterable[A] | AsyncIterable[A],
        *,
        kwargs: Mapping[str, object],
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> Stream[R | Exception]: ...
    def map(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        kwargs: Mapping[str, object] | None = None,
        max_in_flight: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Stream[Any]:
        """Start a call for each item, and give the results as a stream.

        Items are read as calls end, so an endless iterable works. Leaving the stream early cancels
        the calls under way.

        Args:
            items: values of the first parameter, from an iterable or an async iterable.
            kwargs: further arguments, the same for each call.
            max_in_flight: calls under way at most; None is twice what the replicas hold, at least 64.
            ordered: give the results in the order of the items, not as they come in.
            return_exceptions: give a failed call's exception in its place; otherwise the first
                failure is raised after the results before it, and cancels the rest.

        Raises:
            TypeError: `items` is no iterable.
            ValueError: `max_in_flight` is below 1.
        """
        return start_map(
            self.definition,
            items,
            star=False,
            kwargs=kwargs,
            max_in_flight=max_in_flight,
            ordered=ordered,
            return_exceptions=return_exceptions,
            settings=self._settings,
        )

    def spawn(self, *args: Q.args, **kwargs: Q.kwargs) -> Job[R_co]:
        """Start a durable call: it goes on when this process ends, and is found by its id.

        Raises:
            NotSupported: there is no job store yet.
        """
        return start_job(self.definition, args, kwargs, self._settings)

    @overload
    def spawn_map(
        self: Takes1[A, R], items: Iterable[A] | AsyncIterable[A], *, kwargs: None = None
    ) -> MapJob[R]: ...
    @overload
    def spawn_map(
        self: TakesFirst[A, R], items: Iterable[A] | AsyncIterable[A], *, kwargs: Mapping[str, object]
    ) -> MapJob[R]: ...
    def spawn_map(
        self, items: Iterable[Any] | AsyncIterable[Any], *, kwargs: Mapping[str, object] | None = None
    ) -> MapJob[Any]:
        """Start a durable call for each item.

        Args:
            items: values of the first parameter, from an iterable or an async iterable.
            kwargs: further arguments, the same for each call.

        Raises:
            NotSupported: there is no job store yet.
        """
        return start_map_job(self.definition, items, kwargs, self._settings)

    @overload
    def override(
        self, fake: Callable[Q, R_co | Awaitable[R_co]]
    ) -> Override[Callable[Q, object], Callable[Q, object]]: ...
    @overload
    def override(
        self, fake: Callable[F, R_co | Awaitable[R_co]]
    ) -> Override[Callable[F, object], Callable[Q, object]]: ...
    def override(self, fake: Callable[..., Any]) -> Override[Any, Any]:
        """Let `.remote()` and `.map()` reach a fake inside a `with` block; for tests.

        Args:
            fake: a function, sync or async, with the parameters that callers pass; it may leave out
                those that `use()` injects. For a batched function it takes one item. It runs in
                this process, so it may record what it is given.

        Raises:
            DefinitionError: the fake cannot be called as the chainlet is.
        """
        return Override(open_override(self.definition, fake))

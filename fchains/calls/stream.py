"""A stream of items: `async for`, `for`, or `await` for a list of them all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from fchains.calls.blocking import refuse_in_event_loop, wait_for
from fchains.calls.sources import END, PENDING, Source
from fchains.calls.waiting import Waiting
from fchains.errors import CallCancelled, FchainsError

T_co = TypeVar("T_co", covariant=True)


class Stream(AsyncIterator[T_co], Iterator[T_co], Generic[T_co]):
    """Items of a remote generator, or results of a map, as they are made.

    Read it with `async for` or `for`, or `await` it for a list. The work behind it is cancelled
    by `cancel()`, `aclose()`, the end of a `with` block, and when the last reference goes away.
    An exception comes after the items that were made before it.
    """

    def __init__(self, source: Source[T_co], subject: str) -> None:
        self._source = source
        self._subject = subject
        self._began = False
        self._ended = False
        self._cancelled = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        __tracebackhide__ = True
        self._began = True
        while not self._ended:
            item = self._take()
            if item is PENDING:
                await self._ready()
                self._refuse_if_cancelled()
            elif item is not END:
                return cast("T_co", item)
        raise StopAsyncIteration

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        __tracebackhide__ = True
        if not self._began:
            # Also when items are there already: code must not work or fail by luck.
            refuse_in_event_loop("`for`")
        self._began = True
        while not self._ended:
            item = self._take()
            if item is PENDING:
                self._block()
                self._refuse_if_cancelled()
            elif item is not END:
                return cast("T_co", item)
        raise StopIteration

    def __await__(self) -> Generator[Any, None, list[T_co]]:
        if self._began:
            raise FchainsError(
                f"{self._subject}: `await` collects a whole stream, but this one has been read from already;"
                " go on with `async for`"
            )
        return self._collect().__await__()

    def cancel(self) -> None:
        """Stop the work behind the stream; nothing more comes from it."""
        if not self._ended:
            self._ended = self._cancelled = True
            self._source.cancel()

    async def aclose(self) -> None:
        """`cancel()`, under the name that async generators give it."""
        self.cancel()

    def close(self) -> None:
        """`cancel()`, under the name that generators give it."""
        self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if getattr(self, "_ended", True) is False:
            self.cancel()

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<stream of {self._subject}: {state}>"

    async def _collect(self) -> list[T_co]:
        __tracebackhide__ = True
        items = [item async for item in self]
        self._refuse_if_cancelled()
        return items

    def _refuse_if_cancelled(self) -> None:
        """Whoever waited for items must not take a cancelled stream for a complete one."""
        __tracebackhide__ = True
        if self._cancelled:
            raise CallCancelled(f"{self._subject}: the stream was cancelled while it was read")

    def _take(self) -> object:
        try:
            item = self._source.take()
        except BaseException:
            # Also of an item that cannot be opened: its writer would wait for a reader for ever.
            self._ended = True
            self._source.cancel()
            raise
        if item is END:
            self._ended = True
        return item

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiting = Waiting.begin()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        def post() -> None:
            with contextlib.suppress(RuntimeError):  # the reading loop has been closed
                loop.call_soon_threadsafe(resolve)

        self._source.when_ready(lambda: waiting.end(post))
        try:
            await future
        except BaseException:
            waiting.abort()
            raise

    def _block(self) -> None:
        refuse_in_event_loop("`for`")
        ready = threading.Event()
        waiting = Waiting.begin()
        self._source.when_ready(lambda: waiting.end(ready.set))
        try:
            wait_for(ready)
        except BaseException:
            waiting.abort()
            raise

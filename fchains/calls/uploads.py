"""Streamed parameters: the caller's iterator, read as the callee takes its items."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

from fchains.calls.portal import Portal, user_portal
from fchains.calls.runner import Transfer
from fchains.wire.codec import Codec
from fchains.wire.failures import Failure, failure_of
from fchains.wire.windows import SendWindow

_END = object()


class Upload:
    """One streamed parameter of one call.

    The iterator is read on the caller's own loop (one of fchains' for callers without one), in
    the context of the call; its window is kept on that loop too.
    """

    def __init__(
        self,
        name: str,
        source: object,
        codec: Codec[Any],
        portal: Portal,
    ) -> None:
        if not isinstance(source, AsyncIterable | Iterable):
            raise TypeError(f"`{name}` is a stream: pass an async iterator or an iterable, not {source!r}")
        self._name = name
        self._source: AsyncIterable[Any] | Iterable[Any] = source
        self._codec = codec
        self._portal = portal
        self._window = SendWindow()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._context = contextvars.copy_context()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = user_portal().loop

    def open(self, transfer: Transfer) -> None:
        """Begin to read; on the portal's loop."""
        self._loop.call_soon_threadsafe(self._begin, transfer)

    def consumed(self, items: int, size: int) -> None:
        """The callee took items; on the portal's loop."""
        with contextlib.suppress(RuntimeError):  # the caller's loop has been closed
            self._loop.call_soon_threadsafe(self._credit, items, size)

    def close(self) -> None:
        """The call has ended: read no further; on the portal's loop."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop)

    def _begin(self, transfer: Transfer) -> None:
        if not self._closed and self._task is None:
            self._task = self._loop.create_task(self._pump(transfer), context=self._context)

    def _credit(self, items: int, size: int) -> None:
        self._window.credit(items, size)
        self._room.set()

    def _stop(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _pump(self, transfer: Transfer) -> None:
        failure: Failure | None = None
        items = _items(self._source)
        try:
            async for item in items:
                payload = self._codec.encode(item, what=f"an item of `{self._name}`")
                while not self._window.can_send(payload.size):
                    self._room.clear()
                    await self._room.wait()
                self._window.sent(payload.size)
                # A source may use one array for all of its items.
                self._portal.post(transfer.upload, self._name, payload.detached())
        except Exception as error:
            failure = failure_of(error)
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        self._portal.post(transfer.end_upload, self._name, failure)


def _items(source: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(source, AsyncIterable):
        return aiter(source)
    return _from_sync(source)


async def _from_sync(source: Iterable[Any]) -> AsyncIterator[Any]:
    iterator = iter(source)
    while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield item

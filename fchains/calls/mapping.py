"""A function over many items: a window of calls that moves on as results are taken."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, cast

from fchains.calls.call import Call
from fchains.calls.portal import user_portal
from fchains.calls.settings import CallSettings
from fchains.calls.sources import END, PENDING, Signal
from fchains.calls.starting import start_call
from fchains.calls.stream import Stream
from fchains.definition.spec import Definition
from fchains.errors import CallCancelled, FchainsError, NotSupported

LEAST_WINDOW = 64
"""Calls in flight at least, so that short items keep every replica busy."""

Submit = Callable[[Any], Call[Any]]


def start_map(
    definition: Definition,
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    star: bool,
    kwargs: Mapping[str, object] | None,
    max_in_flight: int | None,
    ordered: bool,
    return_exceptions: bool,
    settings: CallSettings,
) -> Stream[Any]:
    """Start a call for each item, as many at once as the window allows; the results are a stream."""
    if definition.kind == "stream":
        raise NotSupported(
            f"{definition.name} is a generator: call .remote() for each item, map takes functions"
        )
    if max_in_flight is not None and (isinstance(max_in_flight, bool) or max_in_flight < 1):
        raise ValueError(f"max_in_flight is a number of calls, at least 1, not {max_in_flight!r}")
    if not isinstance(cast("object", items), Iterable | AsyncIterable):
        raise TypeError(f"{definition.name}.map() takes an iterable or an async iterable, not {items!r}")
    window = Window(max_in_flight or max(LEAST_WINDOW, 2 * capacity(definition)))
    shared = dict(kwargs or {})
    definition.signature.check_names(shared)

    def submit(item: Any) -> Call[Any]:
        args = tuple(item) if star else (item,)
        return start_call(definition, args, shared, settings, on_overload=window.narrow)

    results = MapResults(submit, window, ordered=ordered, return_exceptions=return_exceptions)
    results.feed(items)
    return Stream(results, f"{definition.name}.map")


def capacity(definition: Definition) -> int:
    """Inputs that the replicas of a chainlet hold at once, at most."""
    replicas = definition.options.replicas
    most = replicas.max if replicas is not None else os.cpu_count() or 1
    return most * definition.slots * (definition.batch.max_size if definition.batch else 1)


class Window:
    """How many calls may be in flight: halved by each refusal, and widened again by results."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most

    def narrow(self) -> None:
        self.size = max(1, self.size // 2)

    def widen(self) -> None:
        self.size = min(self.most, self.size + 1)


class _Entry:
    """An item's call, or the error that kept it from starting."""

    __slots__ = ("call", "error")

    def __init__(self, call: Call[Any] | None, error: Exception | None) -> None:
        self.call = call
        self.error = error

    @property
    def done(self) -> bool:
        return self.call is None or self.call.done()


class MapResults:
    """The source of a map's stream: starts calls as its window moves, gives results in order."""

    def __init__(self, submit: Submit, window: Window, *, ordered: bool, return_exceptions: bool) -> None:
        self._submit = submit
        self._window = window
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._lock = threading.RLock()
        self._pending: deque[_Entry] = deque()
        self._finished: deque[_Entry] = deque()
        self._in_flight = 0
        self._iterator: Iterator[Any] | None = None
        self._feed_ended = False
        self._feed_error: BaseException | None = None
        self._feeding: _AsyncFeed | None = None
        self._wake: Callable[[], None] | None = None
        self._cancelled = False

    def feed(self, items: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Begin to read the items; the first window of calls starts at once."""
        if isinstance(items, AsyncIterable):
            self._feeding = _AsyncFeed(self, aiter(items))
        else:
            self._iterator = iter(items)
            self._fill()

    def take(self) -> Any | Literal[Signal.PENDING, Signal.END]:
        self._fill()
        with self._lock:
            entry = self._next()
            if entry is None:
                return self._nothing()
            self._in_flight -= 1
        if self._feeding is not None:
            self._feeding.room()
        return self._open(entry)

    def when_ready(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if not self._ready():
                self._wake = wake
                return
        wake()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = self._feed_ended = True
            entries = [*self._pending, *self._finished]
            self._pending.clear()
            self._finished.clear()
        if self._feeding is not None:
            self._feeding.stop()
        for entry in entries:
            if entry.call is not None:
                _drop(entry.call)
        _close(self._iterator)
        self._notify()

    def has_room(self) -> bool:
        """Whether the window lets another call start."""
        return self._in_flight < self._window.size and not self._cancelled

    def add(self, item: Any) -> None:
        """Start an item's call; what keeps it from starting is its outcome."""
        try:
            entry = _Entry(self._submit(item), None)
        except Exception as error:
            entry = _Entry(None, error)
        with self._lock:
            left = self._cancelled
            if not left:
                self._pending.append(entry)
                self._in_flight += 1
        if left:
            if entry.call is not None:
                _drop(entry.call)
        elif entry.call is None:
            self._settled(entry)
        else:
            entry.call.when_done(lambda: self._settled(entry))

    def end_feed(self, error: BaseException | None) -> None:
        """No item comes any more."""
        with self._lock:
            self._feed_ended = True
            self._feed_error = error
        self._notify()

    def _fill(self) -> None:
        while self._iterator is not None and not self._feed_ended and self.has_room():
            try:
                item = next(self._iterator)
            except StopIteration:
                self.end_feed(None)
            except BaseException as error:
                self.end_feed(error)
            else:
                self.add(item)

    def _ready(self) -> bool:
        if self._ordered:
            waiting = bool(self._pending) and not self._pending[0].done
        else:
            waiting = bool(self._pending) and not self._finished
        return not waiting and bool(self._pending or self._finished or self._feed_ended)

    def _next(self) -> _Entry | None:
        if not self._ordered:
            return self._finished.popleft() if self._finished else None
        return self._pending.popleft() if self._pending and self._pending[0].done else None

    def _nothing(self) -> Literal[Signal.PENDING, Signal.END]:
        if self._pending or not self._feed_ended:
            return PENDING
        error, self._feed_error = self._feed_error, None
        if error is not None:
            raise error
        return END

    def _open(self, entry: _Entry) -> Any:
        error = entry.error if entry.call is None or not entry.done else entry.call.exception()
        if error is None:
            self._window.widen()
            try:
                return cast("Call[Any]", entry.call).result()
            except FchainsError as unreadable:
                error = unreadable
        if self._return_exceptions and isinstance(error, Exception):
            return error
        self.cancel()
        raise error

    def _settled(self, entry: _Entry) -> None:
        with self._lock:
            if not self._ordered and entry in self._pending:
                self._pending.remove(entry)
                self._finished.append(entry)
            if not self._ready():
                return
        self._notify()

    def _notify(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()


class _AsyncFeed:
    """Reads an async iterable on the caller's loop, or on fchains' own for a caller without one."""

    def __init__(self, results: MapResults, items: AsyncIterator[Any]) -> None:
        self._results = results
        self._items = items
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        context = contextvars.copy_context()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = user_portal().loop
        self._loop.call_soon_threadsafe(self._begin, context)

    def room(self) -> None:
        """A result was taken; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed, which ended the feed
            self._loop.call_soon_threadsafe(self._room.set)

    def stop(self) -> None:
        """Read no further; from any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _begin(self, context: contextvars.Context) -> None:
        if not self._stopped:
            self._task = self._loop.create_task(self._read(), context=context)

    def _cancel(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _read(self) -> None:
        error: BaseException | None = None
        try:
            async for item in self._items:
                while not self._results.has_room():
                    self._room.clear()
                    await self._room.wait()
                self._results.add(item)
        except asyncio.CancelledError:
            # By `stop`, or by a loop that ends before its items do: those results are not all there are.
            error = CallCancelled("the items of a map were cancelled before their end")
        except BaseException as raised:
            error = raised
        try:
            close = getattr(self._items, "aclose", None)
            if close is not None:
                await close()
        except BaseException as raised:
            error = error or raised
        finally:
            self._results.end_feed(error)


def _drop(call: Call[Any]) -> None:
    call.cancel()
    call.forget()


def _close(iterator: Iterator[Any] | None) -> None:
    """Close a generator that was left early, where it is not running right now."""
    close = getattr(iterator, "close", None)
    if close is not None:
        try:
            close()
        except ValueError:
            return

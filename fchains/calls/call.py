"""A call that has started: awaitable, cancellable, and usable from sync code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from fchains.calls.blocking import refuse_in_event_loop, wait_for
from fchains.calls.cell import Cell
from fchains.calls.invocation import Failed, FailureKind, Outcome
from fchains.calls.waiting import Waiting
from fchains.errors import CallTimeout
from fchains.origin import is_machinery
from fchains.wire.payload import Payload

T_co = TypeVar("T_co", covariant=True)

logger = logging.getLogger(__name__)


class Canceller(Protocol):
    """What carries out a call, as far as the call's holder reaches into it."""

    def cancel(self) -> None:
        """Cancel the work; from any thread."""
        ...


class Opener(Protocol):
    """Turns what travelled into what the caller gets."""

    def value(self, payload: Payload) -> Any: ...

    def error(self, failed: Failed) -> BaseException: ...


class Call(Awaitable[T_co], Generic[T_co]):
    """A call under way; it started when it was made, whether anybody awaits it or not.

    `await call` gives the result or raises what the function raised; cancelling the task that
    awaits cancels the call. A failure that nobody retrieves is logged once.
    """

    def __init__(self, id: str, chainlet: str, cell: Cell, opener: Opener, work: Canceller) -> None:
        self._id = id
        self._chainlet = chainlet
        self._cell = cell
        self._opener = opener
        self._work = work
        self._seen_done = False

    @property
    def id(self) -> str:
        """Identifier of the call, the same in logs and in `current_call().id`."""
        return self._id

    def done(self) -> bool:
        """Whether it has a result, has failed, or was cancelled."""
        self._seen_done = self._cell.outcome is not None
        return self._seen_done

    def cancel(self) -> bool:
        """Cancel it, down the whole chain; False when it was done already."""
        if self.done():
            return False
        self._work.cancel()
        return True

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the result; for sync code.

        Args:
            timeout: seconds to wait, None for no limit; the call itself goes on after it.

        Raises:
            CallTimeout: it is not done after `timeout`.
            BlockingError: an event loop runs in this thread; the message shows what to write.
        """
        __tracebackhide__ = True
        self._block(timeout, ".result()")
        return self._open()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end, and give what the call raised, None if it succeeded; for sync code.

        Args:
            timeout: seconds to wait, None for no limit.

        Raises:
            CallTimeout: it is not done after `timeout`.
        """
        self._block(timeout, ".exception()")
        outcome = self._settled()
        return self._opener.error(outcome) if isinstance(outcome, Failed) else None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it is done, perhaps at once, perhaps from another thread."""
        self._cell.when_settled(callback)

    def forget(self) -> None:
        """Nobody will ask for the outcome: a failure is not logged."""
        self._cell.retrieved = True

    def __await__(self) -> Generator[Any, None, T_co]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T_co] = loop.create_future()
        if self._cell.outcome is not None:
            self._resolve(future)
        else:
            self._resolve_later(loop, future)
        # The future's own iterator keeps this library's frames out of the user's traceback.
        return future.__await__()

    def _resolve_later(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[T_co]) -> None:
        waiting = Waiting.begin()

        def resolve() -> None:
            with contextlib.suppress(RuntimeError):  # the waiting loop has been closed
                loop.call_soon_threadsafe(self._resolve, future)

        def settled() -> None:
            waiting.end(resolve)

        def done(future: asyncio.Future[T_co]) -> None:
            if future.cancelled():
                self._cell.forget(settled)
                waiting.abort()
                self.cancel()

        future.add_done_callback(done)
        self._cell.when_settled(settled)

    def _resolve(self, future: asyncio.Future[T_co]) -> None:
        if future.done():
            return
        try:
            future.set_result(self._open())
        except BaseException as error:
            # Without the frames of this method, and not twice those of an earlier retrieval.
            future.set_exception(error.with_traceback(_remote_part(error)))

    def _block(self, timeout: float | None, verb: str) -> None:
        if self._cell.outcome is not None and (self._seen_done or self._cell.retrieved):
            return
        # Also when it happens to be done: code must not work or fail by luck.
        refuse_in_event_loop(verb)
        if self._cell.outcome is not None:
            return
        settled = threading.Event()
        waiting = Waiting.begin()
        self._cell.when_settled(settled.set)
        try:
            in_time = wait_for(settled, timeout)
        except BaseException:
            waiting.abort()
            self.cancel()
            raise
        if not in_time:
            self._cell.forget(settled.set)
            waiting.abort()
            raise CallTimeout(f"{self._chainlet}: not done after {timeout:g} s; the call goes on")
        resumed = threading.Event()
        waiting.end(resumed.set)
        wait_for(resumed)

    def _settled(self) -> Outcome:
        outcome = self._cell.outcome
        if outcome is None:
            raise RuntimeError("only a settled call is opened")
        self._cell.retrieved = True
        return outcome

    def _open(self) -> T_co:
        __tracebackhide__ = True
        outcome = self._settled()
        if isinstance(outcome, Failed):
            raise self._opener.error(outcome)
        value: T_co = self._opener.value(outcome.payload)
        return value

    def __del__(self) -> None:
        cell: Cell | None = getattr(self, "_cell", None)
        if cell is None or cell.retrieved:
            return
        cell.abandon(_unretrieved(self._chainlet, self._id, self._opener))

    def __repr__(self) -> str:
        outcome = self._cell.outcome
        state = "under way" if outcome is None else "failed" if isinstance(outcome, Failed) else "done"
        return f"<call {self._id} of {self._chainlet}: {state}>"


def _remote_part(error: BaseException) -> Any:
    traceback = error.__traceback__
    while traceback is not None and is_machinery(traceback.tb_frame.f_globals.get("__name__", "")):
        traceback = traceback.tb_next
    return traceback


def _unretrieved(chainlet: str, id: str, opener: Opener) -> Callable[[Failed], None]:
    def report(failed: Failed) -> None:
        if failed.kind is not FailureKind.CANCELLED:
            error = opener.error(failed)
            logger.error("%s: call %s failed and nobody asked for its result", chainlet, id, exc_info=error)

    return report

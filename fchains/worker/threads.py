"""Threads for sync user code, in which it can be interrupted.

An interrupt is an exception raised in the user's thread by `PyThreadState_SetAsyncExc`. It strikes at
one of the thread's next bytecodes, so it must be kept from striking after the user's code has ended:

- a gate (a lock and `_inside`) is open only around user code, and an interrupt is sent only through
  an open gate;
- shutting the gate takes back what was sent and has not struck yet;
- what strikes between the end of the user's code and the shut gate ends in the handlers of `attempt`
  and `execute`, never in the thread's own loop.

Code that is blocked in C (a lock, `select`, a GPU kernel) is struck when that returns. Code may catch
the exception, finalizers swallow it: one request strikes once.
"""

from __future__ import annotations

import ctypes
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

logger = logging.getLogger(__name__)

_END: Final = object()


@dataclass(frozen=True, slots=True)
class Returned(Generic[T_co]):
    """User code that ended with a value."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Raised:
    """User code that ended with an exception, `SystemExit` and `StopIteration` included."""

    error: BaseException


Result: TypeAlias = Returned[T] | Raised


class Running:
    """User code that waits for its thread, runs on it, or has ended."""

    def __init__(self, thread: PoolThread, context: Context, release: bool) -> None:
        self.finished = False
        # An attribute and never a local of these frames: an exception refers to all of them, so it would
        # be part of a cycle and keep the user's frames, and what is in them, alive.
        self.outcome: Result[Any] | None = None
        self._thread = thread
        self._context = context
        self._release = release
        # Reentrant: a finalizer that interrupts may run in the thread that holds it.
        self._lock = threading.RLock()
        self._inside = False
        self._sent = False
        self._refused: type[BaseException] | None = None

    @property
    def thread_id(self) -> int:
        """The identifier of its thread, as `threading.get_ident` gives it."""
        return cast("int", self._thread.ident)

    def interrupt(self, error: type[BaseException]) -> bool:
        """Raises an exception once in the user's code, or in its place when it has not begun.

        Args:
            error: a class that can be made without arguments.

        Returns:
            False when the code has ended already.
        """
        with self._lock:
            if self.finished:
                return False
            if self._inside:
                self._sent = True
                _raise_in(self.thread_id, error)
            else:
                self._refused = error
            return True

    def attempt(self, function: Callable[[], object]) -> None:
        """Runs user code with the gate open, on its thread, and keeps the outcome."""
        self.outcome = None
        try:
            try:
                self._enter(function)
            finally:
                self._leave()
        except BaseException as error:  # it struck after the user's code had ended
            self._leave()
            if self.outcome is None:
                self.outcome = Raised(error)

    def execute(self, body: Callable[[Running], None], on_done: Callable[[Result[Any]], None]) -> None:
        """Runs the whole of it, on its thread, and reports the outcome."""
        try:
            body(self)
        except BaseException as error:  # a second one struck while the first was handled
            self._leave()
            self.outcome = Raised(error)
        with self._lock:
            self.finished = True
        try:
            on_done(cast("Result[Any]", self.outcome))
        except BaseException:
            logger.exception("the outcome of user code was lost: its receiver failed")
        self.outcome = None
        if self._release:  # only now: whoever gets the thread must not wait for the receiver
            self._thread.release()

    def _enter(self, function: Callable[[], object]) -> None:
        try:
            with self._lock:
                if self._refused is not None:
                    raise self._refused
                self._inside = True
            self.outcome = Returned(self._context.run(function))
        except BaseException as error:
            self.outcome = Raised(error)

    def _leave(self) -> None:
        with self._lock:
            self._inside = False
        if self._sent:
            _take_back(self.thread_id)
            self._sent = False


class Iteration(Generic[T]):
    """A sync iterator that is made, advanced and closed on one thread, which it keeps until closed."""

    def __init__(self, thread: PoolThread, function: Callable[[], Iterator[T]], context: Context) -> None:
        self._thread = thread
        self._function = function
        self._context = context
        self._iterator: Iterator[T] | None = None
        self._closed = False

    def pull(
        self, limit: int, on_item: Callable[[T], None], on_done: Callable[[Result[bool]], None]
    ) -> Running:
        """Advances it by up to `limit` items.

        Args:
            on_item: gets each item at once, on the thread; interrupts do not strike in it.
            on_done: gets whether more items may follow, or what the iterator raised.
        """
        return self._submit(partial(self._advance, limit, on_item), on_done, release=False)

    def close(self, on_done: Callable[[Result[None]], None]) -> Running:
        """Closes it and gives its thread back; to be called once, also after the end or a failure."""
        running = self._submit(self._finish, on_done, release=True)
        self._closed = True
        return running

    def _submit(
        self, body: Callable[[Running], None], on_done: Callable[[Result[Any]], None], release: bool
    ) -> Running:
        if self._closed:
            raise RuntimeError("this iteration is closed: its thread belongs to others now")
        return self._thread.submit(body, on_done, self._context, release=release)

    def _advance(self, limit: int, on_item: Callable[[T], None], running: Running) -> None:
        for _ in range(limit):
            running.attempt(self._step)
            if not isinstance(running.outcome, Returned):
                return
            if running.outcome.value is _END:
                running.outcome = Returned(False)
                return
            on_item(running.outcome.value)
        running.outcome = Returned(True)

    def _step(self) -> object:
        if self._iterator is None:
            self._iterator = iter(self._function())
        return next(self._iterator, _END)

    def _finish(self, running: Running) -> None:
        running.outcome = Returned(None)
        close = getattr(self._iterator, "close", None)
        if close is not None:
            running.attempt(close)
        self._iterator = None


class ThreadPool:
    """Daemon threads for the sync user code of one chainlet, made as needed and reused last in, first out.

    Args:
        name: the chainlet's name; threads are called `fchains-<name>-<n>`.
        idle_seconds: how long a thread waits for work before it ends.
    """

    def __init__(self, name: str, *, idle_seconds: float = 10.0) -> None:
        self.idle_seconds = idle_seconds
        self._name = name
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._idle: list[PoolThread] = []
        self._closed = False

    def run(
        self,
        function: Callable[[], T],
        on_done: Callable[[Result[T]], None],
        *,
        context: Context | None = None,
    ) -> Running:
        """Runs a function on a thread.

        Args:
            on_done: gets the outcome, on that thread, exactly once.
            context: entered for the function; a copy of the caller's unless given.
        """
        context = copy_context() if context is None else context
        return self._take().submit(lambda running: running.attempt(function), on_done, context, release=True)

    def iterate(self, function: Callable[[], Iterator[T]], *, context: Context | None = None) -> Iteration[T]:
        """Prepares the iterator that the function makes; nothing of it runs before the first pull."""
        context = copy_context() if context is None else context
        return Iteration(self._take(), function, context)

    def close(self) -> None:
        """Ends the idle threads now and the others after their work; nothing new is accepted."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.stop()

    def put_back(self, thread: PoolThread) -> None:
        """Takes a thread that has no work."""
        with self._lock:
            if not self._closed:
                self._idle.append(thread)
                return
        thread.stop()

    def retire(self, thread: PoolThread) -> bool:
        """Forgets a thread that idled for long; False when it has got work, or an iteration keeps it."""
        with self._lock:
            if thread not in self._idle:
                return False
            self._idle.remove(thread)
            return True

    def _take(self) -> PoolThread:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the threads of {self._name!r} are closed")
            if self._idle:
                return self._idle.pop()
            thread = PoolThread(self, f"fchains-{self._name}-{next(self._numbers)}")
        thread.start()
        return thread


class PoolThread(threading.Thread):
    """One thread of a pool; it runs what is submitted to it in order."""

    def __init__(self, pool: ThreadPool, name: str) -> None:
        super().__init__(name=name, daemon=True)  # a stuck one must not keep the interpreter from exiting
        self._pool = pool
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(
        self,
        body: Callable[[Running], None],
        on_done: Callable[[Result[Any]], None],
        context: Context,
        *,
        release: bool,
    ) -> Running:
        """Queues a body; `release` gives the thread back to the pool after it."""
        running = Running(self, context, release)
        self._inbox.put(partial(running.execute, body, on_done))
        return running

    def release(self) -> None:
        """Gives it back to its pool."""
        self._pool.put_back(self)

    def stop(self) -> None:
        """Ends it after the work it has."""
        self._inbox.put(None)

    def run(self) -> None:
        """Works until stopped, or idle for long."""
        while True:
            try:
                work = self._inbox.get(timeout=self._pool.idle_seconds)
            except queue.Empty:
                if self._pool.retire(self):
                    return
                continue
            if work is None:
                return
            work()
            del work  # while idle it must not keep a call's arguments alive


class _TakenBack(BaseException):
    """Strikes in the place of an interrupt that came too late."""


def _raise_in(thread_id: int, error: type[BaseException]) -> None:
    """Has a thread raise an exception at its next bytecode; one that it has not raised yet is replaced."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


def _take_back(thread_id: int) -> None:
    """Takes back, on the thread itself, what has not struck yet.

    Setting NULL would do that too, but up to Python 3.12 it leaves the flag behind for which the
    interpreter leaves its fast path at every call and jump: what is set must strike.
    """
    try:
        _raise_in(thread_id, _TakenBack)
        for _ in range(100):  # it strikes here at the latest
            pass
    except _TakenBack:
        pass

"""Which runner is in use: a `use_runner` block's, else the process's default."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
import threading
from contextvars import ContextVar, Token
from types import TracebackType

from fchains.calls.leaving import at_exit
from fchains.calls.loglines import LogSink
from fchains.calls.plugins import installed, load_runner
from fchains.calls.portal import portal
from fchains.calls.runner import Runner
from fchains.calls.session import RunnerSession, Session
from fchains.config import Settings
from fchains.definition.problems import caller_place
from fchains.errors import NotSupported
from fchains.packaging.places import Place

DEFAULT_RUNNERS = ("local", "inline")

_IN_USE: ContextVar[RunnerSession | None] = ContextVar("fchains_session", default=None)


class _Process:
    """The sessions of this process that no context variable reaches."""

    def __init__(self) -> None:
        self.own: Session | None = None
        self.forbidden = ""
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a forked child does."""
        self.lock = threading.Lock()
        self.open: list[RunnerSession] = []
        self.default: RunnerSession | None = None
        if self.own is not None:
            self.own, self.forbidden = None, _FORKED

    def check(self) -> None:
        """Refuse to start anything where that was forbidden."""
        if self.forbidden:
            raise NotSupported(f"{_place_of_import()}: {self.forbidden}")


_FORKED = "this process was forked from a replica's, and calls are made by the replica itself"

_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.forget)


def set_process_session(session: Session | None) -> None:
    """Send the calls of this process to a session where no block says otherwise; None as usual."""
    _process.own, _process.forbidden = session, ""


def forbid_sessions(message: str) -> None:
    """Refuse calls and `use_runner` blocks from now on, until `set_process_session`.

    Args:
        message: what is wrong and what to write instead; the error has the place in front of it.
    """
    _process.forbidden = message


def session_in_use() -> Session:
    """The session of the innermost `use_runner` block, the process's own, or the default one.

    The default one is made on first use. A thread that was started inside a block has no context of
    it: it gets the block opened last.

    Raises:
        NotSupported: no calls can be made now.
    """
    session = _IN_USE.get()
    if session is not None:
        return session
    with _process.lock:
        if _process.own is not None:
            return _process.own
        _process.check()
        if _process.open:
            return _process.open[-1]
        if _process.default is None:
            name = Settings.from_env(os.environ).runner or default_runner()
            _process.default = RunnerSession(load_runner(name)())
            at_exit(_close_default)
        return _process.default


def _close_default() -> None:
    """As at the end of a block: calls go on to their end, unless an exception ends the program."""
    if _process.default is not None:
        _process.default.close(drain=not hasattr(sys, "last_value"))


def default_runner() -> str:
    """Name of the runner used where nothing says otherwise."""
    names = installed()
    return next((name for name in DEFAULT_RUNNERS if name in names), DEFAULT_RUNNERS[-1])


class use_runner:  # noqa: N801 - used like a function, in `with use_runner("inline"):`
    """Run the calls made in a block on a runner, which is closed at its end.

    Works as `with` and as `async with`. Chains start when they are first called. In async code use
    `async with`: at its end a plain `with` would block the event loop until accepted calls are done.

    Args:
        runner: name of an installed runner, or a `Runner`.
        log_sink: told of each line that user code prints or logs in a call, and on runners with processes
            of their own also outside one; from a thread of the runner.
        options: what the runner's class takes, when it is given by name.

    Raises:
        RunnerNotFound: no runner of that name is installed.
        TypeError: the runner takes no such option.
        NotSupported: the block is entered where no calls can be made, as while a worker imports the module.
    """

    def __init__(self, runner: str | Runner, *, log_sink: LogSink | None = None, **options: object) -> None:
        if isinstance(runner, Runner):
            if options:
                raise TypeError(f"options go to the runner itself, not to use_runner: {', '.join(options)}")
            self._runner = runner
        else:
            self._runner = load_runner(runner)(**options)
        self._log_sink = log_sink
        self._entered: list[tuple[RunnerSession, Token[RunnerSession | None]]] = []

    def __enter__(self) -> RunnerSession:
        _process.check()
        session = RunnerSession(self._runner, log_sink=self._log_sink)
        with _process.lock:
            _process.open.append(session)
        self._entered.append((session, _IN_USE.set(session)))
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave().close(drain=kind is None)

    async def __aenter__(self) -> RunnerSession:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        closing = portal().submit(self._leave().aclose(drain=kind is None))
        await asyncio.shield(asyncio.wrap_future(closing))  # one who waits no longer does not stop it

    def _leave(self) -> RunnerSession:
        session, token = self._entered.pop()
        with contextlib.suppress(ValueError):  # left in another context than it was entered in
            _IN_USE.reset(token)
        with _process.lock:
            if session in _process.open:  # in a forked child it is not
                _process.open.remove(session)
        return session


def _place_of_import() -> Place:
    """The line that a module being imported has come to; without one, that of the user's code."""
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        is_module = frame.f_code.co_name == "<module>" and name in sys.modules
        if is_module and name.partition(".")[0] not in ("__main__", "fchains"):
            return Place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return Place(*caller_place())

"""Which runner is in use: a `use_runner` block's, else the process's default."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from contextvars import ContextVar, Token
from types import TracebackType

from fchains.calls.leaving import at_exit
from fchains.calls.loglines import LogSink
from fchains.calls.plugins import installed, load_runner
from fchains.calls.portal import portal
from fchains.calls.runner import Runner
from fchains.calls.session import RunnerSession
from fchains.config import Settings

DEFAULT_RUNNERS = ("local", "inline")

_IN_USE: ContextVar[RunnerSession | None] = ContextVar("fchains_session", default=None)


class _Process:
    """The sessions of this process that no context variable reaches."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a forked child does."""
        self.lock = threading.Lock()
        self.open: list[RunnerSession] = []
        self.default: RunnerSession | None = None


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.forget)


def session_in_use() -> RunnerSession:
    """The session of the innermost `use_runner` block, or the default one, made on first use.

    A thread that was started inside a block has no context of it: it gets the block opened last.
    """
    session = _IN_USE.get()
    if session is not None:
        return session
    with _process.lock:
        if _process.open:
            return _process.open[-1]
        if _process.default is None:
            name = Settings.from_env(os.environ).runner or default_runner()
            _process.default = RunnerSession(load_runner(name)())
            at_exit(_process.default.close)
        return _process.default


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
        log_sink: told of each line that user code prints or logs in a call.
        options: what the runner's class takes, when it is given by name.

    Raises:
        RunnerNotFound: no runner of that name is installed.
        TypeError: the runner takes no such option.
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

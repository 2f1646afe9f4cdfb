"""What a test shares with the chainlets it calls, which run in the same process on `inline`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds after which a test that waits in vain fails."""


class Gate:
    """Opened once, from any thread; waited for on any event loop and in any thread.

    Opening tells nobody: who waits looks again and again. A future would swallow the interrupt that
    strikes while it calls back, in a thread whose code has just said that it began.
    """

    def __init__(self) -> None:
        self._opened = threading.Event()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def open(self) -> None:
        """Let all pass that wait, and those that come."""
        self._opened.set()

    async def passed(self) -> None:
        """Wait in async code."""
        await until(self._opened.is_set)

    def pass_blocking(self) -> None:
        """Wait in a thread."""
        if not self._opened.wait(PATIENCE):
            raise TimeoutError


class Gates:
    """Gates by name, made when they are first asked for."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def __getitem__(self, name: str) -> Gate:
        return self._gates.setdefault(name, Gate())


class Running:
    """Executions of user code: how many there are, how many were at once, and how they ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = self.begun = self.cancelled = 0

    def __enter__(self) -> None:
        with self._lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self.now -= 1
            self.cancelled += kind is asyncio.CancelledError


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is looked at belongs to other threads
            await asyncio.sleep(0.001)


def renew(*shared: object) -> None:
    """Give objects that chainlets share with a test the state that they began with."""
    for each in shared:
        vars(each).update(vars(type(each)()))

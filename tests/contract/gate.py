"""A gate between a test and the chainlets it calls, which run in the same process on `inline`."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

PATIENCE = 20.0
"""Seconds after which a test that waits in vain fails."""


class Gate:
    """Opened once, from any thread; waited for on any event loop and in any thread."""

    def __init__(self) -> None:
        self._opened: Future[None] = Future()

    @property
    def is_open(self) -> bool:
        return self._opened.done()

    def open(self) -> None:
        """Let all pass that wait, and those that come."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def passed(self) -> None:
        """Wait in async code."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(asyncio.wrap_future(self._opened))

    def pass_blocking(self) -> None:
        """Wait in a thread."""
        self._opened.result(PATIENCE)


class Gates:
    """Gates by name, made when they are first asked for."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def __getitem__(self, name: str) -> Gate:
        return self._gates.setdefault(name, Gate())

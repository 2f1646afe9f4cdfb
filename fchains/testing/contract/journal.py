"""What the contract's chainlets note down in their replica, for tests to read through calls."""

from __future__ import annotations

import asyncio


class Journal:
    """Notes of one replica; adding works from any thread."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._added = asyncio.Event()

    def add(self, note: str) -> None:
        """Note something down."""
        self.notes.append(note)
        self._loop.call_soon_threadsafe(self._wake)

    async def wait_for(self, note: str) -> None:
        """Come back once the note is there."""
        while note not in self.notes:
            await self._added.wait()

    def _wake(self) -> None:
        self._added.set()
        self._added = asyncio.Event()

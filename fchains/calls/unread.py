"""Streams that nobody reads on, which must not hold up the end of the block that they were opened in."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

from fchains.calls.sources import StreamBuffer

PATIENCE = 1.0
"""Seconds in which a reader has to take an item that waits for it, once the block has been left."""


class OpenStreams:
    """The streams opened through one session, as long as somebody holds them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buffers: weakref.WeakSet[StreamBuffer[Any]] = weakref.WeakSet()

    def add(self, buffer: StreamBuffer[Any]) -> None:
        """Note a stream down; from any thread."""
        with self._lock:
            self._buffers.add(buffer)

    async def cancel_unread(self, patience: float = PATIENCE) -> None:
        """Cancel each stream whose reader has stopped: its writer would wait for it for ever.

        Runs until it is cancelled.
        """
        seen: dict[StreamBuffer[Any], int] = {}
        while True:
            with self._lock:
                held = list(self._buffers)
            waiting = {buffer: buffer.taken for buffer in held if not buffer.empty}
            for buffer, taken in waiting.items():
                if seen.get(buffer) == taken and buffer.feeder is not None:
                    buffer.feeder.cancel()
            seen = waiting
            await asyncio.sleep(patience)

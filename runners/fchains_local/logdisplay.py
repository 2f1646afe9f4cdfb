"""The parent's side of its workers' output: to the chain's sink, or to its own stdout and stderr."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fchains.calls.loglines import LogSink, LogView
from fchains.calls.logview import BEAT, TextView
from fchains.config import Settings
from fchains.worker.log_aside import aside
from fchains.worker.log_lines import LineAssembler
from fchains.worker.log_records import is_ours
from fchains.worker.logs import Fragment

logger = logging.getLogger(__name__)

HIGH, LOW = 8 << 20, 2 << 20
"""Characters that wait: from the first number on no more should come, until there are but the second."""


class Display:
    """Shows the output of worker processes, on a thread of its own: a sink, or a terminal, may block.

    What fchains itself logged in a worker is logged here.

    Args:
        sink: gets the lines; None to print them.
        on_full: told True when so much waits that the workers should, and False afterwards; from any
            thread, and must not block.
    """

    def __init__(self, sink: LogSink | None, on_full: Callable[[bool], None] = lambda full: None) -> None:
        sink = sink or TextView(color=Settings.from_env(os.environ).color)
        self._view = sink if isinstance(sink, LogView) else None
        self._lines = LineAssembler(sink)
        self._on_full = on_full
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._waiting = 0
        self._full = False
        self._thread: threading.Thread | None = None
        self._closed = False

    def show(self, fragments: Sequence[Fragment]) -> None:
        """Take fragments, those of a replica in order."""
        self._count(sum(len(fragment.text) for fragment in fragments))
        self._put(partial(self._feed, fragments))

    def finish(self, replica: str) -> None:
        """A replica is gone, and its last fragments have come."""
        self._put(partial(self._lines.finish_replica, replica))

    async def aclose(self, patience: float = 5.0) -> None:
        """Show all that has come; a sink that takes longer is left behind.

        Args:
            patience: seconds.
        """
        before, self._closed = self._closed, True
        if before or self._thread is None:
            return
        loop, shown = asyncio.get_running_loop(), asyncio.Event()
        self._queue.put(partial(self._end, partial(_tell, loop, shown)))
        self._queue.put(None)
        try:
            await asyncio.wait_for(shown.wait(), patience)
        except TimeoutError:
            logger.warning("some output of replicas was not shown: its receiver takes too long")

    def _put(self, work: Callable[[], object]) -> None:
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fchains-output", daemon=True)
            self._thread.start()
        self._queue.put(work)

    def _run(self) -> None:
        moved = False
        while True:
            try:
                work = self._queue.get(timeout=BEAT if moved else None)
            except queue.Empty:
                moved = False
            else:
                if work is None:
                    return
                moved = self._view is not None
                work()
            if self._view is not None:
                self._view.refresh()

    def _end(self, then: Callable[[], None]) -> None:
        self._lines.finish_all()
        if self._view is not None:
            self._view.hide()
        then()

    def _feed(self, fragments: Iterable[Fragment]) -> None:
        for fragment in fragments:
            if is_ours(fragment.logger):
                self._log(fragment)
            else:
                self._lines.feed(fragment)
            self._count(-len(fragment.text))

    def _log(self, fragment: Fragment) -> None:
        if self._view is not None:
            self._view.hide()
        level = logging.getLevelNamesMapping().get(fragment.stream, logging.WARNING)
        aside(partial(logging.getLogger(fragment.logger).log, level, "%s"), fragment.text)

    def _count(self, more: int) -> None:
        with self._lock:
            self._waiting += more
            full = self._waiting > (LOW if self._full else HIGH)
            if full is not self._full:
                self._full = full
                self._on_full(full)  # with the lock, so that the last word comes last


def _tell(loop: asyncio.AbstractEventLoop, shown: asyncio.Event) -> None:
    if not loop.is_closed():  # whoever waited no longer does
        loop.call_soon_threadsafe(shown.set)

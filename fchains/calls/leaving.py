"""What is to be done when the process ends, while it can still do it."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Container

logger = logging.getLogger(__name__)


def at_exit(function: Callable[[], object]) -> None:
    """Run a function at the end of the process; what is registered later runs earlier.

    It runs before the executors of threads are shut down, where a teardown can still use
    `asyncio.to_thread` and resolve host names; but not while threads of the user's go on and may
    make calls. Then it is `atexit`'s turn, which waits for them and comes after the executors' end.
    """
    import concurrent.futures.thread as executors  # registers its own end, which has to come after ours

    leaving = _Leaving(function, getattr(executors, "_threads_queues", ()))
    atexit.register(leaving.last)
    register = getattr(threading, "_register_atexit", None)  # there since 3.9: executors need it too
    if register is not None and threading.main_thread().is_alive():
        register(leaving.early)


class _Leaving:
    """A function that is run once, as early as it may."""

    def __init__(self, function: Callable[[], object], pooled: Container[object]) -> None:
        self._function = function
        self._pooled = pooled
        self._done = False

    def early(self) -> None:
        if not any(self._goes_on(thread) for thread in threading.enumerate()):
            self.last()

    def last(self) -> None:
        if self._done:
            return
        self._done = True
        try:
            self._function()
        except Exception:
            logger.exception("%r failed at the end of the process", self._function)

    def _goes_on(self, thread: threading.Thread) -> bool:
        return not thread.daemon and thread is not threading.main_thread() and thread not in self._pooled

"""One event loop in a thread of its own, which every call of this process is handled on.

Calls come from several threads and event loops, one after another or at once; their state
machines, timers and channels live here, so that none of them needs a lock.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LEAVE_SECONDS = 1.0
"""How long tasks get to end in when their loop is closed."""


class Portal:
    """A running event loop in a daemon thread, started on first use."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    @property
    def here(self) -> bool:
        """Whether the calling code runs in the portal's thread."""
        return threading.get_ident() == self._thread.ident

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Run a function on the loop, soon, in the order of posting; from any thread.

        A loop that has been closed runs nothing any more, and nobody waits for what it would say.
        """
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *args)

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop; from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self, *, wait: bool = True) -> None:
        """Cancel what still runs on the loop, end it, and wait for its thread."""
        self.post(lambda: self.loop.create_task(self._finish()))
        if wait and not self.here:
            self._thread.join(timeout=2 * LEAVE_SECONDS)

    async def _finish(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            if not task.cancelling():  # a second time would break off what it does to end
                task.cancel()
        if others:
            await asyncio.wait(others, timeout=LEAVE_SECONDS)
        self.loop.stop()


class _Shared:
    """A portal of this process; a forked child makes its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.portal: Portal | None = None

    def get(self) -> Portal:
        if self.portal is None:
            with self.lock:
                if self.portal is None:
                    self.portal = Portal(self.name)
        return self.portal

    def forget(self) -> None:
        self.lock = threading.Lock()
        self.portal = None


_calls = _Shared("fchains-calls")
_user_code = _Shared("fchains-user-code")
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calls.forget)
    os.register_at_fork(after_in_child=_user_code.forget)


def portal() -> Portal:
    """The portal of this process, on which nothing blocks."""
    return _calls.get()


def user_portal() -> Portal:
    """The loop for async user code of sync callers: what blocks there holds no call up."""
    return _user_code.get()

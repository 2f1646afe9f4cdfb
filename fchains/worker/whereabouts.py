"""Where a thread's code is right now, for messages about code that does not stop."""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

from fchains.origin import is_machinery

_GLUE = ("asyncio.", "threading", "concurrent.", "contextlib", "selectors", "queue")


def of_thread(thread_id: int) -> str:
    """The innermost line of user code in a thread, as ` at file:line in function`; "" if unknown."""
    frame: FrameType | None = sys._current_frames().get(thread_id)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and _is_glue(frame):
        frame = frame.f_back
    return _show(frame)


def of_task(task: asyncio.Task[Any]) -> str:
    """The innermost line of user code that a task waits in, as ` at file:line in function`."""
    # `Task.get_stack` ends at the outermost coroutine: what that awaits is where the code is.
    innermost: FrameType | None = None
    waiting: object = task.get_coro()
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None and not _is_glue(frame):
            innermost = frame
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)
    return _show(innermost)


def _show(frame: FrameType | None) -> str:
    if frame is None:
        return ""
    return f" at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _is_glue(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return is_machinery(module) or module.startswith(_GLUE)

"""A watch on an event loop that says which line blocks it.

While calls are active, a thread asks the loop for an answer a few times per threshold. When none comes
in time it looks at the stack of the loop's thread, which still is where the blocking is. With no active
call the thread sleeps without a timeout, and the loop is not woken.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from fchains.origin import is_machinery

logger = logging.getLogger(__name__)

_BEATS_PER_THRESHOLD = 5


@dataclass(frozen=True, slots=True)
class Blockage:
    """A callback that holds the event loop, or held it when `ended`.

    Attributes:
        duration: seconds for which it blocked at least.
        frames: the stack inside the callback, innermost last.
        file: where it is: the innermost of the frames that are the user's own, else an installed package's.
    """

    duration: float
    ended: bool
    frames: tuple[traceback.FrameSummary, ...]
    file: str
    line: int
    function: str


class LoopWatch:
    """Reports what blocks an event loop; made, entered and left on its thread.

    Args:
        report: called on the watching thread, once when the threshold is exceeded and once at the end.
        threshold: seconds.
    """

    def __init__(self, report: Callable[[Blockage], None], *, threshold: float = 0.1) -> None:
        self._report = report
        self._threshold = threshold
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._clock = _processor_clock()
        self._active = 0
        self._asked_at: float | None = None  # None: the loop has answered
        self._answered = threading.Event()
        self._armed = threading.Event()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def enter(self) -> None:
        """Counts one more active call."""
        self._active += 1
        if not self._armed.is_set():
            self._armed.set()
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="fchains-loop-watch", daemon=True)
                self._watcher.start()

    def exit(self) -> None:
        """Counts one active call less."""
        self._active -= 1

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *error: object) -> None:
        self.exit()

    def blocked(self) -> Blockage | None:
        """What blocks the loop now, and for how long; None when nothing did for the threshold. Any thread."""
        asked_at = self._asked_at
        duration = 0.0 if asked_at is None else time.monotonic() - asked_at
        return self._look(duration) if duration >= self._threshold else None

    def close(self) -> None:
        """Ends the watching."""
        self._closed.set()
        self._answered.set()
        self._armed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._threshold / _BEATS_PER_THRESHOLD):
            if self._active == 0:
                self._armed.clear()
                if self._active == 0:  # else a call came between the two lines, and saw it armed
                    self._armed.wait()
                    continue
                self._armed.set()
            try:
                self._beat()
            except RuntimeError:  # the loop is closed
                return

    def _beat(self) -> None:
        self._answered.clear()
        worked = self._processor_time()
        asked_at = waiting_since = self._asked_at = time.monotonic()
        self._loop.call_soon_threadsafe(self._answer)
        blockage: Blockage | None = None
        while not self._answered.wait(self._threshold):
            if self._loop.is_closed():
                return
            if blockage is not None:
                continue
            now = time.monotonic()
            # A thread that keeps the interpreter's lock delays the watch too: only work then blames the loop.
            late = now - waiting_since > 2 * self._threshold
            waiting_since = now
            if late and self._processor_time() - worked < self._threshold:
                continue
            blockage = self._look(now - asked_at)
            if blockage:
                self._tell(blockage)
        if blockage and not self._closed.is_set():
            self._tell(replace(blockage, duration=time.monotonic() - asked_at, ended=True))

    def _answer(self) -> None:
        self._asked_at = None
        self._answered.set()

    def _processor_time(self) -> float:
        """Seconds that the loop's thread has worked; more than any limit where the system does not say."""
        try:
            return math.inf if self._clock is None else time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return math.inf

    def _tell(self, blockage: Blockage) -> None:
        try:
            self._report(blockage)
        except Exception:
            logger.exception("a blocked event loop could not be reported")

    def _look(self, duration: float) -> Blockage | None:
        stacks = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  there is no other way
        frames = _callback_frames(stacks.get(self._loop_thread)) if self._loop.is_running() else []
        if not frames:
            return None  # late, but not because of a callback: the machine was busy, or another thread
        culprit = _culprit(frames)
        if culprit is None:
            return None  # no user code is in the callback: another thread holds the interpreter lock
        summaries = traceback.StackSummary.extract([(frame, frame.f_lineno) for frame in reversed(frames)])
        code = culprit.f_code
        return Blockage(
            duration, False, tuple(summaries), code.co_filename, culprit.f_lineno, code.co_qualname
        )


def _processor_clock() -> int | None:
    """The clock of this thread's work. Asking for that of a thread that has ended reads freed memory."""
    return time.pthread_getcpuclockid(threading.get_ident()) if sys.platform == "linux" else None


def _callback_frames(frame: FrameType | None) -> list[FrameType]:
    """The frames of the callback that a loop runs, innermost first; empty when it waits for events."""
    frames: list[FrameType] = []
    while frame is not None and not _is_loop(frame):
        frames.append(frame)
        frame = frame.f_back
    if frames and _module(frames[-1]) == "selectors":
        return []
    return frames


def _is_loop(frame: FrameType) -> bool:
    module = _module(frame)
    return module == "asyncio.runners" or (
        module == "asyncio.base_events"
        and frame.f_code.co_name in {"_run_once", "run_forever", "run_until_complete"}
    )


def _culprit(frames: Sequence[FrameType]) -> FrameType | None:
    foreign = [frame for frame in frames if not _is_ours_or_stdlib(frame)]
    own = [frame for frame in foreign if not _is_installed(frame)]
    return next(iter(own or foreign), None)


def _is_ours_or_stdlib(frame: FrameType) -> bool:
    module = _module(frame)
    return is_machinery(module) or module.partition(".")[0] in sys.stdlib_module_names


def _is_installed(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    return "site-packages" in path or "dist-packages" in path


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))

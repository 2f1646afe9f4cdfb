from __future__ import annotations

import asyncio
import ctypes
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from inspect import currentframe
from typing import Any, cast

import pytest

from fchains.worker.blockage import Blockage, LoopWatch

LIMIT = 10.0  # seconds after which a test that waits for a thread fails
THRESHOLD = 0.03
BLOCKING = 5 * THRESHOLD  # long enough to be reported on a busy machine too
WAITING = 3 * THRESHOLD

only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread's work is not known")


class Reports:
    """Receives reports on the watching thread and hands them to the test."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Blockage] = queue.SimpleQueue()

    def __call__(self, blockage: Blockage) -> None:
        self._queue.put(blockage)

    def next(self) -> Blockage:
        """Waits for a report: on the loop's thread this is what blocks the loop."""
        return self._queue.get(timeout=LIMIT)  # the blocking line

    def empty(self) -> bool:
        return self._queue.empty()


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def watch(reports: Reports) -> AsyncIterator[LoopWatch]:
    watch = LoopWatch(reports, threshold=THRESHOLD)
    yield watch
    watch.close()


def line() -> int:
    """The caller's line."""
    frame = currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def caller(path: str, module: str) -> Callable[..., object]:
    """A function of some other module that calls another."""
    space: dict[str, Any] = {"__name__": module}
    exec(compile("def call(function, argument):\n    function(argument)\n", path, "exec"), space)
    return cast("Callable[..., object]", space["call"])


async def turn(times: int = 3) -> None:
    """Lets the loop run other callbacks."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_a_blocked_loop_is_reported_with_its_line_while_blocked_and_again_when_it_ends(
    watch: LoopWatch, reports: Reports
) -> None:
    with watch:
        first = reports.next()
        await turn()
        last = reports.next()
    assert not first.ended
    assert first.duration >= THRESHOLD
    assert (first.file, first.function) == (__file__, "Reports.next")
    assert first.frames[-1].line == "return self._queue.get(timeout=LIMIT)  # the blocking line"
    assert first.frames[-1].lineno == first.line
    assert first.frames[-2].name.startswith("test_a_blocked_loop")
    assert last.ended
    assert last.duration > first.duration
    assert (last.file, last.line, last.frames) == (first.file, first.line, first.frames)
    assert reports.empty()


async def test_a_stuck_loop_can_be_asked_about_from_another_thread(
    watch: LoopWatch, reports: Reports
) -> None:
    go_on = threading.Event()
    asked: list[Blockage | None] = []

    def other_thread() -> None:
        reports.next()
        asked.append(watch.blocked())
        asked.append(watch.blocked())
        go_on.set()

    other = threading.Thread(target=other_thread)
    other.start()
    with watch:
        go_on.wait(LIMIT)
        where = line() - 1
        await turn()
        assert watch.blocked() is None
    other.join(LIMIT)
    first, second = asked
    assert first is not None
    assert second is not None
    assert THRESHOLD <= first.duration < second.duration
    assert (first.file, first.line) == (__file__, where)  # not the line in threading that waits


async def test_a_loop_that_waits_is_not_blocked(watch: LoopWatch, reports: Reports) -> None:
    with watch:
        await asyncio.sleep(WAITING)
    assert reports.empty()
    assert watch.blocked() is None


async def test_many_short_callbacks_are_not_a_blockage(reports: Reports) -> None:
    watch = LoopWatch(reports, threshold=0.1)
    with watch:
        end = time.monotonic() + 0.15
        while time.monotonic() < end:
            await turn()
    watch.close()
    assert reports.empty()


async def test_without_an_active_call_nothing_is_watched_and_the_loop_is_not_woken(
    watch: LoopWatch, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    asked = threading.Semaphore(0)
    original: Callable[..., asyncio.Handle] = loop.call_soon_threadsafe

    def counting(*arguments: Any, **options: Any) -> asyncio.Handle:
        asked.release()
        return original(*arguments, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
    time.sleep(WAITING)  # noqa: ASYNC251
    assert not asked.acquire(blocking=False)
    with watch:
        while not asked.acquire(blocking=False):
            await turn()
    armed: threading.Event = vars(watch)["_armed"]
    while armed.is_set():
        await turn()
    while asked.acquire(blocking=False):
        pass
    time.sleep(WAITING)  # noqa: ASYNC251
    assert not asked.acquire(blocking=False)
    assert reports.empty()
    with watch:  # and the next call is watched again
        assert asked.acquire(timeout=LIMIT)


async def test_nested_calls_are_watched_until_the_last_one_ends(watch: LoopWatch, reports: Reports) -> None:
    with watch:
        with watch:
            pass
        assert not reports.next().ended


async def test_a_line_of_the_users_own_is_named_rather_than_one_of_a_package(
    watch: LoopWatch, reports: Reports
) -> None:
    block = caller("/somewhere/site-packages/package.py", "package")
    ended = threading.Event()
    with watch:
        block(ended.wait, BLOCKING)
        where = line() - 1
        blockage = reports.next()
    assert (blockage.file, blockage.line) == (__file__, where)
    assert "/somewhere/site-packages/package.py" in [frame.filename for frame in blockage.frames]


@pytest.mark.parametrize(
    ("path", "module"),
    [("/somewhere/site-packages/package.py", "package")],
)
async def test_without_one_the_next_best_line_is_named(
    watch: LoopWatch, reports: Reports, path: str, module: str
) -> None:
    with watch:
        asyncio.get_running_loop().call_soon(caller(path, module), time.sleep, BLOCKING)
        await turn()
        blockage = reports.next()
    assert (blockage.file, blockage.line, blockage.function) == (path, 2, "call")
    assert all("base_events" not in frame.filename for frame in blockage.frames)


async def test_a_late_answer_is_no_blockage_when_no_callback_runs(
    watch: LoopWatch, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    def lost(*_: object) -> None:
        """The answer never comes."""

    monkeypatch.setattr(loop, "call_soon_threadsafe", lost)
    with watch:
        await asyncio.sleep(WAITING)
    assert reports.empty()


@pytest.mark.slow
@only_on_linux
async def test_another_thread_that_keeps_the_interpreters_lock_is_no_blockage(
    watch: LoopWatch, reports: Reports
) -> None:
    keep_lock = ctypes.PyDLL(None).usleep  # unlike functions of a CDLL, it does not release the lock
    with watch:
        for _ in range(4):
            other = threading.Thread(target=keep_lock, args=(int(WAITING * 1e6),))
            other.start()
            while other.is_alive():
                sum(range(10_000))
                await asyncio.sleep(0)
    assert reports.empty()


@only_on_linux
async def test_a_callback_that_works_without_releasing_the_lock_is_a_blockage(
    watch: LoopWatch, reports: Reports
) -> None:
    with watch:
        end = time.monotonic() + LIMIT
        while reports.empty() and time.monotonic() < end:
            sum(range(2_000_000))
        where = line() - 1
        blockage = reports.next()
    assert blockage.file == __file__
    assert blockage.line in {where - 1, where}


async def test_a_report_that_fails_is_logged_and_the_watch_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    reported = threading.Semaphore(0)

    def report(_: Blockage) -> None:
        reported.release()
        raise ValueError("report")

    watch = LoopWatch(report, threshold=THRESHOLD)
    with watch:
        for _ in range(2):
            assert reported.acquire(timeout=LIMIT)
            await turn()
            assert reported.acquire(timeout=LIMIT)
    watch.close()
    assert "could not be reported" in caplog.text


async def test_closing_ends_the_watching_thread_also_while_the_loop_is_blocked(reports: Reports) -> None:
    watch = LoopWatch(reports, threshold=THRESHOLD)
    watch.close()  # before it has a thread
    watch = LoopWatch(reports, threshold=THRESHOLD)
    with watch:
        assert not reports.next().ended
        watch.close()
        thread: threading.Thread = vars(watch)["_watcher"]
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert reports.empty()


def test_the_thread_ends_when_its_loop_is_closed(reports: Reports) -> None:
    async def leave_active() -> LoopWatch:
        watch = LoopWatch(reports, threshold=THRESHOLD)
        watch.enter()
        return watch

    thread: threading.Thread = vars(asyncio.run(leave_active()))["_watcher"]
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert reports.empty()

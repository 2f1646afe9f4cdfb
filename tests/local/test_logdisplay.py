from __future__ import annotations

import asyncio
import logging
import os
import pty
import threading
import tty
from collections.abc import Callable

import pytest

from fchains.calls.loglines import LogLine
from fchains.calls.logview import TextView
from fchains.worker.logs import Fragment, Owner
from fchains_local.logdisplay import HIGH, Display

ONE = Owner("greet", "greet-0", "call-1")
OTHER = Owner("greet", "greet-1", "call-2")


def printed(text: str, owner: Owner = ONE, stream: str = "stdout") -> Fragment:
    return Fragment(owner, stream, text)


async def test_a_sink_gets_the_lines_of_all_replicas_and_begun_ones_when_those_are_gone() -> None:
    lines: list[LogLine] = []
    display = Display(lines.append)
    display.show([printed("one\ntw"), printed("x\nbegun", OTHER)])
    display.show([printed("o\nrest")])
    display.finish("greet-1")
    await display.aclose()
    assert [(line.replica, line.text) for line in lines] == [
        ("greet-0", "one"),
        ("greet-1", "x"),
        ("greet-0", "two"),
        ("greet-1", "begun"),
        ("greet-0", "rest"),
    ]


async def test_without_a_sink_lines_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    display = Display(None)
    display.show(
        [printed("out\n"), printed("10%\r20%\r", stream="stderr"), printed("err\n", stream="stderr")]
    )
    await display.aclose()
    assert capsys.readouterr() == ("greet-0 | out\n", "greet-0 | err\n")


async def test_a_sink_that_blocks_holds_up_nobody_but_the_output() -> None:
    go, full, free = threading.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    lines: list[LogLine] = []

    def sink(line: LogLine) -> None:
        go.wait(10)
        lines.append(line)

    def on_full(is_full: bool) -> None:
        loop.call_soon_threadsafe((full if is_full else free).set)

    display = Display(sink, on_full)
    for _ in range(HIGH // 1_000_000 + 1):
        display.show([printed("x" * 1_000_000 + "\n")])
    await asyncio.wait_for(full.wait(), 10)
    assert not free.is_set()
    go.set()
    await asyncio.wait_for(free.wait(), 10)
    await display.aclose()
    assert sum(len(line.text) for line in lines) >= HIGH


async def test_a_sink_that_never_returns_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()

    def sink(line: LogLine) -> None:
        go.wait(10)

    display = Display(sink)
    display.show([printed("x\n")])
    await display.aclose(patience=0.01)
    assert "some output of replicas was not shown" in caplog.text
    go.set()


async def test_a_closed_display_takes_nothing_more() -> None:
    lines: list[LogLine] = []
    display = Display(lines.append)
    await display.aclose()
    display.show([printed("late\n")])
    display.finish("greet-0")
    await display.aclose()
    assert lines == []


async def test_what_fchains_logged_in_a_worker_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[LogLine] = []
    display = Display(lines.append)
    display.show(
        [Fragment(ONE, "ERROR", "100 % stuck", "fchains.worker"), Fragment(ONE, "INFO", "x", "user")]
    )
    await display.aclose()
    assert [line.text for line in lines] == ["x"]
    assert caplog.record_tuples == [("fchains.worker", logging.ERROR, "100 % stuck")]


async def until(read: Callable[[], bytes], end: bytes) -> bytes:
    """What comes until it ends so."""
    seen = b""
    async with asyncio.timeout(10):
        while not seen.endswith(end):
            seen += await asyncio.to_thread(read)
    return seen


async def test_a_progress_bar_lives_at_the_bottom_of_a_terminal() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)

    def read() -> bytes:
        return os.read(master, 1000)

    with open(slave, "w", encoding="utf-8") as stream:  # noqa: ASYNC230, PTH123
        display = Display(TextView(lambda: stream, lambda: stream, color=False))
        display.show([printed("\r10%", stream="stderr")])
        assert await until(read, b"\rgreet-0 | 10%\x1b[K")
        display.show([printed("\r20%", stream="stderr"), printed("a line\n")])
        shown = await until(read, b"\rgreet-0 | 20%\x1b[K")
        assert b"\r\x1b[Kgreet-0 | a line\n" in shown
        display.show([printed("\r    \r", stream="stderr")])
        await display.aclose()
        assert await until(read, b"\r\x1b[K")
    os.close(master)


async def test_a_stdout_that_nobody_reads_breaks_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as gone:  # noqa: ASYNC230, PTH123
        display = Display(TextView(lambda: gone, lambda: gone))
        display.show([printed("lost\n")])
        await display.aclose()

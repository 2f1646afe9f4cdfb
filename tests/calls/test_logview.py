from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TextIO

import pytest

from fchains.calls.loglines import LogLine
from fchains.calls.logview import BEAT, TextView, is_terminal

WIPE = "\r\x1b[K"
END = "\x1b[K"


class Terminal:
    """A pseudo terminal of 40 columns, and what was written to it."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        self._slave = slave
        self.stream = open(slave, "w", encoding="utf-8")  # noqa: SIM115, PTH123

    def new(self) -> str:
        """What came since the last look."""
        os.write(self._slave, b"\x04")  # what was written comes a little later
        read = b""
        while not read.endswith(b"\x04"):
            read += os.read(self._master, 100_000)
        return read[:-1].decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self._master)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self) -> None:
        self.now += BEAT


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def line(
    text: str,
    stream: str = "stdout",
    *,
    replica: str = "greet-0",
    chainlet: str = "greet",
    call: str = "1",
    logger: str = "",
) -> LogLine:
    return LogLine(0.0, chainlet, replica, call, stream, text, logger)


def view_of(
    out: TextIO, err: TextIO | None = None, clock: Clock | None = None, *, color: bool | None = None
) -> TextView:
    return TextView(lambda: out, lambda: err or out, clock=clock or Clock(), color=color)


def test_lines_go_to_the_streams_of_the_moment_with_the_name_of_the_replica(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = TextView()
    view(line("said"))
    view(line("shouted", "stderr"))
    view(line("logged", "WARNING", logger="user.module"))
    captured = capsys.readouterr()
    assert captured.out == "greet-0 | said\n"
    assert captured.err == "greet-0 | shouted\ngreet-0 | WARNING user.module: logged\n"


@pytest.mark.parametrize(
    ("replica", "chainlet", "shown"),
    [
        ("transcribe-12", "transcribe", "transcribe-12 | x\n"),
        ("a-b-0", "a-b", "a-b-0 | x\n"),
        ("speech-0", "transcribe", "speech-0 transcribe | x\n"),
    ],
)
def test_the_chainlet_is_named_where_the_replica_has_another_name(
    replica: str, chainlet: str, shown: str
) -> None:
    out = io.StringIO()
    view_of(out)(line("x", replica=replica, chainlet=chainlet))
    assert out.getvalue() == shown


def test_without_a_terminal_bars_are_not_drawn() -> None:
    out, clock = io.StringIO(), Clock()
    view = view_of(out, clock=clock)
    view.begun(line("10%"))
    clock.tick()
    view.refresh()
    view.hide()
    view(line("\x1b[Adone"))
    assert out.getvalue() == "greet-0 | \x1b[Adone\n"


def test_a_bar_is_drawn_in_place_and_stays_below_the_lines(terminal: Terminal) -> None:
    clock = Clock()
    view = view_of(terminal.stream, clock=clock, color=False)
    view.begun(line("10%", "stderr"))
    view.refresh()
    assert terminal.new() == f"\rgreet-0 | 10%{END}"
    clock.tick()
    view.begun(line("20%", "stderr"))
    view.refresh()
    assert terminal.new() == f"\rgreet-0 | 20%{END}"
    view(line("a line"))
    assert terminal.new() == f"{WIPE}greet-0 | a line\n"
    clock.tick()
    view.refresh()
    assert terminal.new() == f"\rgreet-0 | 20%{END}"
    view(line("done", "stderr"))
    assert terminal.new() == f"{WIPE}greet-0 | done\n"
    clock.tick()
    view.refresh()
    assert terminal.new() == ""


def test_a_bar_is_drawn_twenty_times_a_second_at_most(terminal: Terminal) -> None:
    clock = Clock()
    view = view_of(terminal.stream, clock=clock)
    for percent in range(100):
        clock.now = percent / 1000
        view.begun(line(f"{percent}%"))
        view.refresh()
    clock.now = 0.2
    view.refresh()
    assert terminal.new().count("\r") == 3


def test_of_several_bars_the_one_that_moved_last_is_shown(terminal: Terminal) -> None:
    clock = Clock()
    view = view_of(terminal.stream, clock=clock)

    def shown() -> str:
        clock.tick()
        view.refresh()
        return terminal.new().strip("\r").removesuffix(END)

    view.begun(line("one", replica="greet-0"))
    view.begun(line("two", replica="greet-1"))
    assert shown() == "greet-1 | two"
    view.begun(line("one again", replica="greet-0"))
    assert shown() == "greet-0 | one again"
    view.begun(line("", replica="greet-0"))
    assert shown() == "greet-1 | two"
    view.begun(line("", replica="greet-1"))
    assert shown() == ""
    assert shown() == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 50, "x" * 29),
        ("\x1b[31mred\x1b[0m\x1b[A\x1b]0;title\x07 bar", "red bar"),
        ("日本" * 20, "日本" * 7),
        ("e\u0301" * 40, "e\u0301" * 29),
        ("a\tb\x07\x00", "a b"),
    ],
)
def test_a_bar_is_cut_so_that_it_fits_one_row(terminal: Terminal, text: str, shown: str) -> None:
    view = view_of(terminal.stream)
    view.begun(line(text))
    view.refresh()
    assert terminal.new() == f"\rgreet-0 | {shown}{END}"


def test_a_line_keeps_its_colors_and_moves_no_cursor_on_a_terminal(terminal: Terminal) -> None:
    view_of(terminal.stream, color=False)(line("\x1b[A\x1b[31mred\x1b[2K"))
    assert terminal.new() == "greet-0 | \x1b[31mred\x1b[0m\n"


def test_somebody_else_may_print_where_a_bar_was(terminal: Terminal) -> None:
    clock = Clock()
    view = view_of(terminal.stream, clock=clock)
    view.begun(line("10%"))
    view.refresh()
    terminal.new()
    view.hide()
    assert terminal.new() == WIPE
    view.hide()
    clock.tick()
    view.refresh()
    assert terminal.new() == f"\rgreet-0 | 10%{END}"


def test_a_bar_on_one_stream_gives_way_to_a_line_on_the_other(terminal: Terminal) -> None:
    other = Terminal()
    view = view_of(other.stream, terminal.stream, color=False)
    view.begun(line("10%", "stderr"))
    view.refresh()
    terminal.new()
    view(line("a line"))
    assert (terminal.new(), other.new()) == (WIPE, "greet-0 | a line\n")
    other.close()


def test_a_line_in_a_file_leaves_the_bar_on_the_terminal(terminal: Terminal) -> None:
    out = io.StringIO()
    view = view_of(out, terminal.stream)
    view.begun(line("10%", "stderr"))
    view.refresh()
    terminal.new()
    view(line("a line"))
    assert (terminal.new(), out.getvalue()) == ("", "greet-0 | a line\n")


def test_names_are_painted_on_terminals_and_where_one_forces_it(terminal: Terminal) -> None:
    view_of(terminal.stream)(line("x", "ERROR", logger="user"))
    painted = terminal.new()
    assert painted.startswith("\x1b[")
    assert "\x1b[31mERROR\x1b[0m user: x\n" in painted
    out = io.StringIO()
    view_of(out, color=True)(line("x", "ERROR", logger="user"))
    assert out.getvalue() == painted


def test_a_stream_that_nobody_reads_breaks_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as gone:  # noqa: PTH123 (nothing may be left to be written here)
        view = view_of(gone)
        view(line("lost"))
        view(line("x" * 100_000))
    view(line("into a closed file"))
    assert not is_terminal(gone)


def test_a_process_without_stdout_shows_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with redirect_stdout(None):
        TextView()(line("nowhere"))
        TextView()(line("somewhere", "stderr"))
    assert capsys.readouterr().err == "greet-0 | somewhere\n"


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    read, write = os.pipe()
    with open(write, "w", encoding="ascii") as out:  # noqa: PTH123
        out.write("before\n")
        view_of(out)(line("é"))
    assert os.read(read, 100) == b"before\ngreet-0 | \\xe9\n"
    os.close(read)


def test_what_stands_in_for_a_terminal_is_none(terminal: Terminal) -> None:
    class Redirected(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    assert is_terminal(terminal.stream)
    assert not is_terminal(Redirected(io.BytesIO()))
    assert not is_terminal(sys.stdin)

"""Log lines as text for people, on a terminal with the progress bar that moved last."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import time
import unicodedata
import zlib
from collections.abc import Callable
from typing import TextIO

from fchains.calls.loglines import LogLine, LogView

BEAT = 0.05
"""Seconds from one drawing of a progress bar to the next, at least."""

_PRINTED = ("stdout", "stderr")
_WIPE = "\r\x1b[K"
_PLAIN = "\x1b[0m"
_COLORS = (36, 32, 35, 34, 96, 92, 95, 94)
_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")

_Key = tuple[str, str, str, str]
_Stream = Callable[[], TextIO | None]


class TextView(LogView):
    """Prints each line after the name of its replica, as `transcribe-0 | text`.

    Args:
        out: the stream for what was printed to stdout, looked up for each line.
        err: the stream for everything else.
        color: paint the names; by default on terminals.
        clock: seconds.
    """

    def __init__(
        self,
        out: _Stream = lambda: sys.stdout,
        err: _Stream = lambda: sys.stderr,
        *,
        color: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._err = err
        self._color = color
        self._clock = clock
        self._lock = threading.RLock()
        self._bars: dict[_Key, LogLine] = {}  # the one that moved last is the last
        self._drawn: TextIO | None = None
        self._due = False
        self._drawn_at = float("-inf")

    def __call__(self, line: LogLine) -> None:
        with self._lock:
            self._bars.pop(_key(line), None)
            stream = self._stream(line)
            if stream is None:
                return
            live = is_terminal(stream)
            text = self._prefix(line, stream) + (_without_movement(line.text) if live else line.text)
            if live and self._drawn is not None:
                text = self._take_bar(stream) + text
            _write(stream, f"{text}\n")

    def begun(self, line: LogLine) -> None:
        with self._lock:
            self._bars.pop(_key(line), None)
            if line.text:
                self._bars[_key(line)] = line
            self._due = True

    def refresh(self) -> None:
        with self._lock:
            now = self._clock()
            if self._due and now - self._drawn_at >= BEAT:
                self._due = False
                self._drawn_at = now
                self._draw()

    def hide(self) -> None:
        with self._lock:
            if self._drawn is not None:
                _write(self._drawn, self._take_bar(self._drawn))

    def _draw(self) -> None:
        for line in reversed(self._bars.values()):
            stream = self._stream(line)
            if stream is not None and is_terminal(stream):
                text = _CODE.sub("", self._prefix(line, None) + line.text)
                _write(stream, f"\r{_cut(text, _columns(stream) - 1)}\x1b[K")
                self._drawn = stream
                return
        self.hide()

    def _take_bar(self, stream: TextIO) -> str:
        """What wipes the bar off the terminal; it is to be drawn again."""
        drawn, self._drawn, self._due = self._drawn, None, bool(self._bars)
        if drawn is not None and drawn is not stream:
            _write(drawn, _WIPE)
            return ""
        return _WIPE

    def _stream(self, line: LogLine) -> TextIO | None:
        return self._out() if line.stream == "stdout" else self._err()

    def _prefix(self, line: LogLine, stream: TextIO | None) -> str:
        """What stands before the text; in colors if the stream is for them."""
        name = line.replica
        if name.rpartition("-")[0] != line.chainlet:
            name = f"{name} {line.chainlet}"
        level = "" if line.stream in _PRINTED else line.stream
        if stream is not None and (is_terminal(stream) if self._color is None else self._color):
            name = f"\x1b[{_COLORS[zlib.crc32(line.replica.encode()) % len(_COLORS)]}m{name}{_PLAIN}"
            level = level and f"\x1b[{_level_color(level)}m{level}{_PLAIN}"
        return f"{name} | {level} {line.logger}: " if level else f"{name} | "


def is_terminal(stream: TextIO) -> bool:
    """Whether it is a terminal itself, and nothing that stands in for one."""
    try:
        return type(stream) is io.TextIOWrapper and stream.isatty()
    except ValueError:  # it is closed
        return False


def _key(line: LogLine) -> _Key:
    return line.chainlet, line.replica, line.call_id, line.stream


def _level_color(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level, logging.INFO)
    return 31 if number >= logging.ERROR else 33 if number >= logging.WARNING else 2


def _without_movement(text: str) -> str:
    """Without codes that move the cursor, which is not where the writer believes it to be."""
    if "\x1b" not in text:
        return text
    return _CODE.sub(lambda code: code[0] if code[0].endswith("m") else "", text) + _PLAIN


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _cut(text: str, columns: int) -> str:
    """As much of a text as fits into so many columns."""
    if text.isascii() and text.isprintable():
        return text[:columns]
    shown, width = list[str](), 0
    for character in text.expandtabs(4):
        width += _width(character)
        if width > columns:
            break
        shown.append(character if character.isprintable() else "")
    return "".join(shown)


def _width(character: str) -> int:
    if not character.isprintable() or unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _write(stream: TextIO, text: str) -> None:
    """Print; where nobody reads any more that is no matter."""
    try:
        stream.flush()
        if type(stream) is not io.TextIOWrapper:
            stream.write(text)
            stream.flush()
            return
        # Past its buffer: what cannot be written would stay there, and fail again when the program ends.
        data = memoryview(text.encode(stream.encoding, "backslashreplace"))
        while data:
            data = data[os.write(stream.fileno(), data) :]
    except (OSError, ValueError):
        pass

"""Files and standard input that arguments name, read whole or line by line."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, TypeVar

from fchains.cli.exits import UsageError

T = TypeVar("T")

STDIN = "-"
_AHEAD = 256


class Inputs:
    """What the arguments of one command read; standard input can be had once."""

    def __init__(self) -> None:
        self._stdin_for = ""

    def read(self, path: str, what: str) -> bytes:
        """The content of a file, or of standard input for `-`.

        Args:
            path: of the file.
            what: the option that names it, for messages.
        """
        with self._open(path, what) as file:
            return _reading(file.read, path, what)

    def lines(self, path: str, what: str) -> AsyncIterator[tuple[int, bytes]]:
        """The lines of a file, or of standard input for `-`, as they come, with their numbers."""
        return _lines(self._open(path, what), path, what)

    def _open(self, path: str, what: str) -> AbstractContextManager[BinaryIO]:
        if path != STDIN:
            return _reading(lambda: Path(path).open("rb"), path, what)
        if self._stdin_for:
            raise UsageError(f"{what}: {self._stdin_for} reads standard input already; name a file")
        self._stdin_for = what
        try:
            # A reader of our own: a thread that waits in it must not hold the one of `sys.stdin` at exit.
            return open(sys.stdin.fileno(), "rb", closefd=False)
        except (OSError, ValueError):  # standard input is no descriptor
            return contextlib.nullcontext(sys.stdin.buffer)


def _reading(read: Callable[[], T], path: str, what: str) -> T:
    try:
        return read()
    except OSError as error:
        raise UsageError(f"{what}: cannot read {path!r}: {error.strerror or error}") from error


async def _lines(
    opened: AbstractContextManager[BinaryIO], path: str, what: str
) -> AsyncIterator[tuple[int, bytes]]:
    """Read in a thread that keeps nobody from exiting, as standard input may never say anything."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | Exception] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    left = threading.Event()

    def read() -> None:
        with opened as file, contextlib.suppress(RuntimeError):  # the loop has been closed
            try:
                while (line := _reading(file.readline, path, what)) and not left.is_set():
                    loop.call_soon_threadsafe(lines.put_nowait, line)
                    room.acquire()
                loop.call_soon_threadsafe(lines.put_nowait, b"")
            except UsageError as error:
                loop.call_soon_threadsafe(lines.put_nowait, error)

    threading.Thread(target=read, name="fchains-input", daemon=True).start()
    number = 0
    try:
        while line := await lines.get():
            if isinstance(line, Exception):
                raise line
            room.release()
            number += 1
            if line.strip():
                yield number, line
    finally:
        left.set()
        room.release()

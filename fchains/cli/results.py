"""Where results go, and how they are written: as text for people, or as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, TextIO, cast

from fchains.cli.exits import OutputGone, UsageError
from fchains.cli.reporting import tell
from fchains.errors import SerializationError
from fchains.wire.codec import Codec

_SCALARS = (str, int, float, bool, type(None))


class Results:
    """Writes the results of a call to standard output or to a file.

    Args:
        out: where text goes; bytes go to its buffer.
        codec: of a result, or of an item.
        as_json: write compact JSON.
    """

    def __init__(self, out: TextIO, codec: Codec[Any], *, as_json: bool) -> None:
        self._out = out
        self._codec = codec
        self._as_json = as_json

    def whole(self, value: object) -> None:
        """Write the one result of a call; None is written as JSON only."""
        if self._as_json:
            self._line(self._json(value))
        elif isinstance(value, bytes | bytearray):
            self._bytes(value)
        elif value is not None:
            self._line(self._text(value, indent=2))

    def item(self, value: object) -> None:
        """Write one of several results, on a line of its own."""
        if not self._as_json and isinstance(value, bytes | bytearray):
            self._bytes(value)
        else:
            self._line(self._json(value) if self._as_json else self._text(value, indent=None))

    def _json(self, value: object) -> str:
        return self._codec.render_json(value, what="the result").decode()

    def _text(self, value: object, indent: int | None) -> str:
        if isinstance(value, str):
            return str(value)
        try:
            plain: object = json.loads(self._json(value))
        except SerializationError:  # what has no JSON form is shown as Python shows it
            return repr(value)
        if isinstance(plain, str):
            return plain
        return json.dumps(plain, ensure_ascii=False, indent=None if _is_flat(plain) else indent)

    def _bytes(self, value: bytes | bytearray) -> None:
        if self._out.isatty():
            tell(f"{len(value)} bytes, which are not shown on a terminal: write them with --output FILE")
            return
        with _closing():
            self._out.flush()
            self._out.buffer.write(value)
            self._out.buffer.flush()

    def _line(self, text: str) -> None:
        with _closing():
            print(text, file=self._out, flush=True)


@contextlib.contextmanager
def standard_output(*, only_results: bool) -> Generator[TextIO, None, None]:
    """Where results go.

    Args:
        only_results: nothing else goes there in the block: what user code prints, and what its child
            processes and libraries written in C do, goes to standard error.
    """
    out = sys.stdout
    if not only_results:
        yield out
        return
    out.flush()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        if not _is_descriptor(out, 1):
            yield out
            return
        kept = os.dup(1)
        stack.callback(os.close, kept)
        os.dup2(2, 1)
        stack.callback(os.dup2, kept, 1)
        with open(kept, "w", encoding=out.encoding, errors=out.errors, closefd=False) as results:
            yield results


@contextlib.contextmanager
def output_file(path: Path) -> Generator[TextIO, None, None]:
    """A file that gets the results; it is made when the block begins.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--output: cannot write {str(path)!r}: {error.strerror}") from error
    with file:
        yield file


def is_gone(out: TextIO) -> bool:
    """Whether nobody reads an output any more."""
    try:
        watched = select.poll()
        watched.register(out.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0))
    except (OSError, ValueError):  # it is no descriptor
        return False


def _is_flat(plain: object) -> bool:
    """Whether it is a list of scalars, which reads well in one line."""
    return isinstance(plain, list) and all(isinstance(each, _SCALARS) for each in cast("list[object]", plain))


@contextlib.contextmanager
def _closing() -> Generator[None, None, None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputGone from error


def _is_descriptor(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False

"""Mistakes in what users declare, each with its place, gathered so that all are reported at once."""

from __future__ import annotations

import functools
import inspect
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fchains.errors import DefinitionError

T = TypeVar("T")
NOWHERE = ("<unknown>", 0)
_SHOWN_LENGTH = 80
_COLLECTED: ContextVar[list[Problem] | None] = ContextVar("fchains_problems", default=None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: what is wrong, what to write instead, and where.

    Args:
        message: what is wrong, with the value.
        hint: what to write instead.
        file: path of the source file.
        line: line in that file; 0 when unknown.
        subject: name of the chainlet, resource or value that is declared wrongly.
    """

    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    subject: str = ""

    def __str__(self) -> str:
        place = f"{_shorter(self.file)}:{self.line}" if self.file and self.line else _shorter(self.file)
        text = ": ".join(part for part in (place, self.subject, self.message) if part)
        return f"{text}\n{textwrap.indent(self.hint, '    ')}" if self.hint else text


class BadValue(ValueError):
    """Raised by the parser of one option; the message goes on from "option `x` …"."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_each(parse: Callable[[object], T], values: Iterable[object]) -> tuple[T, ...]:
    """Parse all values, and only then raise.

    Raises:
        ExceptionGroup: the `BadValue` of each faulty one.
    """
    parsed: list[T] = []
    faults: list[BadValue] = []
    for value in values:
        try:
            parsed.append(parse(value))
        except BadValue as fault:
            faults.append(fault)
    if faults:
        raise ExceptionGroup("bad values", faults)
    return tuple(parsed)


@contextmanager
def collecting() -> Generator[list[Problem], None, None]:
    """Gather the problems of all declarations in the block instead of raising at the first one."""
    problems: list[Problem] = []
    token = _COLLECTED.set(problems)
    try:
        yield problems
    finally:
        _COLLECTED.reset(token)


def report(problems: Sequence[Problem]) -> None:
    """Raise the problems, or add them to the list of the surrounding `collecting()`.

    Raises:
        DefinitionError: there are problems and nobody collects them.
    """
    if not problems:
        return
    collected = _COLLECTED.get()
    if collected is None:
        raise DefinitionError(problems=problems)
    collected.extend(problems)


def place_of(function: Callable[..., object]) -> tuple[str, int]:
    """File and line of a function's `def` (of a class's `class`), or ("<unknown>", 0)."""
    bare: object = inspect.unwrap(function)
    while isinstance(bare, functools.partial):
        bare = inspect.unwrap(bare.func)
    if isinstance(bare, type):
        file, first = getattr(sys.modules.get(bare.__module__), "__file__", None) or "", 1
        head = rf"\s*class\s+{re.escape(bare.__name__)}\b"
    else:
        code = getattr(bare, "__code__", None)
        if code is None:
            return NOWHERE
        file, first = code.co_filename, code.co_firstlineno
        head = rf"\s*(async\s+)?def\s+{re.escape(code.co_name)}\b"
    lines = linecache.getlines(file)
    if not 0 < first <= len(lines):
        return NOWHERE
    # A decorated function begins at its first decorator; people look for the `def`.
    matching = (number for number, line in enumerate(lines[first - 1 :], first) if re.match(head, line))
    return file, next(matching, first)


def caller_place() -> tuple[str, int]:
    """File and line of the user's code that called into fchains."""
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] != "fchains":
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return NOWHERE


def close_match(word: str, options: Iterable[str]) -> str | None:
    """The option that somebody who wrote `word` most likely meant, whatever its case."""
    import difflib  # only faults need it, and every process imports this module

    by_lower = {option.lower(): option for option in options}
    found = difflib.get_close_matches(word.lower()[:_SHOWN_LENGTH], by_lower, n=1)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, options: Iterable[str], quote: str = "`") -> str:
    """The sentence " Did you mean `x`?", or nothing where no option is close."""
    found = close_match(word, options)
    return f". Did you mean {quote}{found}{quote}?" if found else ""


def shown(value: object) -> str:
    """A value as messages show it: its repr, cut where it is long."""
    text = object.__repr__(value)
    with suppress(Exception):  # the repr of a user's class may fail; the message about it must not
        text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def _shorter(file: str) -> str:
    """The path as seen from the working directory, where it lies below it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (OSError, ValueError):  # the working directory is gone, or the file lies elsewhere
        return file

"""The place in the user's code where something was declared, and errors that name it."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import NamedTuple

from fchains.errors import DefinitionError


class Place(NamedTuple):
    """A file and a line of the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{shortened(self.file)}:{self.line}"

    @property
    def folder(self) -> Path | None:
        """The folder of the file; None in a notebook, a REPL or where the file is gone."""
        path = Path(self.file)
        return path.parent.resolve() if path.is_file() else None


def calling_place() -> Place:
    """The nearest line, up the stack, that does not belong to this package."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("fchains.packaging."):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno) if frame else Place("<unknown>", 0)


def fault(place: Place, subject: str, message: str, hint: str = "") -> DefinitionError:
    """The error for a wrong declaration: where, what is wrong, what to write instead."""
    text = f"{place}: {subject}: {message}" if subject else f"{place}: {message}"
    return DefinitionError(f"{text}\n    {hint}" if hint else text)


def shortened(file: str) -> str:
    """The path as seen from the working directory, where it lies below it."""
    try:
        relative = os.path.relpath(file) if Path(file).is_absolute() else file
    except OSError:  # the working directory is gone
        return file
    return file if relative.startswith("..") else relative

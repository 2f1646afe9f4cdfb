"""Which code is the user's own: what lies under the project root and was not installed there."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path

from fchains.packaging.project import find_root

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class FirstParty:
    """The user's own code around one file.

    Args:
        file: a source file; one that does not exist, such as a notebook's cell, has no project.
    """

    def __init__(self, file: str) -> None:
        path = Path(file)
        self._file = file
        self._root = find_root(path) if path.is_file() else None
        self._known: dict[str, bool] = {}

    def has(self, file: str) -> bool:
        """Whether a source file belongs to it."""
        if file not in self._known:
            self._known[file] = file == self._file or self._is_below(file)
        return self._known[file]

    def _is_below(self, file: str) -> bool:
        if self._root is None or is_library(file):
            return False
        path = Path(file).resolve()
        return path.is_relative_to(self._root) and not _in_environment_of(path, self._root)


@cache
def _library_folders() -> tuple[Path, ...]:
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return (*(Path(folder).resolve() for folder in standard), Path(__file__).resolve().parents[1])


def is_library(file: str) -> bool:
    """Whether a file belongs to Python, to an installed package, or to fchains itself."""
    if file.startswith("<frozen "):
        return True
    path = Path(file).resolve()
    return not _INSTALLED.isdisjoint(path.parts) or any(path.is_relative_to(f) for f in _library_folders())


def _in_environment_of(path: Path, root: Path) -> bool:
    prefix = Path(sys.prefix).resolve()
    return prefix != root and prefix.is_relative_to(root) and path.is_relative_to(prefix)

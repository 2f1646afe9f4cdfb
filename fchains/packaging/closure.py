"""What following the imports of a project finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fchains.packaging.places import Place

State = Literal["installed", "outside", "missing"]


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """A first-party import that no worker could run.

    Args:
        message: what is wrong.
        hint: what to write instead.
        file: path of the importing file.
        line: line of the import.
    """

    message: str
    hint: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{Place(self.file, self.line)}: {self.message}\n    {self.hint}"


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """A module that comes from elsewhere than the project.

    Args:
        name: its top-level name.
        state: "installed" here, "outside" of the project but on `sys.path`, or "missing" here.
        file: path of the first file that imports it.
        line: line of that import.
        optional: every import of it may fail: caught, in a function, or in `with image.imports()`.
    """

    name: str
    state: State
    file: str
    line: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Closure:
    """What a set of entry files needs to be imported elsewhere.

    Args:
        modules: file of each first-party module by its name; namespace packages have none.
        folders: the folders for `sys.path`, all under the project root.
        third_party: modules from elsewhere by their top-level name, without the standard library.
        problems: first-party imports that lead nowhere.
    """

    modules: Mapping[str, Path]
    folders: tuple[Path, ...]
    third_party: Mapping[str, ThirdParty]
    problems: tuple[ImportProblem, ...]

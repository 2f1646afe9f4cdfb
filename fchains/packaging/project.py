"""The project around a file: its root, its files, and what its pyproject.toml tells fchains."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import cast

from fchains.packaging.ignore import IgnoreRules, compiled
from fchains.packaging.places import Place, fault


def find_root(path: Path) -> Path:
    """The nearest ancestor with `pyproject.toml` or `.git`, else the file's own folder."""
    folder = path.resolve() if path.is_dir() else path.parent.resolve()
    for ancestor in (folder, *folder.parents):
        if (ancestor / "pyproject.toml").is_file() or (ancestor / ".git").exists():
            return ancestor
    return folder


class Project:
    """A folder of first-party code.

    Args:
        root: the folder; `Project.around(file)` finds it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._ignore = IgnoreRules(self.root)

    @classmethod
    def around(cls, path: Path) -> Project:
        """The project that a file or folder belongs to."""
        return cls(find_root(path))

    def contains(self, path: Path) -> bool:
        """Whether a resolved path lies under the root."""
        return path.is_relative_to(self.root)

    def name_of(self, path: Path) -> str:
        """The path below the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def excluding(self, path: Path) -> str:
        """Name of the ignore file that leaves the path out; empty when it may ship."""
        return self._ignore.excluding(path)

    def files(self, folder: Path | None = None) -> Iterator[Path]:
        """Every file that no ignore file leaves out, by name; links to folders are not followed."""
        for path in sorted((folder or self.root).iterdir()):
            if self.excluding(path):
                continue
            if path.is_dir() and not path.is_symlink():
                yield from self.files(path)
            elif path.is_file():
                yield path

    @cached_property
    def include(self) -> tuple[str, ...]:
        """The globs of `[tool.fchains] include`: what ships besides the imported modules.

        Raises:
            DefinitionError: pyproject.toml does not parse, or `include` is no list of relative globs.
        """
        file = self.root / "pyproject.toml"
        if not file.is_file():
            return ()
        place = Place(str(file), _line_of(file, "include"))
        try:
            tools = cast("dict[str, object]", tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise fault(Place(str(file), 1), "", f"this is no TOML: {error}") from error
        ours = cast("dict[str, object]", tools.get("fchains", {}))
        return _checked_globs(ours.get("include", []), place)

    def included(self) -> list[Path]:
        """The files that `[tool.fchains] include` names, sorted.

        Raises:
            DefinitionError: a glob matches nothing that may ship.
        """
        if not self.include:
            return []
        files = {self.name_of(path): path for path in self.files()}
        found: set[str] = set()
        for glob in self.include:
            # A leading slash anchors the pattern at the root: what is called a glob everywhere else.
            matches = set(compiled(["/" + glob]).match_files(files))
            if not matches:
                raise self._nothing_matches(glob)
            found |= matches
        return [files[name] for name in sorted(found)]

    def _nothing_matches(self, glob: str) -> Exception:
        file = self.root / "pyproject.toml"
        ignored = next((path for path in self.root.glob(glob) if self.excluding(path)), None)
        hint = "correct the glob, which is relative to this file's folder, or remove it"
        message = f"include = [{glob!r}] matches no file"
        if ignored is not None:
            message += f" but {self.name_of(ignored)}, which {self.excluding(ignored)} leaves out"
            hint = f"write !{self.name_of(ignored)} in .fchainsignore to ship it all the same"
        return fault(Place(str(file), _line_of(file, glob)), "[tool.fchains]", message, hint)


def _checked_globs(globs: object, place: Place) -> tuple[str, ...]:
    subject, hint = "[tool.fchains]", 'write include = ["data/*.json", "prompts"]'
    if not isinstance(globs, list):
        raise fault(place, subject, f"include must be a list of globs, not {globs!r}", hint)
    for glob in cast("list[object]", globs):
        if not isinstance(glob, str) or not glob.strip():
            raise fault(place, subject, f"include has {glob!r}, which is no glob", hint)
        if glob.startswith(("/", "!", "~")) or ".." in glob.split("/") or "\\" in glob:
            raise fault(place, subject, f"include has {glob!r}, which is not below this file's folder", hint)
    return tuple(cast("list[str]", globs))


def _line_of(file: Path, text: str) -> int:
    """The first line that holds the text, as tomllib keeps no places."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), 1)

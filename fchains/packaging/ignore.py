"""Which files below a project root `.gitignore` and `.fchainsignore` leave out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

DEFAULT_EXCLUDES = (".git", "__pycache__", ".venv", "node_modules")
IGNORE_FILES = (".gitignore", ".fchainsignore")


class IgnoreRules:
    """The ignore files of a tree, read as git reads them: the deepest file, and in it the last line, wins.

    `.fchainsignore` has the same syntax and comes after the `.gitignore` of its folder, so
    `!generated.py` in it ships what git ignores. Ignore files between the root and the top of its
    git repository count too; those of the machine (`core.excludesFile`) do not. Nothing takes back
    `DEFAULT_EXCLUDES`: a pattern like `!*/` would ship the whole environment.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
        self._rules: dict[Path, list[tuple[str, GitIgnoreSpec]]] = {}
        self._folders: dict[Path, str] = {}

    def excluding(self, path: Path) -> str:
        """Name of what leaves the path out, such as `.gitignore`; empty when nothing does."""
        if path == self.root:
            return ""
        parent = path.parent
        if parent not in self._folders:
            self._folders[parent] = self.excluding(parent)
        return self._folders[parent] or self._decide(path)

    def _decide(self, path: Path) -> str:
        if path.name in DEFAULT_EXCLUDES:
            return "fchains itself"
        slash = "/" if path.is_dir() else ""
        for folder in path.parents:
            name = path.relative_to(folder).as_posix() + slash
            for origin, spec in reversed(self._rules_of(folder)):
                verdict = spec.check_file(name).include
                if verdict is not None:
                    return origin if verdict else ""
            if folder == self._top:
                break
        return ""

    def _rules_of(self, folder: Path) -> list[tuple[str, GitIgnoreSpec]]:
        if folder not in self._rules:
            self._rules[folder] = list(self._read_rules(folder))
        return self._rules[folder]

    def _read_rules(self, folder: Path) -> list[tuple[str, GitIgnoreSpec]]:
        rules: list[tuple[str, GitIgnoreSpec]] = []
        for name in IGNORE_FILES:
            file = folder / name
            if file.is_file():
                lines = file.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
                shown = file.relative_to(self.root) if file.is_relative_to(self.root) else file
                rules.append((shown.as_posix(), compiled(lines)))
        return rules


def compiled(patterns: list[str] | tuple[str, ...]) -> GitIgnoreSpec:
    """Patterns in `.gitignore` syntax, ready to match POSIX paths."""
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)

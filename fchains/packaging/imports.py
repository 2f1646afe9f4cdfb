"""The import closure: every first-party module that the given files need, found without running them."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fchains.packaging.closure import Closure, ImportProblem, ThirdParty
from fchains.packaging.modules import FoundModule, ModuleFinder, is_provided, own_files
from fchains.packaging.project import Project
from fchains.packaging.statements import ImportStatement, bound_names, is_dunder, read_imports

__all__ = ["Closure", "ImportProblem", "ThirdParty", "import_closure", "top_level_imports"]


def import_closure(
    entries: Iterable[Path],
    project: Project | None = None,
    *,
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> Closure:
    """Follow the imports of the entry files through all first-party modules.

    Args:
        entries: source files, shipped whatever the ignore files say; installed ones are left out.
        project: what is first-party; by default the project around the first entry.
        read: reads a file.
    """
    files = own_files(entries)
    project = project or Project.around(files[0] if files else Path.cwd())
    inside = [file for file in files if project.contains(file)]
    walk = _Walk(project, ModuleFinder(project, inside), read)
    for entry in walk.finder.entries:
        walk.start(entry)
    for file in files:
        if file not in inside:
            message = f"this file is outside of the project {project.root}"
            hint = "move it into the project, or make it a package and install that"
            walk.problems.add(ImportProblem(message, hint, str(file), 1))
    while walk.waiting:
        walk.follow(walk.waiting.pop())
    return Closure(
        dict(sorted(walk.modules.items())),
        tuple(sorted(walk.folders)),
        dict(sorted(walk.third_party.items())),
        tuple(sorted(walk.problems, key=lambda problem: (problem.file, problem.line, problem.message))),
    )


def top_level_imports(file: Path) -> tuple[ImportStatement, ...]:
    """The imports without which a file cannot be imported.

    Those in functions, under `TYPE_CHECKING`, in `try` … `except ImportError` and in
    `with image.imports()` are left out.
    """
    found = read_imports(file.read_bytes(), file)
    return tuple(item for item in found if not (item.deferred or item.optional or item.guarded))


@dataclass
class _Walk:
    """The state of one walk through the imports."""

    project: Project
    finder: ModuleFinder
    read: Callable[[Path], bytes]
    modules: dict[str, Path] = field(default_factory=dict[str, Path])
    folders: set[Path] = field(default_factory=set[Path])
    third_party: dict[str, ThirdParty] = field(default_factory=dict[str, ThirdParty])
    problems: set[ImportProblem] = field(default_factory=set[ImportProblem])
    waiting: list[FoundModule] = field(default_factory=list[FoundModule])

    def add(self, module: FoundModule) -> None:
        """Ship a module, and look at its imports later."""
        if module.file and module.name not in self.modules:
            self.modules[module.name] = module.file
            self.folders.add(module.base)
            self.waiting.append(module)

    def start(self, entry: FoundModule) -> None:
        """Ship an entry file."""
        file = self.modules.get(entry.name, entry.file)
        top = entry.name.partition(".")[0]
        if file != entry.file:
            message = f"this file and {file} are both the module {entry.name!r}"
            self._problem(entry, 1, message, "rename one of them, or make their folders packages")
        elif is_provided(top):
            self._problem(
                entry, 1, f"its package {top!r} has the name of one that every worker has", "rename it"
            )
        self.need_parents(entry.name)
        self.add(entry)

    def need_parents(self, name: str) -> None:
        """Ship the `__init__` of every package around a module."""
        while name := name.rpartition(".")[0]:
            if package := self.finder.find(name):
                self.add(package)

    def follow(self, module: FoundModule) -> None:
        """Go through the imports of one module."""
        file = self.modules[module.name]
        try:
            statements = read_imports(self.read(file), file)
        except (SyntaxError, ValueError, OSError) as error:
            line = getattr(error, "lineno", None) or 1
            self._problem(module, line, f"this is no Python source: {error}", "correct the file")
            return
        for statement in statements:
            self._follow(module, statement)

    def _follow(self, module: FoundModule, statement: ImportStatement) -> None:
        name = self._absolute(module, statement)
        if name is None:
            if not statement.optional:
                message = f"`{statement}` goes beyond the top-level package of {module.name}"
                hint = "write the import with its absolute name"
                self._problem(module, statement.line, message, hint)
        elif self._need(module, statement, name):
            for part in statement.names:
                self._need_name(module, statement, name, part)

    def _absolute(self, module: FoundModule, statement: ImportStatement) -> str | None:
        """The absolute name that an import names; None when its dots lead out of the package."""
        if not statement.level:
            return statement.module
        package = module.name.split(".") if module.folders else module.name.split(".")[:-1]
        if statement.level > len(package):
            return None
        parts = package[: len(package) - statement.level + 1]
        return ".".join([*parts, *filter(None, [statement.module])])

    def _need(self, module: FoundModule, statement: ImportStatement, name: str) -> bool:
        """Ship a module with its packages; tells whether it is first-party and there."""
        top = name.partition(".")[0]
        first = self.finder.find(top)
        found = self.finder.find(name)
        if found is None:
            if first is None or (not first.file and self.finder.state(top) == "installed"):
                self._third_party(module, statement, top)
            elif not statement.optional:
                self._missing(module, statement, name)
            return False
        if found.file and name not in self.modules and (by := self.project.excluding(found.file)):
            self._ignored(module, statement, found.file, by)
            return False
        self.need_parents(name)
        self.add(found)
        return True

    def _need_name(self, module: FoundModule, statement: ImportStatement, package: str, name: str) -> None:
        """Ship what `from package import name` needs, when the name is a module of its own."""
        found = self.finder.find(package)
        if found is None or not found.folders:
            return
        exported = self._names_of(found)
        if name == "*":
            for part in sorted(exported or ()):
                if self.finder.find(f"{package}.{part}"):
                    self._need(module, statement, f"{package}.{part}")
        elif self.finder.find(f"{package}.{name}"):
            self._need(module, statement, f"{package}.{name}")
        elif exported is not None and name not in exported and not (statement.optional or is_dunder(name)):
            self._missing(module, statement, f"{package}.{name}", exported)

    def _names_of(self, package: FoundModule) -> frozenset[str] | None:
        """What a package's `__init__` binds; None when that cannot be told from its text."""
        if not package.file:
            return frozenset()
        try:
            return bound_names(ast.parse(self.read(package.file)))
        except (SyntaxError, ValueError):
            return None

    def _third_party(self, module: FoundModule, statement: ImportStatement, top: str) -> None:
        if is_provided(top):
            if file := self.finder.shadowing(top):
                message = f"`{statement}` gets {file} here, and the standard library's module in a worker"
                self._problem(module, statement.line, message, "rename the file")
            return
        state = self.finder.state(top)
        optional = statement.optional or statement.deferred or statement.guarded
        if state == "missing" and not statement.optional and not statement.guarded:
            match = difflib.get_close_matches(top, self.finder.siblings(""), 1, 0.8)
            if match:
                message = f"`{statement}`: there is no module {top!r} in the project, nor is it installed"
                hint = (
                    f"did you mean {match[0]!r}? If {top!r} is a package of an image, import it"
                    " inside `with image.imports():`"
                )
                self._problem(module, statement.line, message, hint)
                return
        before = self.third_party.get(top)
        if before is None or (before.optional and not optional):
            self.third_party[top] = ThirdParty(top, state, str(module.file), statement.line, optional)

    def _missing(
        self, module: FoundModule, statement: ImportStatement, name: str, exported: Iterable[str] = ()
    ) -> None:
        while "." in name and self.finder.find(name.rpartition(".")[0]) is None:
            name = name.rpartition(".")[0]
        parent, _, last = name.rpartition(".")
        known = self.finder.siblings(parent) | set(exported)
        match = difflib.get_close_matches(last, known, 1)
        message = f"`{statement}`: {parent or 'the project'} has no module {last!r}"
        hint = (
            f"did you mean {match[0]!r}?"
            if match
            else f"{parent} has: {', '.join(sorted(known)) or 'nothing'}"
        )
        self._problem(module, statement.line, message, hint)

    def _ignored(self, module: FoundModule, statement: ImportStatement, file: Path, by: str) -> None:
        if statement.optional:
            return
        name = self.project.name_of(file)
        message = f"`{statement}` needs {name}, which {by} leaves out"
        self._problem(module, statement.line, message, f"write !{name} in .fchainsignore to ship it")

    def _problem(self, module: FoundModule, line: int, message: str, hint: str) -> None:
        self.problems.add(ImportProblem(message, hint, str(module.file), line))

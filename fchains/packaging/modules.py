"""Finding first-party modules by name, as the import system would, without importing anything."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from fchains.packaging.closure import State
from fchains.packaging.project import Project
from fchains.packaging.scripts import MAIN_NAMES, main_module_name, name_of_main

_STANDARD_LIBRARY = Path(os.__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class FoundModule:
    """A first-party module.

    Args:
        name: its dotted name.
        file: its source; None for a namespace package.
        folders: where its submodules lie; empty when it is no package.
        base: the folder of `sys.path` from which the name counts.
    """

    name: str
    file: Path | None
    folders: tuple[Path, ...]
    base: Path


class ModuleFinder:
    """First-party modules of a project.

    Looked for in the folders of the entry files, then in those folders of `sys.path` that lie under
    the root; last, after what is installed, in the root and its `src`.

    Args:
        project: what is first-party.
        entries: the files whose imports are followed.
    """

    def __init__(self, project: Project, entries: Iterable[Path] = ()) -> None:
        self.project = project
        on_path = [Path(entry).resolve() for entry in sys.path]
        self._on_path = [folder for folder in on_path if folder.is_dir() and self._is_ours(folder)]
        self.entries = tuple(self._entry(file) for file in entries)
        self._folders = list(dict.fromkeys([*(entry.base for entry in self.entries), *self._on_path]))
        self._fallback = [project.root, project.root / "src"]
        self._found: dict[str, FoundModule | None] = {}

    def find(self, name: str) -> FoundModule | None:
        """The first-party module of that name; None where it is installed, or not there at all."""
        if name not in self._found:
            parent, _, last = name.rpartition(".")
            self._found[name] = self._find_below(parent, last) if parent else self._find_top(name)
        return self._found[name]

    def state(self, name: str) -> State:
        """What a top-level name that is not first-party is here."""
        spec = _spec(name)
        if spec is None:
            return "installed" if name in sys.modules else "missing"
        origin = Path(spec.origin) if spec.has_location and spec.origin else None
        return "installed" if origin is None or _is_environment(origin) else "outside"

    def shadowing(self, name: str) -> Path | None:
        """The file of the project that is loaded here in place of a module of the standard library."""
        file = getattr(sys.modules.get(name), "__file__", None)
        return Path(file) if name != "fchains" and file and self._is_ours(Path(file)) else None

    def siblings(self, parent: str) -> set[str]:
        """Names of the modules directly below a first-party package, or at the top for an empty name."""
        if not parent:
            folders: Iterable[Path] = (*self._folders, *(f for f in self._fallback if f.is_dir()))
        else:
            found = self.find(parent)
            folders = found.folders if found else ()
        names: set[str] = set()
        for folder in folders:
            for path in folder.iterdir():
                if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py"))):
                    names.add(path.stem)
        return {name for name in names if name.isidentifier() and name != "__init__"}

    def _find_top(self, name: str) -> FoundModule | None:
        if is_provided(name):
            return None
        here = _look(name, name, self._folders)
        if here and here.file:
            return here
        spec = _spec(name)
        if spec is not None and not self._is_first_party(spec):
            return here if spec.origin is None and here else None
        return _look(name, name, [*_bases(spec), *self._folders, *self._fallback])

    def _find_below(self, parent: str, last: str) -> FoundModule | None:
        package = self.find(parent)
        return _look(f"{parent}.{last}", last, package.folders, package.base) if package else None

    def _is_first_party(self, spec: ModuleSpec) -> bool:
        places = [spec.origin] if spec.has_location and spec.origin else spec.submodule_search_locations or ()
        files = [Path(place).resolve() for place in places]
        return any(self._is_ours(file) and file.suffix in (".py", "") for file in files)

    def _is_ours(self, path: Path) -> bool:
        return self.project.contains(path) and not _is_environment(path, self.project.root)

    def _entry(self, file: Path) -> FoundModule:
        """The module that a file is, under the name by which the program knows it."""
        file = file.parent.resolve() / file.name
        folders = (file.parent,) if file.name == "__init__.py" else ()
        for name in (_loaded_name(file), self._name_by_layout(file)):
            base = file.parents[name.count(".") + len(folders)]
            if name and self.project.contains(base):
                return FoundModule(name, file, folders, base)
        return FoundModule(main_module_name(file), file, folders, file.parent)

    def _name_by_layout(self, file: Path) -> str:
        folder = file.parent
        while (folder / "__init__.py").is_file() and folder != self.project.root:
            folder = folder.parent
        if folder == file.parent:
            return main_module_name(file)
        return ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


def own_files(files: Iterable[Path]) -> list[Path]:
    """The files with their folders resolved, less those that are installed or belong to fchains."""
    runtime = Path(__file__).resolve().parents[1]
    resolved = dict.fromkeys(Path(file).parent.resolve() / Path(file).name for file in files)
    return [file for file in resolved if not _is_environment(file) and not file.is_relative_to(runtime)]


def is_provided(name: str) -> bool:
    """Whether every worker has a top-level module: the standard library and fchains itself."""
    return name in sys.stdlib_module_names or name in ("__main__", "fchains")


def _look(name: str, last: str, folders: Iterable[Path], base: Path | None = None) -> FoundModule | None:
    """A module in the first folder that has it; a namespace package from all that have a part of it."""
    portions: list[Path] = []
    for folder in folders:
        path = folder / last
        if (path / "__init__.py").is_file():
            return FoundModule(name, path / "__init__.py", (path,), base or folder)
        if (folder / f"{last}.py").is_file():
            return FoundModule(name, folder / f"{last}.py", (), base or folder)
        if path.is_dir():
            portions.append(path)
    return FoundModule(name, None, tuple(portions), base or portions[0].parent) if portions else None


def _spec(name: str) -> ModuleSpec | None:
    """How the import system would load a top-level name."""
    with suppress(ImportError, ValueError, AttributeError):
        return importlib.util.find_spec(name)
    return None


def _bases(spec: ModuleSpec | None) -> list[Path]:
    """The folder of `sys.path` that an import hook stands in for, as some editable installs use."""
    if spec is None or not spec.has_location or not spec.origin:
        return []
    file = Path(spec.origin).resolve()
    return [file.parents[1] if file.name == "__init__.py" else file.parent]


def _is_environment(path: Path, root: Path | None = None) -> bool:
    """Whether a path belongs to a Python installation or virtual environment."""
    parts = path.relative_to(root).parts if root else path.parts
    if "site-packages" in parts or "dist-packages" in parts or path.is_relative_to(_STANDARD_LIBRARY):
        return True
    prefix = Path(sys.prefix)
    return root is not None and prefix.is_relative_to(root) and path.is_relative_to(prefix)


def _loaded_name(file: Path) -> str:
    """The name under which a file is loaded already; empty when it is not."""
    tail = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    for name, module in list(sys.modules.items()):
        loaded = getattr(module, "__file__", None)
        if (
            isinstance(loaded, str)
            and loaded.endswith(file.name)
            and Path(loaded).resolve() == file.resolve()
        ):
            if name in MAIN_NAMES:
                return name_of_main(module)
            if tail.endswith(f".{name}"):
                return name
    return ""

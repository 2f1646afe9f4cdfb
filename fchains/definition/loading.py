"""Loading what a reference such as `app.py`, `app.py::name` or `package.module:name` stands for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

from fchains.definition.decorated import stand_in
from fchains.definition.first_party import is_library
from fchains.definition.graph import CallGraph
from fchains.definition.handle import AnyChainlet
from fchains.definition.import_faults import faults_of
from fchains.definition.problems import Problem, collecting
from fchains.definition.references import Reference, UnknownReference, parse_reference, unknown_module
from fchains.definition.spec import Definition
from fchains.definition.targets import find_target
from fchains.packaging.project import find_root


@dataclass(frozen=True, slots=True)
class Loaded:
    """A module and its chainlets.

    Args:
        module: the module; None when its import failed.
        graph: the module's own chainlets, and all that they reach.
        target: the chainlet that the reference names; None when it names none.
        problems: mistakes in the declarations, and why the import failed.
    """

    module: ModuleType | None
    graph: CallGraph
    target: Definition | None
    problems: list[Problem]

    @property
    def chainlets(self) -> dict[str, Definition]:
        """The chainlets by name, the module's own first."""
        return self.graph.definitions


def load(reference: str) -> Loaded:
    """Import the module of a reference, and find its chainlets.

    All faulty declarations come back as problems, and so does an import that fails. `sys.path` gets
    the folder from which the module's name counts, as with `python file.py`, and at its end the
    project root and its `src`.

    Args:
        reference: `file.py`, `file.py::name`, `package.module` or `package.module:name`.

    Raises:
        UnknownReference: there is no such file, module or chainlet.
    """
    parsed = parse_reference(reference)
    with collecting() as problems:
        try:
            module = _import_file(parsed.file) if parsed.file else _import_module(parsed.module)
        except (UnknownReference, KeyboardInterrupt):
            raise
        except BaseException as error:
            problems.extend(faults_of(error, parsed.file or Path(parsed.module)))
            return Loaded(None, CallGraph.of([]), None, problems)
    return _loaded(parsed, module, problems)


def _loaded(reference: Reference, module: ModuleType, problems: list[Problem]) -> Loaded:
    graph = CallGraph.of(chainlets_of(module))
    if not graph.definitions and not problems:
        hint = "decorate a function with @chainlet"
        raise UnknownReference(f"{reference.shown} has no chainlet", hint)
    target = find_target(reference, module, graph) if reference.name else None
    return Loaded(module, graph, target, problems)


def chainlets_of(module: ModuleType) -> tuple[Definition, ...]:
    """The chainlets that a module defines, in the order of its text; those it imports if there are none."""
    found = [d for d in dict.fromkeys(_definitions_in(module)) if d.function is not stand_in]
    own = [definition for definition in found if _is_made_in(definition, module)]
    return tuple(own or found)


def _is_made_in(definition: Definition, module: ModuleType) -> bool:
    """Whether a chainlet was made in a module; variants may be made elsewhere than their function."""
    if definition.module == module.__name__:
        return True
    home = sys.modules.get(definition.module)
    return home is None or definition not in _definitions_in(home)


def _definitions_in(module: ModuleType) -> list[Definition]:
    """The definitions behind a module's globals; objects of users are asked for nothing, not even a class."""
    handles = [value for value in vars(module).values() if issubclass(type(value), AnyChainlet)]
    return [cast("AnyChainlet", handle).definition for handle in handles]


def _import_file(file: Path) -> ModuleType:
    name, folder = _module_name(file)
    _forget_others(name, file)
    _extend_path(folder, find_root(file))
    module = importlib.import_module(name)
    loaded = Path(str(module.__file__))
    if loaded.resolve() != file.resolve():
        hint = f"remove the other one, or load it with `{name}`"
        raise UnknownReference(f"{file} is imported as {name!r}, which is {loaded}", hint)
    return module


def _module_name(file: Path) -> tuple[str, Path]:
    """The name of a file's module, and the folder of `sys.path` from which it counts."""
    root, folder = find_root(file), file.parent
    while (folder / "__init__.py").is_file() and folder != root:
        folder = folder.parent
    parts = file.relative_to(folder).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if "." in file.stem:
        hint = f"rename it to {file.stem.replace('.', '_')}.py"
        raise UnknownReference(f"{file.name} cannot be imported: a module's name has no dots", hint)
    if name.partition(".")[0] in sys.stdlib_module_names:
        top = name.partition(".")[0]
        hint = f"rename it, for example to my_{top}{'.py' if top == name else ''}"
        raise UnknownReference(f"{file.name} would hide the module {top!r} of the standard library", hint)
    return name, folder


def _forget_others(name: str, file: Path) -> None:
    """Make room for a module: another program's of the same name goes, an installed one must not."""
    module = sys.modules.get(name)
    loaded = getattr(module, "__file__", None)
    if module is None or (loaded and Path(loaded).resolve() == file.resolve()):
        return
    if loaded is None or is_library(loaded):
        raise UnknownReference(f"{file.name} would hide the installed module {name!r}", "rename the file")
    del sys.modules[name]


def _import_module(name: str) -> ModuleType:
    here = Path.cwd()
    _extend_path(here, find_root(here))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise unknown_module(name) from None


def _extend_path(folder: Path, root: Path) -> None:
    first = str(folder)
    if first in sys.path:
        sys.path.remove(first)
    sys.path.insert(0, first)
    sys.path.extend(place for place in _fallbacks(root) if place not in sys.path)
    importlib.invalidate_caches()


def _fallbacks(root: Path) -> Iterator[str]:
    yield str(root)
    if (root / "src").is_dir():
        yield str(root / "src")

"""How a function travels: by the name of its module, as part of a main script, or by value."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType

from fchains.errors import DefinitionError
from fchains.packaging.pickles import ByValue, pickled, unpickled
from fchains.packaging.places import Place, fault
from fchains.packaging.project import find_root
from fchains.packaging.scripts import MAIN_NAMES, load_main_source, main_part_has, name_of_main

__all__ = [
    "ByMain",
    "ByModule",
    "ByValue",
    "FunctionRef",
    "load_function",
    "load_main_source",
    "reference_of",
]


@dataclass(frozen=True, slots=True)
class ByModule:
    """A function that a worker finds by importing its module.

    Args:
        module: dotted name.
        qualname: its name there, with dots for what stands in a class.
    """

    module: str
    qualname: str


@dataclass(frozen=True, slots=True)
class ByMain:
    """A function of the script that ran as `__main__`; a worker loads the script's source.

    Args:
        path: the script below the project root, with forward slashes.
        module: the script's name as a module.
        qualname: the function's name there.
    """

    path: str
    module: str
    qualname: str


FunctionRef = ByModule | ByMain | ByValue


def reference_of(function: Callable[..., object]) -> FunctionRef:
    """How a function can be found again in another process.

    By value travel only closures, lambdas, and what is defined in a notebook, a REPL, or the
    `if __name__ == "__main__"` part of a script.

    Raises:
        DefinitionError: it would have to travel by value, and does not survive that.
    """
    module_name = getattr(function, "__module__", None) or ""
    qualname = getattr(function, "__qualname__", "")
    module = sys.modules.get(module_name)
    if module is None or not _is_found(module, qualname, function):
        return pickled(function, _place(function))
    if module_name in MAIN_NAMES:
        script = _script_of(module, function)
        if script is None:
            return pickled(function, _place(function))
        path = script.relative_to(find_root(script)).as_posix()
        return ByMain(path, name_of_main(module), qualname)
    if module.__spec__ is None and getattr(module, "__file__", None) is None:
        message = f"its module {module_name!r} was made by hand and has no source"
        raise fault(_place(function), qualname, message, "define the function in a file")
    return ByModule(module_name, qualname)


def load_function(reference: FunctionRef, root: Path | None = None) -> object:
    """The object that a reference stands for: the function, or what its decorators made of it.

    Args:
        reference: what `reference_of` gave.
        root: the project root here, such as the folder to which a bundle was extracted; by
            default the working directory. Only main scripts need it.

    Raises:
        SerializationError: it travelled by value, and this is another Python, or the bytes are damaged.
        DefinitionError: the module has no such name here.
        ImportError: the module cannot be imported here.
    """
    if isinstance(reference, ByValue):
        return unpickled(reference)
    if isinstance(reference, ByMain):
        module = load_main_source((root or Path()) / reference.path, reference.module)
    else:
        module = importlib.import_module(reference.module)
    try:
        return _lookup(module, reference.qualname)
    except AttributeError as error:
        raise DefinitionError(
            f"the module {reference.module!r} has no {reference.qualname!r} here: it must define it"
            " whenever it is imported, and not under a condition that holds on one machine only"
        ) from error


def _lookup(module: ModuleType, qualname: str) -> object:
    return reduce(getattr, qualname.split("."), module)


def _is_found(module: ModuleType, qualname: str, function: Callable[..., object]) -> bool:
    """Whether the name leads back to the function, or to what decorators made of it."""
    try:
        found = _lookup(module, qualname)
    except AttributeError:
        return False
    return found is function or (callable(found) and inspect.unwrap(found) is inspect.unwrap(function))


def _script_of(main: ModuleType, function: Callable[..., object]) -> Path | None:
    """The file from which a worker gets a function of `__main__`; None when no file has it."""
    file = getattr(main, "__file__", None)
    place = _place(function)
    path = Path(str(file))
    if file is None or not path.is_file() or path.resolve() != Path(place.file).resolve():
        return None
    return None if main_part_has(path.read_bytes(), place.line) else path.parent.resolve() / path.name


def _place(function: Callable[..., object]) -> Place:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code else Place("<unknown>", 0)

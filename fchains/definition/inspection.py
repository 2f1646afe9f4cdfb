"""Looking at objects without running their code: no property, `__getattr__`, `==` or `bool()` is called."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import resolve_name
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, cast

from fchains.definition.code_names import Import

MISSING = object()
# Those of the built-in classes, whatever a subclass makes of them.
_KEYS: Callable[[Any], Iterable[object]] = dict[Any, Any].keys
_VALUES: Callable[[Any], Iterable[object]] = dict[Any, Any].values
_ITERATORS: dict[type, Callable[[Any], Iterable[object]]] = {
    deque: deque[Any].__iter__,
    frozenset: frozenset[Any].__iter__,
    list: list[Any].__iter__,
    set: set[Any].__iter__,
    tuple: tuple[Any, ...].__iter__,
}


def namespace(cls: type) -> Mapping[str, object]:
    """The `__dict__` of a class."""
    return cast("Mapping[str, object]", type.__dict__["__dict__"].__get__(cls))


def module_names(module: object) -> dict[str, object]:
    """What a module defines; nothing for what is no module."""
    if not issubclass(type(module), ModuleType):
        return {}
    return cast("dict[str, object]", object.__getattribute__(module, "__dict__"))


def member(module: object, name: str) -> object:
    """What `module.name` is: a global of the module, or a loaded submodule."""
    members = module_names(module)
    submodule = sys.modules.get(f"{members.get('__name__')}.{name}", MISSING)
    return members.get(name, submodule)


def import_value(item: Import, names: Mapping[str, object]) -> object:
    """What an import in a function gives, if its module is loaded; nothing is imported here."""
    package = names.get("__package__") or str(names.get("__name__", "")).rpartition(".")[0]
    try:
        name = resolve_name("." * item.level + item.module, str(package) if item.level else None)
    except ImportError:
        return MISSING
    value: object = sys.modules.get(name, MISSING)
    for part in item.names:
        value = member(value, part)
    return value


def closure_cells(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The variables that a function has from the one around it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # an empty cell
            yield name, cell.cell_contents


def contained(value: object, kind: type) -> list[object] | None:
    """The items of a built-in container, or of a subclass; None for anything else."""
    if issubclass(kind, dict):
        return [*_KEYS(value), *_VALUES(value)]
    if issubclass(kind, MappingProxyType):
        return gc.get_referents(value)
    return next((list(read(value)) for base, read in _ITERATORS.items() if issubclass(kind, base)), None)

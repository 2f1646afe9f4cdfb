"""Which classes a wire message may name, and how they are named: `module:qualname`.

A name is looked up, never executed: only `__dict__` entries are followed, so that no module
`__getattr__` and no descriptor runs. What a found class may be used for is the caller's check.

A script is `__main__` in the process that ran it and a module in its workers: `name_main` and
`find_main_in` tell each side what the other one calls it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import cast

_MAIN = "__main__"


class _Script:
    """What `__main__` means between this process and the others."""

    name = _MAIN
    """The module that the others have in place of this process's `__main__`."""
    module = _MAIN
    """The module of this process in which it finds what the others name as of `__main__`."""


_script = _Script()


def name_main(name: str) -> None:
    """Name the classes of this process's `__main__` as those of a module, which the others have."""
    _script.name = name


def find_main_in(module: str) -> None:
    """Find the classes that others name as those of `__main__` in a module of this process."""
    _script.module = module


def reference(cls: type) -> str:
    """The name of a class on the wire, `module:qualname`."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _nowhere(_module: str) -> bool:
    return False


class ClassLookup:
    """Finds the classes that a wire message names.

    In this order: known classes, builtins, modules already imported, modules that may be imported.

    Args:
        known: classes found whatever their module is, such as the ones in an annotation; this is
            what makes classes inside functions work within one process.
        importable: says whether a module that is not imported yet may be, by its full name.
        main: the name by which the other processes know this process's `__main__` module; by
            default what `name_main` said last.
    """

    __slots__ = ("_importable", "_known", "_main")

    def __init__(
        self,
        known: Iterable[type] = (),
        importable: Callable[[str], bool] = _nowhere,
        main: str | None = None,
    ) -> None:
        self._importable = importable
        self._main = main
        self._known: dict[str, type | None] = {}
        for cls in known:
            name = reference(cls)  # as it is here: what the others call it may change
            self._known[name] = cls if self._known.get(name, cls) is cls else None

    def knowing(self, classes: Iterable[type]) -> ClassLookup:
        """The same lookup with more known classes."""
        present = [cls for cls in self._known.values() if cls is not None]
        return ClassLookup([*present, *classes], self._importable, self._main)

    def reference(self, cls: type) -> str:
        """The name of a class for the other processes, which may have another `__main__`."""
        module = self._main_name if cls.__module__ == _MAIN else cls.__module__
        return f"{module}:{cls.__qualname__}"

    def knows(self, cls: type) -> bool:
        """Whether the class is one of the known ones, and its name says which."""
        return self._known.get(reference(cls)) is cls

    def reaches(self, cls: type) -> bool:
        """Whether the class can be found again by its name, as far as this process can tell."""
        try:
            return self.find(self.reference(cls)) is cls
        except LookupError:
            return False

    def find(self, name: str) -> type:
        """The class of that name.

        Raises:
            LookupError: there is none, or its module may not be used.
        """
        given, _, qualname = name.partition(":")
        module_name = self._here(given)
        here = f"{module_name}:{qualname}"
        if here in self._known:
            known = self._known[here]
            if known is None:
                raise LookupError(f"two classes in use are both named {name!r}")
            return known
        try:
            found = _follow(self._module(module_name), qualname)
        except LookupError:
            if scripted := self._find_in_script(module_name, qualname):
                return scripted
            raise
        if isinstance(found, type):
            return found
        if scripted := self._find_in_script(module_name, qualname):
            return scripted
        raise LookupError(f"{name!r} is not a class that this process knows")

    @property
    def _main_name(self) -> str:
        return self._main or _script.name

    def _here(self, module_name: str) -> str:
        """The name that a module has in this process."""
        if module_name == self._main_name:
            module_name = _MAIN
        return _script.module if module_name == _MAIN else module_name

    def _find_in_script(self, module_name: str, qualname: str) -> type | None:
        """A known class of a script, whose module is `__main__` on one side only."""
        for cls in self._known.values():
            if cls is not None and cls.__qualname__ == qualname and _MAIN in (module_name, cls.__module__):
                return cls
        return None

    def _module(self, name: str) -> ModuleType:
        module = sys.modules.get(name)
        if module is not None:
            return module
        if not self._importable(name):
            raise LookupError(f"module {name!r} is not imported here and not part of the bundle")
        try:
            return importlib.import_module(name)
        except ImportError as exc:
            raise LookupError(f"module {name!r} cannot be imported: {exc}") from exc


def _follow(module: ModuleType, qualname: str) -> object:
    found: object = module
    for part in qualname.split("."):
        if not isinstance(found, ModuleType | type):
            return None
        entries = cast("Mapping[str, object]", vars(found))
        found = entries.get(part)
        if isinstance(found, ModuleType):
            return None
    return found

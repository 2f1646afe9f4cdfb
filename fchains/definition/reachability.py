"""What the code of a chainlet reaches: other chainlets, and the secrets it reads.

Followed are globals, closures, default arguments, containers, resources, and the functions and
classes of first-party modules. No user code runs: objects are looked at by type, and attributes are
read from `__dict__`, so that no property, `__getattr__`, `==` or `bool()` of theirs is called.
"""

from __future__ import annotations

import functools
import gc
import inspect
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import cast

from fchains.definition.code_names import CodeNames, Use, names_in
from fchains.definition.first_party import FirstParty
from fchains.definition.handle import AnyChainlet
from fchains.definition.injected import Injected
from fchains.definition.inspection import (
    MISSING,
    closure_cells,
    contained,
    import_value,
    member,
    module_names,
    namespace,
)
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition

# Data that code refers to may be large; a chainlet that hides behind more than this needs `calls=[…]`.
_MOST_DATA = 10_000
# By id, here and below: a class of the user's may define what hashing and comparing it does.
_ATOMS = frozenset(map(id, (bool, bytes, complex, float, int, str, type(None), type(...))))
_FUNCTIONS = (FunctionType, classmethod, staticmethod)
_PARTS: Mapping[type, tuple[str, ...]] = {
    MethodType: ("__self__", "__func__"),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
}


@dataclass(frozen=True, slots=True)
class SecretRead:
    """A call `secret("NAME")` in the code of a chainlet."""

    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Reached:
    """What the code of a chainlet reaches without passing through another chainlet."""

    definitions: tuple[Definition, ...]
    secrets: tuple[SecretRead, ...]


def reach(definition: Definition) -> Reached:
    """Follow the code of one chainlet, its resources and its health check."""
    walk = _Walk(definition)
    walk.run()
    return Reached(tuple(walk.definitions), tuple(walk.secrets.values()))


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where the names of a code object are looked up."""

    globals: Mapping[str, object]
    cells: Mapping[str, object]
    certain: bool


class _Walk:
    """One walk through the objects that a chainlet's code refers to, the nearest first.

    An object is certain when code names it, and possible when it is part of something that code
    names, such as a method of a class. Possible chainlets count, possible secrets do not.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.definitions: dict[Definition, None] = {}
        self.secrets: dict[str, SecretRead] = {}
        self._first_party = FirstParty(definition.file)
        # Holds the objects too, so that no id is used twice.
        self._seen: dict[int, object] = {id(MISSING): MISSING}
        self._certain: deque[object] = deque()
        self._possible: deque[object] = deque()
        self._data_left = _MOST_DATA
        self._ours: dict[int, bool] = {}

    def run(self) -> None:
        function = cast("FunctionType", self.definition.function)
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            if issubclass(type(default), Injected):  # a variant may inject another one: see its signature
                self._seen[id(default)] = default
        options = self.definition.options
        self._visit_all([function, *self.definition.resources, options.health, *options.calls], certain=True)
        while self._certain or self._possible:
            if self._certain:
                self._follow(self._certain.popleft(), certain=True)
                continue
            value = self._possible.popleft()
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                self._follow(value, certain=False)

    def _visit(self, value: object, *, certain: bool) -> None:
        if id(type(value)) in _ATOMS or id(value) in self._seen:
            return
        if certain:
            self._seen[id(value)] = value
            self._certain.append(value)
        else:
            self._possible.append(value)  # seen when its turn comes: it may turn out to be certain

    def _visit_all(self, values: Iterable[object], *, certain: bool) -> None:
        for value in values:
            self._visit(value, certain=certain)

    def _follow(self, value: object, *, certain: bool) -> None:
        # issubclass(type(…)) and not isinstance(…), which asks an object for its `__class__`.
        kind = type(value)
        if issubclass(kind, AnyChainlet):
            self.definitions[cast("AnyChainlet", value).definition] = None
        elif issubclass(kind, Definition):
            self.definitions[cast("Definition", value)] = None
        elif issubclass(kind, Injected):
            self._visit(cast("Injected", value).resource, certain=certain)
        elif issubclass(kind, Resource):
            resource = cast("Resource[object]", value)
            self._visit_all([resource.function, resource.bound], certain=certain)
        elif issubclass(kind, FunctionType):
            self._follow_function(cast("FunctionType", value), certain)
        elif issubclass(kind, type):
            self._visit_all(self._members(cast("type", value)), certain=False)
        elif not issubclass(kind, ModuleType):
            self._follow_object(value, kind, certain)

    def _follow_object(self, value: object, kind: type, certain: bool) -> None:
        for base, names in _PARTS.items():
            if issubclass(kind, base):
                self._visit_all([object.__getattribute__(value, name) for name in names], certain=certain)
                return
        if self._is_ours(kind):
            self._visit(kind, certain=False)
            self._visit_data(gc.get_referents(value))
            return
        items = contained(value, kind)
        if items is not None:
            self._visit_data(items)
            return
        # What a decorator made of a function, such as functools.lru_cache.
        with suppress(Exception):
            self._visit(inspect.getattr_static(value, "__wrapped__", None), certain=certain)

    def _visit_data(self, values: Iterable[object]) -> None:
        for value in values:
            if self._data_left <= 0:
                return
            self._data_left -= 1
            self._visit(value, certain=False)

    def _members(self, cls: type) -> Iterator[object]:
        """What first-party classes among a class and its bases define."""
        for base in type.__dict__["__mro__"].__get__(cls):
            if not self._is_ours(base):
                continue
            for name, value in namespace(base).items():
                # Dunder names with other values hold annotations, fields and generated schemas.
                if not name.startswith("__") or issubclass(type(value), _FUNCTIONS):
                    yield value

    def _is_ours(self, cls: type) -> bool:
        ours = self._ours.get(id(cls))
        if ours is None:
            ours = self._ours[id(cls)] = self._is_first_party(cls)
        return ours

    def _is_first_party(self, cls: type) -> bool:
        name = namespace(cls).get("__module__")
        if not isinstance(name, str):
            return False
        file = module_names(sys.modules.get(name)).get("__file__")
        return name == self.definition.module or (isinstance(file, str) and self._first_party.has(file))

    def _follow_function(self, function: FunctionType, certain: bool) -> None:
        cells = dict(closure_cells(function))
        same_module = function.__globals__ is self.definition.function.__globals__
        if same_module or self._first_party.has(function.__code__.co_filename):
            self._follow_code(function.__code__, _Scope(function.__globals__, cells, certain))
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._visit_all([function.__dict__.get("__wrapped__"), *defaults, *cells.values()], certain=certain)

    def _follow_code(self, code: CodeType, scope: _Scope) -> None:
        names = names_in(code)
        imported: dict[str, object] = {}
        for item in names.imports:
            value = import_value(item, scope.globals)
            imported[item.variable] = value
            if item.names:
                self._visit(value, certain=scope.certain)
        for use in names.uses:
            found = {"global": scope.globals, "cell": scope.cells, "local": imported}[use.scope]
            self._follow_use(use, found.get(use.name, MISSING), names, code, scope.certain)
        for inner in names.inner:
            self._follow_code(inner, _Scope(scope.globals, {**scope.cells, **imported}, scope.certain))

    def _follow_use(self, use: Use, value: object, names: CodeNames, code: CodeType, certain: bool) -> None:
        for attribute in use.attributes:
            if not issubclass(type(value), ModuleType):
                break
            value = member(value, attribute)
        if _is_secret(value):
            if use.argument is not None and certain:
                read = SecretRead(use.argument, code.co_filename, use.line)
                self.secrets.setdefault(use.argument, read)
        elif issubclass(type(value), ModuleType):
            # The module goes elsewhere, into a variable or `getattr`: any name in this code may be in it.
            members = module_names(value)
            self._visit_all([members[word] for word in sorted(names.words & members.keys())], certain=False)
        else:
            self._visit(value, certain=certain)


def _is_secret(value: object) -> bool:
    """Whether this is `fchains.secret`, which a higher layer defines."""
    if type(value) is not FunctionType:
        return False
    return value.__module__ == "fchains.calls.context" and value.__qualname__ == "secret"

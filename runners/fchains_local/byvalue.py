"""Pickles of what has no name in another process: cloudpickle, with names for all that has one."""

from __future__ import annotations

import importlib
import inspect
import io
import re
from collections.abc import Mapping
from typing import Any, cast

from fchains.definition.handle import AnyChainlet
from fchains.definition.injected import Injected
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.packaging.journeys import Journey
from fchains_local.naming import Name, Names

_WORD = re.compile(r"[^\W\d]\w*")


class NamedJourney(Journey):
    """Chainlets, resources and parts of the script travel by their names, all else by value."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def dumps(self, value: object) -> bytes:
        with io.BytesIO() as file:
            _pickler(self._names, file).dump(value)
            return file.getvalue()

    def named(self, name: Any) -> object:
        return self._names.used[Name(*name)]

    def function_of(self, value: object) -> object:
        if isinstance(value, Injected):
            value = value.resource
        if isinstance(value, AnyChainlet):
            value = value.definition
        if isinstance(value, Definition | Resource):
            return cast("Definition | Resource[object]", value).function
        return value

    def also_used(self, value: object) -> Mapping[str, object]:
        if isinstance(value, AnyChainlet):
            value = value.definition
        return _annotation_names(value) if isinstance(value, Definition) else {}


def _pickler(names: Names, file: io.BytesIO) -> Any:
    cloudpickle: Any = importlib.import_module("cloudpickle.cloudpickle")

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, value: object) -> tuple[str, ...] | None:
            name = names.of(value)
            return None if name is None else tuple(name)

        def reducer_override(self, value: object) -> Any:
            kind: type = type(value)
            if issubclass(kind, Definition):
                return new, (kind,), _state_of(cast("Definition", value))
            if issubclass(kind, AnyChainlet):  # which on its own travels by name only
                return new, (kind,), dict(vars(value))
            return cloudpickle.Pickler.reducer_override(self, value)

    return Pickler(file)


def new(kind: type[object]) -> object:
    """An object that gets its state later, so that it may refer to itself."""
    return object.__new__(kind)


def _state_of(definition: Definition) -> dict[str, object]:
    """All that a definition has, without what it can find again."""
    state = dict(vars(definition))
    state.pop("types", None)
    state["enclosing"] = _annotation_names(definition)
    return state


def _annotation_names(definition: Definition) -> dict[str, object]:
    """What annotations name that are written as strings: cloudpickle looks only for what code names."""
    signature = definition.signature
    annotations = (*(parameter.annotation for parameter in signature.parameters), signature.returns)
    texts = (str(each) for each in annotations if isinstance(each, str) or "'" in str(each))
    words = {word for text in texts for word in _WORD.findall(text)}
    known = {**inspect.unwrap(definition.function).__globals__, **definition.enclosing}
    return {name: known[name] for name in sorted(words & known.keys())}

"""A read-only walk over a pydantic core schema: which classes it names, and what cannot travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from fchains.wire.objects import is_secret
from fchains.wire.refusal import UntransferableType, hint_for, name_of
from fchains.wire.tagged import can_travel

_NAMED = frozenset(("model", "dataclass", "enum", "named-tuple", "call"))
_CONTENTS = frozenset(("items_schema", "keys_schema", "values_schema", "fields"))
_NO_NODES = frozenset(
    ("metadata", "config", "default", "expected", "members", "serialization", "json_schema_input_schema")
)
_OURS = ("pydantic", "fchains.wire")
_REFUSED = {
    "callable": ("a callable cannot travel", "pass the values it would use, or import it where it is called"),
    "generator": ("an iterable that can be read only once cannot travel", "annotate list[…] or Sequence[…]"),
    "is-subclass": ("a class cannot travel as a value", "pass its name, or a Literal of the choices"),
}


@dataclass(slots=True)
class Survey:
    """What a schema holds.

    Args:
        classes: models, dataclasses, enums and named tuples, each once.
        converted: outside of models, a validator makes values from a wire form that a serializer
            gives, so values must cross in that form.
        serialized: some type has a serializer of its own.
        lossy: pydantic's JSON would silently change some values.
    """

    classes: dict[type, None] = field(default_factory=dict[type, None])
    converted: bool = False
    serialized: bool = False
    lossy: bool = False


def survey(schema: Mapping[str, Any]) -> Survey:
    """Walk over the schema.

    Raises:
        UntransferableType: values of a part of it cannot travel.
    """
    found = Survey()
    _visit(schema, found, inside=False, guarded=False)
    return found


def _visit(node: object, found: Survey, *, inside: bool, guarded: bool) -> None:
    """Visit a node, or each of a collection of nodes.

    `inside` is set within models and dataclasses; `guarded` below a node that has a JSON form
    beside its instance check, which makes the class of that check one that pydantic knows.
    """
    if isinstance(node, list | tuple):
        for each in cast("list[object]", node):
            _visit(each, found, inside=inside, guarded=guarded)
    if not isinstance(node, dict):
        return
    parts = cast("dict[str, Any]", node)
    kind = parts.get("type")
    if not isinstance(kind, str):
        for each in parts.values():
            _visit(each, found, inside=inside, guarded=guarded)
        return
    _note(kind, parts, found, guarded=guarded)
    _note_serializer(kind, parts, found, inside=inside)
    inside = inside or kind in ("model", "dataclass")
    if kind in ("lax-or-strict", "json-or-python"):
        chosen = parts["strict_schema" if kind == "lax-or-strict" else "python_schema"]
        _visit(chosen, found, inside=inside, guarded=True)
        return
    for key, each in parts.items():
        if key not in _NO_NODES:
            _visit(each, found, inside=inside, guarded=guarded and key not in _CONTENTS)


def _note(kind: str, node: dict[str, Any], found: Survey, *, guarded: bool) -> None:
    if kind in _REFUSED:
        reason, hint = _REFUSED[kind]
        raise UntransferableType(kind, reason, hint)
    cls = node.get("function" if kind == "call" else "cls")
    if kind in _NAMED and isinstance(cls, type):
        found.classes[cls] = None
    elif kind == "literal":
        classes: set[type] = {type(each) for each in node["expected"]}
        found.classes.update((each, None) for each in classes if each.__module__ != "builtins")
    elif kind == "is-instance" and isinstance(cls, type):
        found.lossy = found.lossy or is_secret(cls)
        if not guarded and not can_travel(cls):
            raise UntransferableType(cls, f"`{name_of(cls)}` cannot travel between processes", hint_for(cls))
    found.lossy = found.lossy or kind == "any"


def _note_serializer(kind: str, node: dict[str, Any], found: Survey, *, inside: bool) -> None:
    serializer = node.get("serialization")
    if serializer is None or _is_ours(serializer.get("function")):
        return
    found.serialized = True
    if kind == "function-plain" and not inside and not _is_ours(node["function"]["function"]):
        found.converted = True


def _is_ours(function: object) -> bool:
    module: str = getattr(function, "__module__", None) or ""
    return module.startswith(_OURS)

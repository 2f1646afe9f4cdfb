"""Whether JSON carries the values of a core schema exactly, and the schema to write them with.

`exact_schema` copies a schema for serialization only. It gives up at a node that JSON does not
carry exactly, or that has a key not listed in `exact_keys`, so what pydantic adds later is never
assumed to be exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from typing import Any, cast
from uuid import UUID

from fchains.wire.exact_keys import EVERYWHERE, KNOWN_KEYS, NEEDED
from fchains.wire.exact_rewrites import CLASSES, REWRITES, Inexact, Node

_CHILDREN = ("schema", "items_schema", "keys_schema", "values_schema", "choices", "fields", "definitions")
_JSON_KINDS = {
    "none": "null",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "string",
    **dict.fromkeys(CLASSES, "string"),
    **dict.fromkeys(("list", "set", "frozenset", "tuple"), "array"),
    **dict.fromkeys(("dict", "typed-dict", "model", "dataclass", "tagged-union"), "object"),
}
_VALUE_KINDS: dict[type, str] = {type(None): "null", bool: "bool", int: "int", str: "string"}
_IMMUTABLE = (type(None), bool, int, float, str, bytes, Enum, date, time, timedelta, tzinfo, Decimal, UUID)


@dataclass(slots=True)
class ExactSchema:
    """A schema for serialization whose JSON is exact.

    Args:
        schema: the copied core schema.
        classes: its models and dataclasses; an instance of a subclass would be cut down to them.
        careful: an unset field of some model may differ from its default.
    """

    schema: Node
    classes: tuple[type, ...]
    careful: bool


def exact_schema(schema: Mapping[str, Any]) -> ExactSchema:
    """The schema to write values with.

    Raises:
        Inexact: JSON does not carry them exactly.
    """
    copy = _Copy()
    if schema["type"] == "definitions":
        copy.definitions = {each["ref"]: each for each in schema["definitions"]}
    copied = copy.node(dict(schema))
    return ExactSchema(copied, tuple(copy.classes), copy.careful)


@dataclass(slots=True)
class _Copy:
    """One copy being made."""

    definitions: dict[str, Node] = field(default_factory=dict[str, Node])
    classes: dict[type, None] = field(default_factory=dict[type, None])
    careful: bool = False

    def node(self, node: Node) -> Node:
        kind = node["type"]
        known = KNOWN_KEYS.get(kind)
        if (
            known is None
            or not node.keys() <= known | EVERYWHERE
            or not NEEDED.get(kind, set()) <= node.keys()
        ):
            raise Inexact(kind)
        if check := _CHECKS.get(kind):
            check(self, node)
        copied = {key: value for key, value in node.items() if key not in ("metadata", "ref")}
        for key in _CHILDREN:
            if key in copied:
                copied[key] = self.each(copied[key])
        if rewrite := REWRITES.get(kind):
            copied = rewrite(copied)
        return {**copied, "ref": node["ref"]} if "ref" in node else copied

    def each(self, value: Any) -> Any:
        """A node, or a collection of nodes, copied; names in it stay."""
        if isinstance(value, list | tuple):
            return [self.each(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        node = cast("Node", value)
        if isinstance(node.get("type"), str):
            return self.node(node)
        return {key: self.each(each) for key, each in node.items()}

    def json_kinds(self, node: Node) -> set[str]:
        """What JSON makes of the values of a node: null, bool, int, float, string, array, object."""
        kind = node["type"]
        if kind == "definition-ref":
            return self.json_kinds(self.definitions[node["schema_ref"]])
        if kind == "nullable":
            return {"null"} | self.json_kinds(node["schema"])
        if kind == "default" or (kind == "model" and node.get("root_model")):
            return self.json_kinds(node["schema"])
        if kind == "union":
            return set[str]().union(*(self.json_kinds(choice) for choice in _choices(node)))
        if kind in ("literal", "enum"):
            _check_values(self, node)
            kinds = {_VALUE_KINDS[type(each)] for each in _values(node)}
            # A float takes JSON's integers as well; only for int itself does pydantic prefer int.
            return kinds | {"float"} if "int" in kinds else kinds
        if kind in _JSON_KINDS:
            return {_JSON_KINDS[kind]}
        raise Inexact(kind)


def _choices(node: Node) -> list[Node]:
    choices: list[Any] = node["choices"]
    return [choice[0] if isinstance(choice, tuple) else choice for choice in choices]


def _values(node: Node) -> list[object]:
    return node["expected"] if node["type"] == "literal" else [member.value for member in node["members"]]


def _check_values(_copy: _Copy, node: Node) -> None:
    values = _values(node)
    if any(type(each) not in _VALUE_KINDS for each in values):
        raise Inexact("a literal or enum value that is not JSON's")
    if node["type"] == "enum" and (issubclass(node["cls"], Flag) or not _unique(values)):
        raise Inexact("flags, or enum values that JSON confuses")


def _unique(values: list[object]) -> bool:
    return len(set(values)) == len(values)


def _check_dict(copy: _Copy, node: Node) -> None:
    keys: Node = node["keys_schema"]
    if keys["type"] == "definition-ref":
        keys = copy.definitions[keys["schema_ref"]]
    if keys["type"] not in ("str", "int", "uuid", "date", "enum", "literal"):
        raise Inexact("keys that a JSON object does not have")
    if keys["type"] in ("enum", "literal") and copy.json_kinds(keys) != {"string"}:
        raise Inexact("keys that are not strings")


def _check_union(copy: _Copy, node: Node) -> None:
    seen: set[str] = set()
    for choice in _choices(node):
        kinds = copy.json_kinds(choice)
        if kinds & seen:
            raise Inexact("choices that look alike in JSON")
        seen |= kinds


def _check_tagged_union(copy: _Copy, node: Node) -> None:
    discriminator = node["discriminator"]
    for each in node["choices"].values():
        choice = copy.definitions[each["schema_ref"]] if each["type"] == "definition-ref" else each
        fields = choice.get("schema", {}).get("fields", choice.get("fields"))
        if not isinstance(discriminator, str) or not isinstance(fields, dict):
            raise Inexact("a discriminator that is not simply a field")
        named = cast("Node", fields).get(discriminator)
        if named is None or "validation_alias" in named or named["schema"]["type"] == "default":
            raise Inexact("a discriminator with an alias, or one that may be unset")


def _check_default(_copy: _Copy, node: Node) -> None:
    if node.get("on_error", "raise") != "raise":
        raise Inexact("a default that replaces errors")


def _check_fields(_copy: _Copy, node: Node) -> None:
    if node.get("extra_behavior") == "allow":
        raise Inexact("extra fields")


def _check_model_fields(copy: _Copy, node: Node) -> None:
    _check_fields(copy, node)
    for each in node["fields"].values():
        schema = each["schema"]
        if schema["type"] == "default":
            default = schema.get("default")
            copy.careful |= "default_factory" in schema or not isinstance(default, _IMMUTABLE)


def _check_model(copy: _Copy, node: Node) -> None:
    if node.get("custom_init") or node.get("config", {}).get("extra_fields_behavior") == "allow":
        raise Inexact("an __init__ of its own, or extra fields")
    if node.get("root_model") and node["schema"]["type"] == "default":
        raise Inexact("a root with a default")
    copy.classes[node["cls"]] = None


def _check_dataclass(copy: _Copy, node: Node) -> None:
    fields = node["schema"].get("fields", ())
    if node.get("post_init") or not all(each.get("init", True) for each in fields):
        raise Inexact("fields that __init__ does not take, or __post_init__")
    if not node["cls"].__dataclass_params__.init:
        raise Inexact("an __init__ of its own")
    copy.classes[node["cls"]] = None


_CHECKS: dict[str, Callable[[_Copy, Node], None]] = {
    "enum": _check_values,
    "literal": _check_values,
    "dict": _check_dict,
    "union": _check_union,
    "tagged-union": _check_tagged_union,
    "default": _check_default,
    "typed-dict": _check_fields,
    "model-fields": _check_model_fields,
    "model": _check_model,
    "dataclass": _check_dataclass,
}

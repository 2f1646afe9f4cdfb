"""Whether JSON carries the values of a core schema exactly, and the schema to write them with.

`exact_schema` copies a schema for serialization only. It gives up at a node that JSON does not
carry exactly, or that has a key not listed here, so what pydantic adds later is never assumed
to be exact. In the copy
- a bool is no int and no float, so that the receiver refuses it as it would in Python;
- temporal values, decimals and UUIDs must be of the very class, their zone none or UTC;
- floats keep NaN and infinity, whatever the configuration of the model around them says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from typing import Any, cast
from uuid import UUID

from pydantic_core import TzInfo, core_schema

Node = dict[str, Any]

_FLOATS = core_schema.CoreConfig(ser_json_inf_nan="constants")
_BOUNDS = {"le", "ge", "lt", "gt"}
_LENGTHS = {"min_length", "max_length", "fail_fast", "strict"}
_TEMPORAL = _BOUNDS | {"now_op", "now_utc_offset", "tz_constraint", "microseconds_precision"}
_TEXT = {"pattern", "regex_engine", "strip_whitespace", "to_lower", "to_upper", "ascii_only"}
_DEFAULT = {"default", "default_factory", "default_factory_takes_data", "validate_default", "copy_default"}
_FIELD = {"schema", "required", "frozen", "validation_alias", "serialization_alias"}
_CLASS = {"cls", "schema", "config", "frozen", "revalidate_instances", "generic_origin"}
_KNOWN_KEYS: dict[str, set[str]] = {
    "none": set(),
    "bool": set(),
    "int": _BOUNDS | {"multiple_of"},
    "float": _BOUNDS | {"multiple_of", "allow_inf_nan"},
    "str": _LENGTHS | _TEXT | {"coerce_numbers_to_str"},
    "decimal": _BOUNDS | {"multiple_of", "allow_inf_nan", "max_digits", "decimal_places"},
    "uuid": {"version"},
    "date": _TEMPORAL,
    "datetime": _TEMPORAL,
    "time": _TEMPORAL,
    "timedelta": _TEMPORAL,
    "enum": {"cls", "members", "sub_type", "missing"},
    "literal": {"expected"},
    "list": _LENGTHS | {"items_schema"},
    "set": _LENGTHS | {"items_schema"},
    "frozenset": _LENGTHS | {"items_schema"},
    "tuple": _LENGTHS | {"items_schema", "variadic_item_index"},
    "dict": _LENGTHS | {"keys_schema", "values_schema"},
    "nullable": {"schema"},
    "default": {"schema"} | _DEFAULT,
    "union": {"choices", "mode"},
    "tagged-union": {"choices", "discriminator", "from_attributes"},
    "typed-dict": {"fields", "cls", "cls_name", "config", "extra_behavior", "total", "computed_fields"},
    "typed-dict-field": _FIELD,
    "model": _CLASS | {"custom_init", "root_model"},
    "model-fields": {"fields", "model_name", "computed_fields", "extra_behavior", "from_attributes"},
    "model-field": _FIELD,
    "dataclass": _CLASS | {"fields", "post_init", "slots"},
    "dataclass-args": {"fields", "dataclass_name", "computed_fields", "collect_init_only"},
    "dataclass-field": _FIELD | {"name", "kw_only", "init"},
    "definitions": {"schema", "definitions"},
    "definition-ref": {"schema_ref"},
}
_EVERYWHERE = {"type", "ref", "metadata", "strict"}
_CHILDREN = ("schema", "items_schema", "keys_schema", "values_schema", "choices", "fields", "definitions")
_NEEDED = {
    "list": {"items_schema"},
    "set": {"items_schema"},
    "frozenset": {"items_schema"},
    "tuple": {"items_schema"},
    "dict": {"keys_schema", "values_schema"},
}
_CLASSES: dict[str, type] = {
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "decimal": Decimal,
    "uuid": UUID,
}
_JSON_KINDS = {
    "none": "null",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "string",
    **dict.fromkeys(_CLASSES, "string"),
    **dict.fromkeys(("list", "set", "frozenset", "tuple"), "array"),
    **dict.fromkeys(("dict", "typed-dict", "model", "dataclass", "tagged-union"), "object"),
}
_VALUE_KINDS: dict[type, str] = {type(None): "null", bool: "bool", int: "int", str: "string"}
_IMMUTABLE = (type(None), bool, int, float, str, bytes, Enum, date, time, timedelta, tzinfo, Decimal, UUID)


class Inexact(Exception):
    """JSON does not carry these values exactly."""


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
        known = _KNOWN_KEYS.get(kind)
        if (
            known is None
            or not node.keys() <= known | _EVERYWHERE
            or not _NEEDED.get(kind, set()) <= node.keys()
        ):
            raise Inexact(kind)
        if check := _CHECKS.get(kind):
            check(self, node)
        copied = {key: value for key, value in node.items() if key not in ("metadata", "ref")}
        for key in _CHILDREN:
            if key in copied:
                copied[key] = self.each(copied[key])
        if rewrite := _REWRITES.get(kind):
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


def _only_int(copied: Node) -> Node:
    return {"type": "union", "choices": [copied, {"type": "bool"}]}


def _only_float(copied: Node) -> Node:
    return {"type": "union", "choices": [copied, {"type": "bool"}, {"type": "int"}]}


def _checked(copied: Node) -> Node:
    kind: str = copied["type"]
    check = _check_clock if kind in ("datetime", "time") else _check_class
    function = core_schema.plain_serializer_function_ser_schema(
        check(_CLASSES[kind]), return_schema=cast("core_schema.CoreSchema", {"type": kind})
    )
    return {**copied, "serialization": function}


def _only_instances(copied: Node) -> Node:
    # Alone, models and dataclasses are written by their attributes, whatever class the value has;
    # as choices of a union they must be instances of theirs.
    return {"type": "union", "choices": [{**copied, "config": _FLOATS}, {"type": "none"}]}


def _check_class(cls: type) -> Callable[[Any], object]:
    def check(value: object) -> object:
        if type(value) is not cls:
            raise Inexact(cls)
        return value

    return check


def _check_clock(cls: type) -> Callable[[Any], object]:
    def check(value: Any) -> object:
        exact: bool = type(value) is cls
        if not exact or value.fold or not _survives(value.tzinfo):
            raise Inexact(cls)
        return value

    return check


def _survives(zone: tzinfo | None) -> bool:
    """Whether pydantic makes an equal time zone of what ISO 8601 says about it."""
    if type(zone) is TzInfo:
        offset = zone.utcoffset(None)
        return offset is not None and not offset % timedelta(minutes=1)
    return zone is None or zone is UTC


def _without_computed(copied: Node) -> Node:
    return {**copied, "computed_fields": []}


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
_REWRITES: dict[str, Callable[[Node], Node]] = {
    "int": _only_int,
    "float": _only_float,
    "model": _only_instances,
    "dataclass": _only_instances,
    "model-fields": _without_computed,
    "dataclass-args": _without_computed,
    "typed-dict": lambda copied: {**copied, "config": _FLOATS, "computed_fields": []},
    **dict.fromkeys(_CLASSES, _checked),
}

"""How the nodes of a schema change in the copy that values are written with.

- a bool is no int and no float, so that the receiver refuses it as it would in Python;
- temporal values, decimals and UUIDs must be of the very class, their zone none or UTC;
- floats keep NaN and infinity, whatever the configuration of the model around them says;
- what is no instance of a model or dataclass is not written as one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from pydantic_core import TzInfo, core_schema

Node = dict[str, Any]

_FLOATS = core_schema.CoreConfig(ser_json_inf_nan="constants")
CLASSES: dict[str, type] = {
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "decimal": Decimal,
    "uuid": UUID,
}


class Inexact(Exception):
    """JSON does not carry these values exactly."""


def _only_int(copied: Node) -> Node:
    return {"type": "union", "choices": [copied, {"type": "bool"}]}


def _only_float(copied: Node) -> Node:
    return {"type": "union", "choices": [copied, {"type": "bool"}, {"type": "int"}]}


def _checked(copied: Node) -> Node:
    kind: str = copied["type"]
    check = _check_clock if kind in ("datetime", "time") else _check_class
    function = core_schema.plain_serializer_function_ser_schema(
        check(CLASSES[kind]), return_schema=cast("core_schema.CoreSchema", {"type": kind})
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


REWRITES: dict[str, Callable[[Node], Node]] = {
    "int": _only_int,
    "float": _only_float,
    "model": _only_instances,
    "dataclass": _only_instances,
    "model-fields": _without_computed,
    "dataclass-args": _without_computed,
    "typed-dict": lambda copied: {**copied, "config": _FLOATS, "computed_fields": []},
    **dict.fromkeys(CLASSES, _checked),
}

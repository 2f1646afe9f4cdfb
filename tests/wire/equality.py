"""Equality that the codec is held to: equal values of equal types, all the way down."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of equal types, recursively."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, BaseModel):
        return (
            same(one.__dict__, other.__dict__)
            and one.model_fields_set == other.model_fields_set
            and same(one.__pydantic_extra__, other.__pydantic_extra__)
            and same(one.__pydantic_private__, other.__pydantic_private__)
        )
    if dataclasses.is_dataclass(one):
        return all(
            same(getattr(one, each.name), getattr(other, each.name)) for each in dataclasses.fields(one)
        )
    if isinstance(one, datetime | time):
        return one == other and one.fold == other.fold and _same_zone(one, other)
    if isinstance(one, re.Pattern):
        return _same_pattern(one, other)
    return _same_container(one, other, one.__class__)


def _same_pattern(one: Any, other: Any) -> bool:
    return bool(one.pattern == other.pattern and one.flags == other.flags)


def _same_zone(one: Any, other: Any) -> bool:
    zones = (one.tzinfo, other.tzinfo)
    if any(isinstance(zone, ZoneInfo) for zone in zones):
        return zones[0] is zones[1]
    return bool(one.utcoffset() == other.utcoffset() and one.tzname() == other.tzname())


def _same_container(one: Any, other: Any, kind: type[object]) -> bool:
    if issubclass(kind, defaultdict) and one.default_factory is not other.default_factory:
        return False
    if issubclass(kind, deque) and one.maxlen != other.maxlen:
        return False
    if issubclass(kind, Mapping):
        return _all_same([*one.items()], [*other.items()])
    if issubclass(kind, list | tuple | deque):
        return _all_same([*one], [*other])
    if issubclass(kind, set | frozenset):
        return len(one) == len(other) and all(any(same(item, each) for each in other) for item in one)
    return bool(one == other)


def _all_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))

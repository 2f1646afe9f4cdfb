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
        return bool(one.pattern == other.pattern and one.flags == other.flags)
    return _same_container(one, other)


def _same_zone(one: Any, other: Any) -> bool:
    zones = (one.tzinfo, other.tzinfo)
    if any(isinstance(zone, ZoneInfo) for zone in zones):
        return zones[0] is zones[1]
    return bool(one.utcoffset() == other.utcoffset() and one.tzname() == other.tzname())


def _same_container(one: Any, other: Any) -> bool:
    if isinstance(one, defaultdict) and one.default_factory is not other.default_factory:
        return False
    if isinstance(one, deque) and one.maxlen != other.maxlen:
        return False
    if isinstance(one, Mapping):
        return len(one) == len(other) and all(
            same(key, other_key) and same(item, other_item)
            for (key, item), (other_key, other_item) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(same(item, each) for each in other) for item in one)
    return bool(one == other)

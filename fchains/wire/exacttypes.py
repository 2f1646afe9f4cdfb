"""The exact types that a value of an annotation has, where pydantic's JSON would accept others.

pydantic writes an instance of `class Name(str)` for a `str` as plain text. Deep inside a value
that is what its validation does as well; a value passed directly must not change its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCALARS = frozenset((type(None), bool, int, float, str))
"""Types whose exact instances pydantic writes as they are, whatever else it would accept."""

_TYPES: dict[str, tuple[type, ...]] = {
    "none": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "list": (list,),
    "set": (set,),
    "frozenset": (frozenset,),
    "tuple": (tuple,),
    "dict": (dict,),
}


def exact_types(schema: Mapping[str, Any]) -> frozenset[type] | None:
    """The types to send by the plain engine, or None where every value may be tried."""
    kind = schema["type"]
    if kind in _TYPES:
        return frozenset(_TYPES[kind])
    if kind in ("nullable", "default", "definitions"):
        inner = exact_types(schema["schema"])
        return None if inner is None else inner | {type(None)}
    if kind == "union":
        plain = [choice for choice in schema["choices"] if not isinstance(choice, tuple)]
        known = [types for choice in plain if (types := exact_types(choice)) is not None]
        return frozenset[type]().union(*known) if len(known) == len(schema["choices"]) else None
    return None

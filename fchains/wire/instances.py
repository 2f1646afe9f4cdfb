"""The schema that arriving values are checked by: a model is an instance, never a dictionary.

pydantic makes a model of a dictionary even in strict mode, which would change a value's type, and
let the wrong choice of a union take it. JSON of a client is still an object.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic_core import CoreSchema

_KEPT = frozenset(("metadata", "config", "default", "expected", "members", "serialization"))


def requiring_instances(schema: CoreSchema) -> CoreSchema:
    """A copy whose models, outside of other models, take instances only."""
    return cast("CoreSchema", _copy(schema))


def _copy(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = [_copy(each) for each in cast("list[Any]", value)]
        return items if isinstance(value, list) else tuple(items)
    if not isinstance(value, dict):
        return value
    node = cast("dict[str, Any]", value)
    kind = node.get("type")
    if kind == "model":
        return _instance_or_json(node)
    if kind == "dataclass":
        return node
    return {
        key: each if key in _KEPT and isinstance(kind, str) else _copy(each) for key, each in node.items()
    }


def _instance_or_json(model: dict[str, Any]) -> dict[str, Any]:
    inner = {key: each for key, each in model.items() if key != "ref"}
    instance = {"type": "is-instance", "cls": model["cls"]}
    return {
        "type": "json-or-python",
        "json_schema": inner,
        "python_schema": {"type": "chain", "steps": [instance, inner]},
        **({"ref": model["ref"]} if "ref" in model else {}),
    }

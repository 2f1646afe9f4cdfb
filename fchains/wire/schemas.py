"""Core schemas of annotations, of one alone or of the parameters of a call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import CoreConfig, CoreSchema, SchemaError
from typing_extensions import TypedDict

from fchains.wire.refusal import UntransferableType

CONFIG = CoreConfig(val_json_bytes="base64", ser_json_bytes="base64")
"""In JSON for outside clients, bytes are base64."""

_TYPES_CONFIG = ConfigDict(arbitrary_types_allowed=True, val_json_bytes="base64", ser_json_bytes="base64")


def schema_of(annotation: Any) -> CoreSchema:
    """The core schema of a prepared annotation.

    Raises:
        UntransferableType: pydantic has no schema for it.
    """
    schema = _typed_dict({"value": annotation})
    if schema["type"] == "definitions":
        inner = schema["schema"]["fields"]["value"]["schema"]
        return cast("CoreSchema", {**schema, "schema": inner})
    return cast("CoreSchema", schema["fields"]["value"]["schema"])


def schema_of_fields(fields: Mapping[str, Any], required: Collection[str]) -> CoreSchema:
    """The core schema of a dictionary with these keys and no others.

    Raises:
        UntransferableType: pydantic has no schema for one of the prepared annotations.
    """
    keys = {name: each if name in required else NotRequired[each] for name, each in fields.items()}
    schema = _typed_dict(keys)
    if schema["type"] == "definitions":
        inner = {**schema["schema"], "extra_behavior": "forbid"}
        return cast("CoreSchema", {**schema, "schema": inner})
    return cast("CoreSchema", {**schema, "extra_behavior": "forbid"})


def _typed_dict(keys: dict[str, Any]) -> dict[str, Any]:
    # The configuration of a TypedDict reaches the dataclasses and TypedDicts within it, which
    # that of a TypeAdapter does not.
    make: Any = TypedDict
    arguments = make("Arguments", keys)
    arguments.__pydantic_config__ = _TYPES_CONFIG
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(arguments)
        adapter.rebuild(raise_errors=True)
        return cast("dict[str, Any]", adapter.core_schema)
    except (PydanticUserError, NameError, SchemaError, TypeError) as exc:
        to_blame = keys["value"] if keys.keys() == {"value"} else keys
        raise UntransferableType(to_blame, str(exc).splitlines()[0]) from exc

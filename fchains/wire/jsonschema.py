"""JSON schemas that never fail: a type without a JSON form is any value."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema


class _Generator(GenerateJsonSchema):
    """pydantic's generator, which gives up on such types."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        cls: object = schema.get("cls")
        return {"description": f"a {cls.__qualname__}"} if isinstance(cls, type) else {}


def generate(schema: CoreSchema, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """The JSON schema of a core schema."""
    return _Generator().generate(schema, mode)

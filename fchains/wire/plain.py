"""The plain engine: pydantic-core's own JSON, for annotations where that is exact."""

from __future__ import annotations

from typing import cast

from pydantic_core import CoreConfig, CoreSchema, SchemaError, SchemaSerializer

from fchains.wire.exact import exact_schema
from fchains.wire.exact_rewrites import Inexact

_CONFIG = CoreConfig(ser_json_inf_nan="constants")


class Plain:
    """Writes values of one schema as JSON that pydantic's strict validation reads back exactly.

    Models are written without their unset fields, which keeps their `model_fields_set`.

    Raises:
        Inexact: JSON does not carry the values of this schema exactly.
    """

    __slots__ = ("_careful", "_classes", "_comparer", "_serializer")

    def __init__(self, schema: CoreSchema) -> None:
        exact = exact_schema(schema)
        self._careful = exact.careful
        self._classes = exact.classes
        self._comparer = SchemaSerializer(schema, _CONFIG)
        try:
            # False keeps pydantic from using what it compiled for each model class; before 2.13 it
            # cannot be told so, and the tagged engine carries models.
            own = (False,) if exact.classes else ()
            self._serializer = SchemaSerializer(cast("CoreSchema", exact.schema), _CONFIG, *own)
        except (SchemaError, TypeError) as exc:
            raise Inexact(exc) from exc

    def write(self, value: object) -> bytes | None:
        """The JSON of a value, or None where the value is not exactly of this schema."""
        for cls in self._classes:
            if cls.__subclasses__():
                return None
        write = self._serializer.to_json
        try:
            body = write(value, by_alias=False, exclude_unset=True, warnings="error")
            if self._careful and not self._unset_are_defaults(value):
                return None
        except Exception:
            # The value does not fit; the tagged engine carries it, and the receiver says so.
            return None
        return body

    def write_scalars(self, value: object) -> bytes | None:
        """The same where each part is known to be a scalar of the right type; it costs a third."""
        try:
            return self._serializer.to_json(value)
        except ValueError:
            return None

    def _unset_are_defaults(self, value: object) -> bool:
        """Whether each unset field has its default, so that the receiver makes an equal one."""
        write = self._comparer.to_json
        changed = write(value, exclude_defaults=True, round_trip=True)
        return changed == write(value, exclude_defaults=True, exclude_unset=True, round_trip=True)


def plain_engine(schema: CoreSchema) -> Plain | None:
    """The plain engine of a schema, if its JSON is exact."""
    try:
        return Plain(schema)
    except Inexact:
        return None

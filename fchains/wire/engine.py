"""Both engines for one core schema, and its JSON for outside clients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, from_json, to_json

from fchains.errors import SerializationError
from fchains.wire.classes import ClassLookup
from fchains.wire.explain import places_of, steps_of
from fchains.wire.instances import requiring_instances
from fchains.wire.payload import Payload
from fchains.wire.plain import Plain, plain_engine
from fchains.wire.refusal import Refused, name_of
from fchains.wire.schemas import CONFIG
from fchains.wire.survey import survey
from fchains.wire.tagged import decode_tagged, new_writer
from fchains.wire.tree import Tree, Writer

Mode = Literal["validation", "serialization"]


class Engine:
    """Encodes and decodes the values of one core schema; what it needs is built on first use.

    Args:
        schema: of an annotation, or of the parameters of a call.
        classes: finds the classes that are not named in the schema.

    Raises:
        UntransferableType: values of a part of the schema cannot travel.
    """

    def __init__(self, schema: CoreSchema, classes: ClassLookup) -> None:
        self.schema = schema
        self._survey = survey(schema)
        self.classes = classes.knowing(self._survey.classes)

    @cached_property
    def plain(self) -> Plain | None:
        """The plain engine, where JSON is exact."""
        return plain_engine(self.schema)

    @cached_property
    def validator(self) -> SchemaValidator:
        """Checks what arrives."""
        return SchemaValidator(requiring_instances(self.schema), CONFIG)

    @cached_property
    def serializer(self) -> SchemaSerializer:
        """Writes JSON for outside clients, and for types with a JSON form of their own."""
        return SchemaSerializer(self.schema, CONFIG)

    def write_tagged(self, value: object, what: str, write: Callable[[Writer], Tree]) -> Payload:
        """The payload of a value that the plain engine does not carry.

        A type with a wire form of its own, or unknown to the tagged engine, goes by its serializer.
        """
        if self._survey.converted and (own := self._write_own_form(value)):
            return own
        writer = new_writer(self.classes)
        try:
            return writer.payload(write(writer))
        except Refused as refused:
            if own := self._write_own_form(value):
                return own
            place = f"{refused.what or what}{refused.path}"
            raise SerializationError(f"{place}: {refused.reason}") from refused.__cause__

    def _write_own_form(self, value: object) -> Payload | None:
        if not self._survey.serialized or self._survey.lossy:
            return None
        try:
            return Payload(self.serializer.to_json(value, by_alias=False, round_trip=True, warnings="error"))
        except ValueError:
            return None

    def check_any(self, value: object) -> None:
        """Refuse what stands where the annotation says `Any` and is not like JSON."""
        try:
            self.validator.validate_python(value, strict=True, by_alias=False, by_name=True)
        except ValidationError as error:
            for each in error.errors(include_url=False, include_context=False):
                if each["type"] == "invalid-json-value":
                    got = name_of(each["input"].__class__)
                    refused = Refused(f"`Any` allows JSON-like values only, got a {got}: annotate its type")
                    refused.under(steps_of(places_of(each, value)))
                    raise refused from None

    def read(self, payload: Payload) -> Any:
        """The value of a payload, strictly checked."""
        if payload.tagged:
            value = decode_tagged(payload, self.classes)
            return self.validator.validate_python(value, strict=True, by_alias=False, by_name=True)
        return self.validator.validate_json(payload.body, strict=True, by_alias=False, by_name=True)

    def look(self, payload: Payload) -> Any:
        """The value of a payload as it came, for a message about what is wrong with it."""
        return decode_tagged(payload, self.classes) if payload.tagged else from_json(payload.body)

    def parse_json(self, raw: bytes | bytearray | str) -> Any:
        """The value of a client's JSON, checked as pydantic does by default."""
        return self.validator.validate_json(raw)

    def parse_object(self, value: object) -> Any:
        """The same for JSON-like data that is parsed already; bytes may stand in it."""
        return self.validator.validate_json(to_json(value, bytes_mode="base64"))

    def render_json(self, value: object, what: str) -> bytes:
        """The JSON of a value for a client."""
        try:
            return self.serializer.to_json(value, by_alias=True, warnings="error")
        except ValueError as exc:
            raise SerializationError(f"{what} has no JSON form: {exc}") from exc

    def json_schema(self, mode: Mode) -> dict[str, Any]:
        """The JSON schema; types that have none are described as any value."""
        from fchains.wire.jsonschema import generate

        return generate(self.schema, mode)

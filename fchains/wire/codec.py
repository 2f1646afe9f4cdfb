"""The codec of one annotation: a result, a stream's item, a resource's value."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from fchains.wire.annotations import prepare
from fchains.wire.classes import ClassLookup
from fchains.wire.engine import Engine, Mode
from fchains.wire.exacttypes import SCALARS, exact_types
from fchains.wire.payload import Payload
from fchains.wire.refusal import UntransferableType
from fchains.wire.schemas import schema_of
from fchains.wire.tree import Tree, Writer

__all__ = ["Codec", "UntransferableType"]

T = TypeVar("T")


class Codec(Generic[T]):
    """Carries the values of one annotation between processes, and as JSON to and from clients.

    Args:
        annotation: any type that pydantic validates, or that has an adapter.
        classes: finds classes that the annotation does not name, such as subclasses.

    Raises:
        UntransferableType: values of the annotation cannot travel.
    """

    def __init__(self, annotation: Any, *, classes: ClassLookup | None = None) -> None:
        prepared, self._has_any = prepare(annotation)
        self._engine = Engine(schema_of(prepared), classes or ClassLookup())
        self._exact_types = exact_types(self._engine.schema)

    def encode(self, value: T, *, what: str) -> Payload:
        """The payload of a value; whether it fits the annotation is judged where it arrives.

        Args:
            value: the value.
            what: names it in messages, such as "the result of `f`".

        Raises:
            SerializationError: the value cannot travel; the message names the path of the part.
        """
        plain = self._engine.plain
        types = self._exact_types
        cls = type(value)
        if plain is not None and (types is None or cls in types):
            is_scalar = types is not None and cls in SCALARS
            body = plain.write_scalars(value) if is_scalar else plain.write(value)
            if body is not None:
                return Payload(body)
        return self._engine.write_tagged(value, what, lambda writer: self.write(writer, value))

    def write(self, writer: Writer, value: object) -> Tree:
        """The tagged tree of a value, refused where it is not what `Any` allows."""
        before, writer.tagged = writer.tagged, False
        tree = writer.write(value)
        if writer.tagged and self._has_any:
            self._engine.check_any(value)
        writer.tagged = writer.tagged or before
        return tree

    def decode(self, payload: Payload) -> T:
        """The value of a payload, strictly checked (int for float excepted).

        Raises:
            pydantic.ValidationError: the value does not fit the annotation.
            SerializationError: it names a class that this process cannot find.
            ValueError: the payload is malformed.
        """
        value: T = self._engine.read(payload)
        return value

    def parse_json(self, raw: bytes | bytearray | str) -> T:
        """The value of a client's JSON, in pydantic's JSON mode; bytes are base64 in it.

        Raises:
            pydantic.ValidationError: it is not JSON, or does not fit the annotation.
        """
        value: T = self._engine.parse_json(raw)
        return value

    def parse_object(self, value: object) -> T:
        """The same for JSON-like data that is parsed already; bytes may stand in it as they are."""
        parsed: T = self._engine.parse_object(value)
        return parsed

    def render_json(self, value: T, *, what: str = "the value") -> bytes:
        """The JSON of a value for a client, by alias; bytes are base64 in it.

        Raises:
            SerializationError: the value does not fit the annotation, or has no JSON form.
        """
        return self._engine.render_json(value, what)

    def json_schema(self, mode: Mode = "validation") -> dict[str, Any]:
        """The JSON schema of what `parse_json` takes or, in mode "serialization", `render_json` gives."""
        return self._engine.json_schema(mode)

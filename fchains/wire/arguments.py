"""The codec of a call's arguments: a dictionary of the parameters that were given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from fchains.errors import InvalidArguments
from fchains.wire.annotations import prepare
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec
from fchains.wire.engine import Engine
from fchains.wire.exacttypes import SCALARS, exact_types
from fchains.wire.explain import details_of, explain
from fchains.wire.payload import Payload
from fchains.wire.refusal import Refused, UntransferableType
from fchains.wire.schemas import schema_of_fields
from fchains.wire.tree import Tree, Writer

T = TypeVar("T")

_EMPTY = Payload(b"{}")


class ArgumentsCodec:
    """Carries the arguments of one function.

    Args:
        fields: the annotation of each parameter.
        required: the parameters without a default.
        classes: finds classes that no annotation names, such as subclasses.

    Raises:
        UntransferableType: values of an annotation cannot travel; the message names the parameter.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        required: Collection[str],
        *,
        classes: ClassLookup | None = None,
    ) -> None:
        self._fields = dict(fields)
        self._classes = classes or ClassLookup()
        self._required = frozenset(required)
        prepared = {name: self._part(name, partial(prepare, each)) for name, each in fields.items()}
        try:
            schema = schema_of_fields({name: each for name, (each, _) in prepared.items()}, self._required)
            self._engine = Engine(schema, self._classes)
        except UntransferableType:
            for name, annotation in fields.items():
                self._part(name, partial(Codec[Any], annotation))
            raise
        self._with_any = frozenset(name for name, (_, has_any) in prepared.items() if has_any)

    @staticmethod
    def _part(name: str, make: Callable[[], T]) -> T:
        try:
            return make()
        except UntransferableType as exc:
            raise UntransferableType(exc.annotation, f"parameter `{name}`: {exc.reason}", exc.hint) from exc

    @cached_property
    def _exact_types(self) -> dict[str, frozenset[type]]:
        schema: Any = self._engine.schema
        fields = (schema["schema"] if schema["type"] == "definitions" else schema)["fields"]
        found = {name: exact_types(each["schema"]) for name, each in fields.items()}
        return {name: types for name, types in found.items() if types is not None}

    @cached_property
    def _codecs(self) -> dict[str, Codec[Any]]:
        return {name: Codec(self._fields[name]) for name in self._with_any}

    def encode(self, values: Mapping[str, object]) -> Payload:
        """The payload of the given arguments; whether they fit is judged where they arrive.

        Raises:
            SerializationError: one cannot travel; the message names it and the path of the part.
        """
        if not values:
            return _EMPTY
        body = self._write_plain(values)
        if body is not None:
            return Payload(body)
        return self._engine.write_tagged(values, "the arguments", lambda writer: self._write(writer, values))

    def _write_plain(self, values: Mapping[str, object]) -> bytes | None:
        plain = self._engine.plain
        if plain is None:
            return None
        are_scalars = True
        exact_types = self._exact_types
        for name, value in values.items():
            cls = type(value)
            types = exact_types.get(name)
            if types is None or cls not in SCALARS:
                are_scalars = False
            if types is not None and cls not in types:
                return None
        return plain.write_scalars(values) if are_scalars else plain.write(values)

    def _write(self, writer: Writer, values: Mapping[str, object]) -> Tree:
        trees: dict[str, Tree] = {}
        for name, value in values.items():
            try:
                codec = self._codecs.get(name)
                trees[name] = codec.write(writer, value) if codec else writer.write(value)
            except Refused as refused:
                refused.what = f"argument `{name}`"
                raise
        return trees

    def decode(self, payload: Payload) -> dict[str, Any]:
        """The arguments of a payload, strictly checked (int for float excepted).

        Raises:
            InvalidArguments: one does not fit its annotation, or the payload is malformed.
            SerializationError: a value is of a class that this process cannot find.
        """
        if payload.body == b"{}" and not self._required:
            return {}
        try:
            values: dict[str, Any] = self._engine.read(payload)
        except ValueError as exc:
            raise self._invalid(exc, lambda: self._engine.look(payload)) from exc
        return values

    def parse_json(self, raw: bytes | bytearray | str) -> dict[str, Any]:
        """The arguments in a client's JSON object, in pydantic's JSON mode; bytes are base64 in it.

        Raises:
            InvalidArguments: it is no JSON object, or one does not fit, is missing or unknown.
        """
        try:
            values: dict[str, Any] = self._engine.parse_json(raw)
        except ValueError as exc:
            raise self._invalid(exc, lambda: from_json(raw)) from exc
        return values

    def parse_object(self, value: object) -> dict[str, Any]:
        """The same for JSON-like data that is parsed already; bytes may stand in it as they are."""
        try:
            values: dict[str, Any] = self._engine.parse_object(value)
        except ValueError as exc:
            raise self._invalid(exc, lambda: value) from exc
        return values

    def _invalid(self, error: ValueError, look: Callable[[], object]) -> InvalidArguments:
        if not isinstance(error, ValidationError):
            return InvalidArguments(f"the arguments are malformed: {error}")
        try:
            value = look()
        except ValueError:
            value = None
        return InvalidArguments(explain(error, value, self._fields.keys()), details_of(error, value))

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the object that `parse_json` takes."""
        return self._engine.json_schema("validation")

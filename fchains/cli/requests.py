"""From what was typed to the call that is to be made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fchains.cli.calling import Request
from fchains.cli.chainlet_options import Given, require
from fchains.cli.exits import UsageError
from fchains.cli.fields import Field, fields_of
from fchains.cli.inputs import Inputs
from fchains.cli.own_options import OwnOptions
from fchains.cli.values import items_of, object_of, parsed_lines
from fchains.definition.spec import Definition
from fchains.errors import InvalidArguments
from fchains.wire.arguments import ArgumentsCodec
from fchains.wire.codec import Codec


def request_of(reference: str, definition: Definition, given: Given, own: OwnOptions) -> Request:
    """The call that a command line asks for.

    Args:
        reference: as it was typed, for messages.
        definition: the chainlet.
        given: what stands after the reference.
        own: the options of `fchains run` itself.

    Raises:
        UsageError: something is missing, or does not fit its type.
    """
    if own.timeout is not None and own.timeout <= 0:
        raise UsageError(f"--timeout is a number of seconds above 0, not {own.timeout:g}")
    inputs = Inputs()
    fields = fields_of(definition)
    mapped = _mapped(definition, fields, given) if own.map_file is not None else None
    objects = _objects(fields, given, inputs, own.input_file)
    missing = [f for f in fields if f.required and f.name not in objects and f is not mapped]
    require(reference, definition, missing)
    items = None
    if mapped is not None and own.map_file is not None:
        lines = inputs.lines(own.map_file, "--map")
        items = parsed_lines(Codec[Any](mapped.annotation), lines, f"--map {own.map_file}")
    checked = [field for field in fields if field is not mapped]
    arguments = _values(definition, checked, objects, inputs)
    return Request(definition, arguments, items, own.timeout, own.quiet)


def _mapped(definition: Definition, fields: Sequence[Field], given: Given) -> Field:
    if definition.kind == "stream":
        raise UsageError(f"--map needs a function, and {definition.name} is a generator")
    if not fields or fields[0].kind == "stream":
        raise UsageError(
            f"--map needs a first parameter to give the lines to: {definition.signature.describe()}"
        )
    if fields[0].name in given.texts:
        raise UsageError(f"--map gives {fields[0].option} already")
    return fields[0]


def _objects(
    fields: Sequence[Field], given: Given, inputs: Inputs, input_file: str | None
) -> dict[str, object]:
    """What was given for each parameter, as JSON-like objects; of streamed ones the path of the file."""
    objects = _read_object(input_file, inputs) if input_file is not None else {}
    for field in fields:
        texts = given.texts.get(field.name)
        if isinstance(texts, bool):
            objects[field.name] = texts
        elif texts is not None:
            objects[field.name] = texts[-1] if field.kind == "stream" else object_of(field, texts, inputs)
    return objects


def _read_object(path: str, inputs: Inputs) -> dict[str, object]:
    try:
        content = json.loads(inputs.read(path, "--input"))
    except ValueError as error:
        raise UsageError(f"--input {path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--input {path} is no JSON object of the parameters")
    return cast("dict[str, object]", content)


def _values(
    definition: Definition, fields: Sequence[Field], objects: dict[str, object], inputs: Inputs
) -> Mapping[str, object]:
    streams = {f.name: objects.pop(f.name) for f in fields if f.kind == "stream" and f.name in objects}
    sent = [field for field in fields if field.kind != "stream"]
    codec = ArgumentsCodec({f.name: f.annotation for f in sent}, [f.name for f in sent if f.required])
    try:
        values: dict[str, object] = codec.parse_object(objects)
    except InvalidArguments as error:
        raise UsageError(f"{error}\n  {definition.signature.describe()}") from error
    for field in fields:
        if field.name in streams:
            values[field.name] = _stream(definition, field, streams[field.name], inputs)
    return values


def _stream(definition: Definition, field: Field, given: object, inputs: Inputs) -> object:
    codec = definition.types.uploads[field.name]
    if isinstance(given, str):
        return items_of(codec, field, given, inputs)
    if not isinstance(given, list):
        raise UsageError(f"`{field.name}` is a stream: --input must hold a list for it")
    try:
        return [codec.parse_object(item) for item in cast("list[object]", given)]
    except ValueError as error:
        raise UsageError(f"`{field.name}`: {error}") from error

"""From the text of an option to a value: JSON where the type asks for it, plain text where it fits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from fchains.cli.exits import UsageError
from fchains.cli.fields import Field, choices_of, item_of, kind_of
from fchains.cli.inputs import Inputs
from fchains.wire.codec import Codec

_FILE = "@"
_STRUCTURE = ("{", "[", '"')


def object_of(field: Field, texts: Sequence[str], inputs: Inputs) -> object:
    """The JSON-like object that the texts of a parameter's option stand for; bytes may stand in it.

    Args:
        field: the parameter.
        texts: one for each time the option was given.
        inputs: opens the files that they name.

    Raises:
        UsageError: a file cannot be read, or what must be JSON is none.
    """
    if field.kind != "list":
        return _one(field.annotation, texts[-1], field.option, inputs)
    item = item_of(field.annotation)
    if len(texts) > 1:
        return [_one(item, text, field.option, inputs) for text in texts]
    if kind_of(item) == "bytes":
        return [inputs.read(texts[0], field.option)]
    return _fitting(field.annotation, _of_list(item, texts[0], field.option, inputs))


def items_of(codec: Codec[Any], field: Field, path: str, inputs: Inputs) -> AsyncIterator[Any]:
    """The values in the lines of a file, one JSON value each."""
    return parsed_lines(codec, inputs.lines(path, field.option), f"{field.option} {path}")


async def parsed_lines(
    codec: Codec[Any], lines: AsyncIterator[tuple[int, bytes]], what: str
) -> AsyncIterator[Any]:
    """Decode lines of JSON.

    Raises:
        UsageError: a line does not fit; the message has its number.
    """
    async for number, line in lines:
        try:
            value = codec.parse_json(line)
        except ValueError as error:
            raise UsageError(f"{what}, line {number}: {first_line(error)}") from error
        yield value


def first_line(error: ValueError) -> str:
    """What is wrong with a value, in one line."""
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False)[0]
        path = ".".join(map(str, details["loc"]))
        return f"{path}: {details['msg']}" if path else details["msg"]
    return str(error).partition("\n")[0]


def _one(annotation: Any, text: str, option: str, inputs: Inputs) -> object:
    match kind_of(annotation):
        case "text":
            return text
        case "bytes":
            return inputs.read(text, option)
        case _:
            return _fitting(annotation, _of_value(annotation, text, option, inputs))


def _of_list(item: Any, text: str, option: str, inputs: Inputs) -> Iterator[object]:
    if text.startswith((_FILE, "[")):
        yield _json(text, option, inputs)
    if not text.startswith(_FILE):
        yield [_one(item, text, option, inputs)]


def _of_value(annotation: Any, text: str, option: str, inputs: Inputs) -> Iterator[object]:
    choices = choices_of(annotation)
    if text in choices:
        yield choices[text]
        return
    if text.startswith((_FILE, *_STRUCTURE)):
        yield _json(text, option, inputs)
        return
    with contextlib.suppress(ValueError):
        yield json.loads(text)
    yield text


def _json(text: str, option: str, inputs: Inputs) -> object:
    where = option
    raw: str | bytes = text
    if text.startswith(_FILE):
        where = f"{option} {text}"
        raw = inputs.read(text.removeprefix(_FILE), option)
    try:
        return json.loads(raw)
    except ValueError as error:
        raise UsageError(f"{where} is no JSON: {error}") from error


def _fitting(annotation: Any, candidates: Iterator[object]) -> object:
    """The first that the type takes, or the first of all: the check of all arguments names its fault."""
    codec: Codec[Any] = Codec(annotation)
    tried: list[object] = []
    for candidate in candidates:
        tried.append(candidate)
        try:
            codec.parse_object(candidate)
        except ValueError:
            continue
        return candidate
    return tried[0]

"""`fchains run`: one call, with arguments from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, cast

import typer

from fchains.calls.using import default_runner, use_runner
from fchains.cli.calling import Request, carry_out
from fchains.cli.chainlet_options import Given, parse_options, require
from fchains.cli.exits import CallFailed, OutputGone, UsageError
from fchains.cli.fields import Field, fields_of
from fchains.cli.inputs import Inputs
from fchains.cli.interrupts import orderly
from fchains.cli.own_options import (
    AsJson,
    InputFile,
    MapFile,
    Output,
    OwnOptions,
    Quiet,
    RunnerName,
    Timeout,
)
from fchains.cli.reporting import reported
from fchains.cli.results import Results, is_gone, output_file, standard_output
from fchains.cli.sources import Source, load_sound
from fchains.cli.values import items_of, object_of, parsed_lines
from fchains.config import Settings
from fchains.definition.graph import entrypoint
from fchains.definition.spec import Definition
from fchains.errors import InvalidArguments
from fchains.wire.arguments import ArgumentsCodec
from fchains.wire.codec import Codec

CONTEXT: dict[str, Any] = {"allow_interspersed_args": False}
EPILOG = """\b
Examples:
  fchains run hello.py --names '["Ada", "Grace"]'
  fchains run hello.py::greet --name Ada --language fr --json
  fchains run hello.py::greet --map names.ndjson > greetings.txt
  fchains run hello.py --help

\b
How arguments are written:
  --name VALUE       each parameter of the function is an option: _ becomes -
  --flag, --no-flag  a bool
  --names '["Ada"]'  lists, dicts, models and dataclasses as JSON, or from a file: --names @names.json
  --names A --names B
                     lists also item by item
  --audio talk.wav   bytes: the content of a file, or of standard input for -
  --chunks FILE      a streamed parameter: an item per line as JSON
"""


@reported
def run(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="file.py, file.py::name or pkg.module:name; REF --help shows its own."
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENTS", help="Options made from the signature.")
    ] = None,
    runner: RunnerName = None,
    as_json: AsJson = False,
    input_file: InputFile = None,
    map_file: MapFile = None,
    timeout: Timeout = None,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Call a chainlet, and print its result.

    Its arguments are options made from its signature. Without ::name it is the entrypoint. A
    generator's items are printed as they come. What the functions themselves print is not touched;
    with --json it goes to standard error.
    """
    given = arguments or []
    own = OwnOptions(runner, as_json, input_file, map_file, timeout, output, quiet)
    with orderly():
        with standard_output(only_results=as_json or "--json" in given):
            source = load_sound(reference)
        definition = _chosen(reference, source)
        parsed = parse_options(reference, definition, given)
        own = own.then(parsed.own)
        request = _request(reference, definition, parsed, own)
        _call(request, own)


def _chosen(reference: str, source: Source) -> Definition:
    if source.target is not None:
        return source.target
    found, problems = entrypoint(source.graph)
    if found is None or problems:
        joint = "::" if reference.endswith(".py") else ":"
        candidates = source.graph.tops or source.graph.roots
        names = "\n".join(f"  fchains run {reference}{joint}{each.name}" for each in candidates)
        raise UsageError(f"{reference} has several chainlets and no marked entrypoint; name one:\n{names}")
    return found


def _request(reference: str, definition: Definition, given: Given, own: OwnOptions) -> Request:
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


def _call(request: Request, own: OwnOptions) -> None:
    name = own.runner or Settings.from_env(os.environ).runner or default_runner()
    with ExitStack() as stack:
        out = stack.enter_context(standard_output(only_results=own.as_json and own.output is None))
        if own.output is not None:
            out = stack.enter_context(output_file(own.output))
        stack.enter_context(use_runner(name))
        results = Results(out, request.definition.types.result, as_json=own.as_json)
        try:
            carry_out(request, results)
        except CallFailed as failed:
            if isinstance(failed.error, BrokenPipeError) and is_gone(out):
                raise OutputGone from failed  # it was the user code that wrote there
            raise

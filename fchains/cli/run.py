"""`fchains run`: one call, with arguments from the command line."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from fchains.calls.plugins import load_runner
from fchains.calls.runner import Runner
from fchains.calls.using import default_runner, use_runner
from fchains.cli.calling import Request, carry_out
from fchains.cli.chainlet_options import parse_options
from fchains.cli.exits import CallFailed, OutputGone, UsageError
from fchains.cli.interrupts import orderly
from fchains.cli.logs import sink_for
from fchains.cli.own_options import (
    AsJson,
    InputFile,
    Logs,
    MapFile,
    Output,
    OwnOptions,
    Quiet,
    RequireGpu,
    RunnerName,
    Timeout,
)
from fchains.cli.reporting import reported
from fchains.cli.requests import request_of
from fchains.cli.results import Results, is_gone, output_file, standard_output
from fchains.cli.sources import Source, load_sound
from fchains.config import Settings
from fchains.definition.graph import entrypoint
from fchains.definition.spec import Definition

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
    log_format: Logs = None,
    require_gpu: RequireGpu = False,
) -> None:
    """Call a chainlet, and print its result.

    Its arguments are options made from its signature. Without ::name it is the entrypoint. A
    generator's items are printed as they come. What the functions themselves print is not touched on
    the inline runner; with --json or --log-format json, and on other runners, it goes to standard error.
    """
    given = arguments or []
    own = OwnOptions(runner, as_json, input_file, map_file, timeout, output, quiet, log_format, require_gpu)
    with orderly():
        with standard_output(only_results=own.only_results or _only_results(given)):
            source = load_sound(reference)
        definition = _chosen(reference, source)
        parsed = parse_options(reference, definition, given)
        own = own.then(parsed.own)
        request = request_of(reference, definition, parsed, own)
        _call(request, own)


def _only_results(given: Sequence[str]) -> bool:
    """Whether it is asked for after the reference; what that names is not loaded yet."""
    return (
        "--json" in given
        or "--log-format=json" in given
        or ("--log-format", "json") in itertools.pairwise(given)
    )


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


def _call(request: Request, own: OwnOptions) -> None:
    name = own.runner or Settings.from_env(os.environ).runner or default_runner()
    with ExitStack() as stack:
        out = stack.enter_context(standard_output(only_results=own.only_results and own.output is None))
        if own.output is not None:
            out = stack.enter_context(output_file(own.output))
        kind = load_runner(name)
        stack.enter_context(use_runner(_runner(name, kind, own), log_sink=sink_for(kind, own.log_format)))
        results = Results(out, request.definition.types.result, as_json=own.as_json)
        try:
            carry_out(request, results)
        except CallFailed as failed:
            if isinstance(failed.error, BrokenPipeError) and is_gone(out):
                raise OutputGone from failed  # it was the user code that wrote there
            raise


def _runner(name: str, kind: type[Runner], own: OwnOptions) -> Runner:
    if not own.require_gpu:
        return kind()
    options: dict[str, Any] = {"require_gpu": True}
    try:
        return kind(**options)
    except TypeError as error:
        raise UsageError(f"the runner {name!r} does not know --require-gpu") from error

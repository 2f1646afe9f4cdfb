"""The options of `fchains run` itself, which stand beside those of the chainlet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fchains.cli.logs import LogFormat

RunnerName = Annotated[
    str | None, typer.Option("--runner", metavar="NAME", help="Where to run it; see `fchains runners`.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else to standard output.")
]
InputFile = Annotated[
    str | None,
    typer.Option(
        "--input", metavar="FILE", help="Read the parameters from a JSON object; - is standard input."
    ),
]
MapFile = Annotated[
    str | None,
    typer.Option(
        "--map", metavar="FILE", help="Call it for each line of a file: JSON of its first parameter."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", help="Seconds it may take; of a stream, each item."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to a file.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Logs = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        metavar="text|json",
        help="How standard error shows what functions print and log; json: an object a line.",
    ),
]
RequireGpu = Annotated[
    bool, typer.Option("--require-gpu", help="Fail where a GPU that is asked for is missing.")
]


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """What was given to `fchains run` itself; the annotations say how."""

    runner: str | None = None
    as_json: bool = False
    input_file: str | None = None
    map_file: str | None = None
    timeout: float | None = None
    output: Path | None = None
    quiet: bool = False
    log_format: LogFormat | None = None
    require_gpu: bool = False

    @property
    def only_results(self) -> bool:
        """Whether standard output is for the result alone."""
        return self.as_json or self.log_format is LogFormat.JSON

    def then(self, later: Mapping[str, Any]) -> OwnOptions:
        """With what was given after the reference, which wins."""
        given = {name: value for name, value in later.items() if value is not None and value is not False}
        return replace(self, **given)


ANNOTATIONS: dict[str, tuple[str, Any]] = {
    "runner": ("--runner", RunnerName),
    "as_json": ("--json", AsJson),
    "input_file": ("--input", InputFile),
    "map_file": ("--map", MapFile),
    "timeout": ("--timeout", Timeout),
    "output": ("--output", Output),
    "quiet": ("--quiet", Quiet),
    "log_format": ("--log-format", Logs),
    "require_gpu": ("--require-gpu", RequireGpu),
}
"""Name of the option, and its type as typer takes it, of each field of `OwnOptions`."""

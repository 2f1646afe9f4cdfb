"""The program `fchains`: its commands, and what holds for all of them."""

from __future__ import annotations

import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated

import typer

from fchains.cli import check, doctor, graph, package, run, runners
from fchains.cli.exits import MEANINGS
from fchains.cli.reporting import forget_stdout

_EXITS = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
_EPILOG = f"""\b
Examples:
  fchains run hello.py --names '["Ada", "Grace"]'
  fchains check hello.py
  fchains run hello.py --help

\b
Exit codes:
{_EXITS}

\b
Environment:
  FCHAINS_RUNNER          the runner that is used by default
  FCHAINS_TRACEBACK=full  show the frames of fchains in tracebacks too
"""

app = typer.Typer(
    name="fchains",
    help="Turns plain Python functions into services.",
    epilog=_EPILOG,
    no_args_is_help=True,
    # Plain text has the right width everywhere, and no colour where none is wanted.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=run.EPILOG, context_settings=run.CONTEXT)(run.run)
app.command(epilog=check.EPILOG)(check.check)
app.command(epilog=graph.EPILOG)(graph.graph)
app.command(epilog=package.EPILOG)(package.package)
app.command(epilog=runners.EPILOG)(runners.runners)
app.command(epilog=doctor.EPILOG)(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print("fchains", sys.modules["fchains"].__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What a result holds must not fail because a terminal is old.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="fchains")
    finally:
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                forget_stdout()

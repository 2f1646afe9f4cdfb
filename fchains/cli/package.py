"""`fchains package`: which files travel with a chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fchains.cli.exits import UsageError
from fchains.cli.reporting import counted, reported
from fchains.cli.sources import load_sound
from fchains.definition.graph import CallGraph
from fchains.packaging.bundle import Bundle

EPILOG = """\b
Examples:
  fchains package hello.py --list
  fchains package hello.py -o hello.zip
"""


@reported
def package(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="file.py, file.py::name or pkg.module:name.")
    ],
    as_list: Annotated[bool, typer.Option("--list", help="Show each file with its size in bytes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the archive here.")] = None,
) -> None:
    """Pack the code of a chain: what travels.

    That is the source of the chain's own modules, those they import from the project, and what
    [tool.fchains] include in pyproject.toml names.
    """
    source = load_sound(reference)
    graph = CallGraph.of([source.target]) if source.target else source.graph
    bundle = Bundle.of(dict.fromkeys(Path(definition.file) for definition in graph.definitions.values()))
    if output is not None:
        try:
            output.write_bytes(bundle.to_bytes())
        except OSError as error:
            raise UsageError(f"--output: cannot write {str(output)!r}: {error.strerror}") from error
    if as_json:
        files = {name: len(content) for name, content in bundle.files.items()}
        print(json.dumps({"digest": bundle.digest, "size": bundle.size, "files": files}))
        return
    if as_list:
        width = max(len(str(len(content))) for content in bundle.files.values())
        for name, content in bundle.files.items():
            print(f"{len(content):>{width}}  {name}")
    print(f"{bundle.digest}  {counted(len(bundle.files), 'file')}, {_size(bundle.size)}")


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size / 1024:.1f} KiB"

"""`fchains graph`: which chainlet calls which."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from fchains.cli.exits import UsageError
from fchains.cli.reporting import reported
from fchains.cli.sources import load_sound
from fchains.definition.graph import CallGraph
from fchains.definition.graph_text import as_json, dot, mermaid, tree

EPILOG = """\b
Examples:
  fchains graph hello.py
  fchains graph hello.py --mermaid > graph.mmd
  fchains graph hello.py --dot | dot -Tsvg > graph.svg
"""


@reported
def graph(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="file.py, file.py::name or pkg.module:name.")
    ],
    to_mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    to_dot: Annotated[bool, typer.Option("--dot", help="Print Graphviz.")] = False,
    to_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which chainlet calls which.

    By default as a tree, with the resources they use. With ::name, only what that chainlet reaches.
    """
    if to_mermaid + to_dot + to_json > 1:
        raise UsageError("--mermaid, --dot and --json exclude each other")
    source = load_sound(reference)
    shown = CallGraph.of([source.target]) if source.target else source.graph
    if to_mermaid:
        print(mermaid(shown))
    elif to_dot:
        print(dot(shown))
    elif to_json:
        print(json.dumps(as_json(shown)))
    else:
        print(tree(shown, ascii_only=not _shows_lines()))


def _shows_lines() -> bool:
    """Whether standard output can hold what trees are drawn with."""
    try:
        "├└◇·↺".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True

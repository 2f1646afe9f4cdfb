"""`fchains check`: everything that is wrong with the definitions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fchains.cli.exits import Exit
from fchains.cli.reporting import counted, reported
from fchains.cli.sources import Source, load_source
from fchains.definition.problems import Problem
from fchains.definition.resource import Resource

EPILOG = """\b
Examples:
  fchains check hello.py
  fchains check pipeline.py service.app --json
"""


@reported
def check(
    references: Annotated[list[str], typer.Argument(metavar="REF...", help="file.py, or package.module.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report everything that is wrong with definitions.

    Nothing is called, but the files are imported.
    """
    sources = [load_source(reference) for reference in references]
    problems = sorted(
        {problem for source in sources for problem in source.problems},
        key=lambda problem: (problem.file, problem.line, problem.subject, problem.message),
    )
    chainlets, resources = _numbers(sources)
    if as_json:
        found = [dataclasses.asdict(problem) for problem in problems]
        print(json.dumps({"problems": found, "chainlets": chainlets, "resources": resources}))
    elif problems:
        _print(problems)
    else:
        print(f"ok: {counted(chainlets, 'chainlet')}, {counted(resources, 'resource')}")
    if problems:
        raise typer.Exit(Exit.DEFINITION)


def _print(problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(problem)
    files = len({problem.file for problem in problems})
    print(f"{counted(len(problems), 'problem')} in {counted(files, 'file')}")


def _numbers(sources: Sequence[Source]) -> tuple[int, int]:
    definitions = {definition for source in sources for definition in source.graph.definitions.values()}
    resources = set[Resource[Any]]()
    waiting = [resource for definition in definitions for resource in definition.resources]
    while waiting:
        resource = waiting.pop()
        if resource not in resources:
            resources.add(resource)
            waiting += resource.dependencies
    return len(definitions), len(resources)

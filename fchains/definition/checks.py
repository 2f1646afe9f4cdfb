"""The checks of a whole chain: what can be known only when every module is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fchains.definition.decorated import stand_in
from fchains.definition.graph import CallGraph, entrypoint
from fchains.definition.group_checks import check_groups
from fchains.definition.problems import Problem, close_match
from fchains.definition.resource_checks import check_health, check_injections, check_resources
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError
from fchains.packaging.places import shortened


def check_graph(graph: CallGraph) -> list[Problem]:
    """Everything that is wrong with the chainlets of a graph, in the order of their files.

    Checked are types, defaults, injected resources, schedules, batches, health checks, secrets,
    groups, names and entrypoints; not the imports, which `check_imports` follows.
    """
    # While problems are collected, a stand-in takes the place of what is no function.
    definitions = [d for d in graph.all if d.function is not stand_in]
    problems = [problem for definition in definitions for problem in _definition(definition)]
    problems += check_resources([r for definition in definitions for r in definition.resources])
    problems += check_groups(definitions)
    problems += _duplicates(graph)
    problems += _secrets(graph)
    if any(root.options.entrypoint for root in graph.roots):
        problems += entrypoint(graph)[1]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line))


def check_imports(graph: CallGraph) -> list[Problem]:
    """First-party imports that are missing, in all files that the graph's chainlets need."""
    from fchains.packaging.imports import import_closure

    files = dict.fromkeys(Path(definition.file) for definition in graph.all)
    closure = import_closure(file for file in files if file.is_file())
    return [Problem(p.message, p.hint, p.file, p.line) for p in closure.problems]


def _definition(definition: Definition) -> Iterator[Problem]:
    yield from _types(definition)
    yield from check_injections(
        definition.function, definition.signature, definition.enclosing, definition.place
    )
    yield from check_health(definition)
    if definition.options.schedule is not None and definition.signature.required:
        needed = ", ".join(f"`{p.name}`" for p in definition.signature.parameters if p.required)
        yield _problem(
            definition,
            f"it has a schedule, but nobody is there to pass {needed}",
            "give it a default, or schedule a chainlet without parameters that calls this one",
        )
    if definition.batch is not None and not definition.signature.parameters:
        hint = "a batched function takes lists: write `items: list[…]`"
        yield _problem(definition, "it is batched but takes nothing", hint)


def _types(definition: Definition) -> Iterator[Problem]:
    try:
        types = definition.types
    except DefinitionError as error:
        yield from error.problems
        return
    for name in types.uploads if definition.batch is not None else ():
        hint = "a batched function takes lists: write `items: list[…]`"
        yield _problem(definition, f"`{name}` of a batched function is a stream", hint)


def _duplicates(graph: CallGraph) -> Iterator[Problem]:
    for first, other in graph.duplicates:
        if stand_in in (first.function, other.function):
            continue
        place = f"{shortened(first.file)}:{first.line}"
        if first.place == other.place and first.module != other.module:
            yield _problem(
                other,
                f"{shortened(other.file)} is loaded twice, as `{first.module}` and as `{other.module}`",
                "move what several modules import out of the script that is run, into a module of its own",
            )
        elif first.place == other.place:
            hint = 'give each its own: @chainlet(name="…"), or .variant(name="…")'
            yield _problem(other, "several chainlets made by these lines have this name", hint)
        else:
            hint = f'rename one, or write @chainlet(name="{other.name}2") here'
            yield _problem(other, f"another chainlet, at {place}, has the same name", hint)


def _secrets(graph: CallGraph) -> Iterator[Problem]:
    for name, reads in graph.secrets.items():
        declared = graph.definitions[name].options.secrets
        for read in reads:
            if read.name in declared:
                continue
            meant = close_match(read.name, declared)
            listed = ", ".join(f'"{secret}"' for secret in (*declared, read.name))
            hint = f"write @chainlet(secrets=[{listed}])" + (f", or did you mean {meant!r}?" if meant else "")
            message = f"its code reads the secret {read.name!r}, which it does not declare"
            yield Problem(message, hint, read.file, read.line, name)


def _problem(definition: Definition, message: str, hint: str) -> Problem:
    return Problem(message, hint, *definition.place, definition.name)

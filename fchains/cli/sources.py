"""What references on the command line stand for, with everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from fchains.cli.reporting import raise_problems
from fchains.definition.checks import check_graph, check_imports
from fchains.definition.graph import CallGraph
from fchains.definition.loading import load
from fchains.definition.problems import Problem
from fchains.definition.spec import Definition


@dataclass(frozen=True, slots=True)
class Source:
    """A loaded reference.

    Args:
        graph: the chainlets of its module, and all that they reach.
        target: the chainlet that it names; None when it names none.
        problems: what is wrong with all of them.
    """

    graph: CallGraph
    target: Definition | None
    problems: list[Problem]


def load_source(reference: str) -> Source:
    """Load a reference and check what it leads to.

    Raises:
        UnknownReference: there is no such file, module or chainlet.
    """
    loaded = load(reference)
    problems = [*loaded.problems, *check_graph(loaded.graph), *check_imports(loaded.graph)]
    return Source(loaded.graph, loaded.target, list(dict.fromkeys(problems)))


def load_sound(reference: str) -> Source:
    """Load a reference in which nothing is wrong.

    Raises:
        UnknownReference: there is no such file, module or chainlet.
        DefinitionError: something is wrong.
    """
    source = load_source(reference)
    raise_problems(source.problems)
    return source

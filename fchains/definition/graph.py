"""The call graph of a chain: which chainlets its code reaches, and which calls which."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fchains.definition.problems import Problem
from fchains.definition.reachability import SecretRead, reach
from fchains.definition.spec import Definition
from fchains.packaging.places import shortened

Cycle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallGraph:
    """The chainlets that the roots reach, themselves included, by name.

    Args:
        roots: where it begins.
        definitions: the roots first, then the others, the nearest first.
        edges: for each name those of the chainlets it may call, in the order of its code.
        duplicates: pairs of different chainlets with one name; `definitions` has the first of each.
        secrets: for each name the secrets that its code reads, as far as they are literals.
    """

    roots: tuple[Definition, ...]
    definitions: dict[str, Definition]
    edges: dict[str, tuple[str, ...]]
    duplicates: tuple[tuple[Definition, Definition], ...]
    secrets: dict[str, tuple[SecretRead, ...]]

    @classmethod
    def of(cls, roots: Sequence[Definition]) -> CallGraph:
        """Find the graph from the code; nothing is executed, and modules that are not loaded stay so."""
        definitions: dict[str, Definition] = {}
        duplicates: dict[tuple[Definition, Definition], None] = {}
        edges: dict[str, tuple[str, ...]] = {}
        secrets: dict[str, tuple[SecretRead, ...]] = {}
        waiting = deque(roots)
        while waiting:
            definition = waiting.popleft()
            first = definitions.setdefault(definition.name, definition)
            if first is not definition:
                duplicates[first, definition] = None
            elif definition.name not in edges:
                reached = reach(definition)
                edges[definition.name] = tuple(dict.fromkeys(d.name for d in reached.definitions))
                secrets[definition.name] = reached.secrets
                waiting.extend(reached.definitions)
        return cls(tuple(dict.fromkeys(roots)), definitions, edges, tuple(duplicates), secrets)

    @property
    def all(self) -> tuple[Definition, ...]:
        """Every chainlet, those included whose name another one has."""
        return (*self.definitions.values(), *dict.fromkeys(other for _, other in self.duplicates))

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """Chainlets that call each other in a ring, or themselves: the shortest ring of each."""
        found: list[Cycle] = []
        ringed: set[str] = set()
        for name in self.definitions:
            ring = () if name in ringed else shortest_ring(name, self.edges)
            if ring:
                found.append(ring)
                ringed.update(ring)
        return tuple(found)

    @property
    def tops(self) -> tuple[Definition, ...]:
        """Those roots that no other chainlet calls."""
        called = {to for name, callees in self.edges.items() for to in callees if to != name}
        return tuple(root for root in self.roots if root.name not in called)


def shortest_ring(start: str, edges: Mapping[str, Sequence[str]]) -> Cycle:
    """The shortest way from a node back to itself; empty where there is none."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for following in edges.get(node, ()):
            if following == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return tuple(reversed(path))
            if following not in came_from:
                came_from[following] = node
                waiting.append(following)
    return ()


def entrypoint(graph: CallGraph) -> tuple[Definition | None, list[Problem]]:
    """The chainlet that answers `POST /`, or why that cannot be told.

    It is the root marked with `entrypoint=True`; without a mark, the only root that no other calls.
    """
    marked = [root for root in graph.roots if root.options.entrypoint]
    if marked:
        return marked[0], _several_marked(marked)
    candidates = graph.tops
    if len(candidates) == 1:
        return candidates[0], []
    if not graph.roots:
        return None, [Problem("there is no chainlet", "decorate a function with @chainlet")]
    reason = (
        "several chainlets are called by no other" if candidates else "every chainlet is called by another"
    )
    listed = _listed(candidates or graph.roots)
    hint = "mark the one that answers requests with @chainlet(entrypoint=True)"
    place = (candidates or graph.roots)[0].place
    return None, [Problem(f"no entrypoint is marked, and {reason}: {listed}", hint, *place)]


def _several_marked(marked: Sequence[Definition]) -> list[Problem]:
    first, *others = marked
    return [
        Problem(
            f"it is marked as the entrypoint, and so is {_listed([first])}",
            "a chain has one: remove entrypoint=True from the others, with expose=True they get a path"
            " of their own",
            *other.place,
            other.name,
        )
        for other in others
    ]


def _listed(definitions: Sequence[Definition]) -> str:
    return ", ".join(f"{d.name} ({shortened(d.file)}:{d.line})" for d in definitions)

"""A call graph as text: a tree for terminals, Mermaid, Graphviz, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fchains.definition.graph import CallGraph, entrypoint
from fchains.definition.replicas import Replicas
from fchains.definition.resource import Resource
from fchains.definition.sizes import format_memory
from fchains.definition.spec import Definition


@dataclass(frozen=True, slots=True)
class _Signs:
    """What a tree is drawn with."""

    branch: str
    last: str
    line: str
    dot: str
    resource: str
    recursion: str


_UNICODE = _Signs("├── ", "└── ", "│   ", " · ", "◇ ", " ↺")
_ASCII = _Signs("|-- ", "`-- ", "|   ", ", ", "* ", " (recursive)")
_AGAIN = " (again)"


def tree(graph: CallGraph, *, ascii_only: bool = False) -> str:
    """The graph as an indented tree: each chainlet with its needs, its resources and its callees.

    Args:
        graph: what to draw.
        ascii_only: use no character that an old terminal or a log may not show.
    """
    return "\n".join(_Tree(graph, _ASCII if ascii_only else _UNICODE).lines())


class _Tree:
    def __init__(self, graph: CallGraph, signs: _Signs) -> None:
        self._graph = graph
        self._signs = signs
        self._first = entrypoint(graph)[0]
        self._shown: set[str] = set()

    def lines(self) -> Iterator[str]:
        # Where chainlets call each other in a ring, nothing is at the top: then any of them is.
        for top in (*self._graph.tops, *self._graph.definitions.values()):
            if top.name not in self._shown:
                yield from self._chainlet(top.name, (), "", "")

    def _chainlet(self, name: str, path: tuple[str, ...], head: str, indent: str) -> Iterator[str]:
        if name in self._shown:
            yield head + name + (self._signs.recursion if name in path else _AGAIN)
            return
        self._shown.add(name)
        definition = self._graph.definitions[name]
        needs = ["entrypoint"] if definition is self._first else []
        yield f"{head}{name}  {self._signs.dot.join([*needs, *_needs(definition)])}"
        resources, callees = definition.resources, self._graph.edges[name]
        left = len(resources) + len(callees)
        shown: set[str] = set()
        for resource in resources:
            left -= 1
            yield from self._resource(resource, shown, *self._below(indent, left))
        for callee in callees:
            left -= 1
            yield from self._chainlet(callee, (*path, name), *self._below(indent, left))

    def _resource(self, resource: Resource[Any], shown: set[str], head: str, indent: str) -> Iterator[str]:
        again = resource.name in shown and bool(resource.dependencies)
        shown.add(resource.name)
        yield head + self._signs.resource + resource.name + (_AGAIN if again else "")
        left = 0 if again else len(resource.dependencies)
        for dependency in resource.dependencies[:left]:
            left -= 1
            yield from self._resource(dependency, shown, *self._below(indent, left))

    def _below(self, indent: str, left: int) -> tuple[str, str]:
        """What stands before a line that has `left` siblings after it, and before its own children."""
        if left:
            return indent + self._signs.branch, indent + self._signs.line
        return indent + self._signs.last, indent + " " * len(self._signs.line)


def mermaid(graph: CallGraph) -> str:
    """The graph as a Mermaid flowchart, as Markdown on GitHub and elsewhere shows it."""
    drawing = _Drawing(graph)
    lines = ["flowchart TD"]
    for node in drawing.nodes.values():
        label = "<br/>".join(map(_mermaid_text, node.label))
        lines.append(f'    {node.id}(["{label}"])' if node.is_resource else f'    {node.id}["{label}"]')
    lines += [f"    {a} {'-.-' if to_resource else '-->'} {b}" for a, b, to_resource in drawing.edges]
    return "\n".join(lines)


def dot(graph: CallGraph) -> str:
    """The graph in Graphviz's language."""
    drawing = _Drawing(graph)
    lines = ["digraph chain {", "    node [shape=box];"]
    for node in drawing.nodes.values():
        label = "\\n".join(map(_dot_text, node.label))
        lines.append(f'    {node.id} [label="{label}"{", shape=ellipse" if node.is_resource else ""}];')
    for a, b, to_resource in drawing.edges:
        lines.append(f"    {a} -> {b}{' [style=dashed, arrowhead=none]' if to_resource else ''};")
    return "\n".join([*lines, "}"])


def as_json(graph: CallGraph) -> dict[str, Any]:
    """The graph as values that `json.dumps` takes."""
    first = entrypoint(graph)[0]
    return {
        "entrypoint": first.name if first else None,
        "nodes": [_node(definition, definition is first) for definition in graph.definitions.values()],
        "edges": [{"from": name, "to": to} for name, callees in graph.edges.items() for to in callees],
        "cycles": [list(cycle) for cycle in graph.cycles],
    }


def _node(definition: Definition, is_entrypoint: bool) -> dict[str, Any]:
    options, batch = definition.options, definition.batch
    replicas = options.replicas
    return {
        "name": definition.name,
        "module": definition.module,
        "file": definition.file,
        "line": definition.line,
        "kind": definition.kind,
        "entrypoint": is_entrypoint,
        "exposed": options.expose,
        "gpu": [str(gpu) for gpu in options.gpu],
        "cpu": options.cpu,
        "memory": options.memory,
        "replicas": {"min": replicas.min, "max": replicas.max} if replicas else None,
        "group": options.group,
        "batch": {"max_size": batch.max_size, "max_wait": batch.max_wait} if batch else None,
        "resources": [_resource_node(resource) for resource in definition.resources],
    }


def _resource_node(resource: Resource[Any]) -> dict[str, Any]:
    return {
        "name": resource.name,
        "file": resource.file,
        "line": resource.line,
        "resources": [_resource_node(dependency) for dependency in resource.dependencies],
    }


def _needs(definition: Definition) -> Iterator[str]:
    options, batch = definition.options, definition.batch
    if options.gpu:
        yield " or ".join(map(str, options.gpu))
    yield f"{options.cpu:g} CPU"
    yield format_memory(options.memory)
    if options.replicas:
        yield _count(options.replicas)
    if options.group:
        yield f"group {options.group}"
    if batch:
        yield f"batches of {batch.max_size}"


def _count(replicas: Replicas) -> str:
    if replicas.min != replicas.max:
        return f"{replicas.min} to {replicas.max} replicas"
    return "1 replica" if replicas.max == 1 else f"{replicas.max} replicas"


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    label: Sequence[str]
    is_resource: bool


@dataclass
class _Drawing:
    """Nodes and edges for languages in which resources are nodes too."""

    graph: CallGraph
    nodes: dict[object, _Node] = field(default_factory=dict[object, _Node])
    edges: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])

    def __post_init__(self) -> None:
        definitions = self.graph.definitions
        for name, definition in definitions.items():
            self.nodes[name] = _Node(f"c{len(self.nodes)}", (name, ", ".join(_needs(definition))), False)
        for name, definition in definitions.items():
            self.edges += [(self.nodes[name].id, self.nodes[to].id, False) for to in self.graph.edges[name]]
            for resource in definition.resources:
                self._draw_resource(self.nodes[name].id, resource)

    def _draw_resource(self, user: str, resource: Resource[Any]) -> None:
        key = (resource.function, resource.name)
        is_new = key not in self.nodes
        if is_new:
            self.nodes[key] = _Node(f"r{len(self.nodes)}", (resource.name,), True)
        node = self.nodes[key].id
        if (user, node, True) not in self.edges:
            self.edges.append((user, node, True))
        for dependency in resource.dependencies if is_new else ():
            self._draw_resource(node, dependency)


def _mermaid_text(text: str) -> str:
    """Text inside a quoted label, where Mermaid reads quotes, entities, tags and Markdown."""
    return "".join(
        char if char.isalnum() or char in " .,:_=-()'" else f"#{ord(char)};"
        for char in text.replace("\n", " ")
    )


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

"""What chainlets that share replicas must agree on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fchains.definition.options import Options
from fchains.definition.problems import Problem, shown
from fchains.definition.replicas import Replicas
from fchains.definition.sizes import format_memory
from fchains.definition.spec import Definition
from fchains.packaging.places import shortened


def _show_replicas(replicas: Replicas | None) -> str:
    return "unset" if replicas is None else f"({replicas.min}, {replicas.max})"


_SHARED: dict[str, Callable[[Options], str]] = {
    "image": lambda options: "none" if options.image is None else shown(options.image),
    "gpu": lambda options: " or ".join(map(str, options.gpu)) or "none",
    "cpu": lambda options: f"{options.cpu:g}",
    "memory": lambda options: format_memory(options.memory),
    "replicas": lambda options: _show_replicas(options.replicas),
}


def check_groups(definitions: Sequence[Definition]) -> Iterator[Problem]:
    """The options in which a chainlet differs from the first one of its group."""
    first_of: dict[str, Definition] = {}
    for definition in definitions:
        group = definition.options.group
        if group is None:
            continue
        first = first_of.setdefault(group, definition)
        for option, show in _SHARED.items():
            if getattr(first.options, option) != getattr(definition.options, option):
                mine, theirs = show(definition.options), show(first.options)
                yield Problem(
                    f"its {option} is {mine}, but {first.name} ({shortened(first.file)}:{first.line}),"
                    f" which shares the replicas of group {group!r}, has {theirs}",
                    f"give both the same {option}, or remove one from the group",
                    *definition.place,
                    definition.name,
                )

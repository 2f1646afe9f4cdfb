"""The chainlet that a reference names."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Never

from fchains.definition.graph import CallGraph
from fchains.definition.handle import definition_of
from fchains.definition.problems import did_you_mean, shown
from fchains.definition.references import Reference, UnknownReference
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition


def find_target(reference: Reference, module: ModuleType, graph: CallGraph) -> Definition:
    """The chainlet of that name, or in the variable of that name.

    Raises:
        UnknownReference: there is none.
    """
    by_variable = definition_of(vars(module).get(reference.name))
    target = graph.definitions.get(reference.name) or by_variable
    return target or _refuse(reference, module, graph)


def _refuse(reference: Reference, module: ModuleType, graph: CallGraph) -> Never:
    name, there = reference.name, vars(module)
    if name in there:
        value = there[name]
        if isinstance(value, FunctionType):
            message, hint = f"`{name}` is a plain function", "decorate it with @chainlet"
        elif isinstance(value, Resource):
            message, hint = f"`{name}` is a resource, not a chainlet", "name a chainlet that uses it"
        else:
            message, hint = f"`{name}` is {shown(value)}, not a chainlet", _listed(reference, graph)
        raise UnknownReference(f"{reference.shown}: {message}", hint)
    meant = did_you_mean(name, graph.definitions)
    message = f"{reference.shown} has no chainlet {name!r}{meant}"
    raise UnknownReference(message, _listed(reference, graph))


def _listed(reference: Reference, graph: CallGraph) -> str:
    return "it has " + ", ".join(reference.with_name(name) for name in graph.definitions)

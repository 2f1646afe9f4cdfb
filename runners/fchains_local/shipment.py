"""A chain on its way to its workers: names of what they can import, pickles of what they cannot."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

from fchains.calls.runner import Chain
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError, SerializationError
from fchains.packaging.journeys import described, explained, why_lost
from fchains.packaging.places import Place, fault
from fchains.wire.classes import name_main
from fchains_local.arrival import load, receive
from fchains_local.byvalue import NamedJourney
from fchains_local.manifest import Manifest, Module
from fchains_local.naming import Names, is_handmade

__all__ = ["load", "pack", "receive"]


def pack(chain: Chain) -> bytes:
    """The chain as bytes, for other processes of this machine and this Python.

    Chainlets at the top level of modules, and of the script that runs, are found there again. Those
    of notebooks and those made inside functions travel by value, as do the values that override
    resources. Fakes stay here: the workers know the chainlets that they stand in for.

    Raises:
        DefinitionError: code that travels by value does not survive that.
        SerializationError: a value that overrides a resource does not.
    """
    names = Names()
    found = {name: names.of(definition) for name, definition in chain.definitions.items()}
    by_value = {name: chain.definitions[name] for name, where in found.items() if where is None}
    for definition in by_value.values():
        _refuse_handmade(definition)
    pickled, needed = b"", tuple[str, ...]()
    if by_value or chain.resource_overrides:
        pickled, needed = _pickled(by_value, chain.resource_overrides, NamedJourney(names))
    used = {name.module for name in names.used}
    script = names.script if names.script and names.script.module in used else None
    if script is not None:
        name_main(script.module)
        used.discard(script.module)
    manifest = Manifest(
        chain=chain.name,
        version=chain.version,
        environment=chain.environment,
        path=[os.path.abspath(folder) for folder in sys.path],  # noqa: PTH100 ("" is the working directory)
        argv0=sys.argv[0] if sys.argv else "",
        level=logging.getLogger().level,
        script=Module(script.module, str(script.path)) if script else None,
        modules=_modules({*used, *needed}),
        chainlets=found,
    )
    return manifest.pack(pickled)


def _modules(names: Collection[str]) -> list[Module]:
    """The modules of those names in the order in which this process began to import them."""
    loaded = [(name, module) for name, module in list(sys.modules.items()) if name in names]
    files: list[str] = [getattr(module, "__file__", None) or "" for _, module in loaded]
    return [
        Module(name, file and os.path.abspath(file))  # noqa: PTH100
        for (name, _), file in zip(loaded, files, strict=True)
    ]


def _pickled(
    by_value: Mapping[str, Definition], overrides: Mapping[Resource[Any], object], journey: NamedJourney
) -> tuple[bytes, tuple[str, ...]]:
    """All in one pickle, so that what is one object here is one object there."""
    try:
        return journey.try_out((dict(by_value), list(overrides.items())))
    except Exception as error:
        raise _reason(error, by_value, overrides, journey) from error


def _reason(
    error: Exception,
    by_value: Mapping[str, Definition],
    overrides: Mapping[Resource[Any], object],
    journey: NamedJourney,
) -> DefinitionError | SerializationError:
    """Which of them does not survive the journey, and why."""
    for name, definition in by_value.items():
        if lost := _lost(definition, journey):
            return explained(lost, definition, name, Place(*definition.place), journey)
    for resource, value in overrides.items():
        place = Place(resource.file, resource.line)
        if lost := _lost(resource, journey):
            return explained(lost, resource, resource.name, place, journey)
        if lost := _lost(value, journey):
            return SerializationError(
                f"{place}: {resource.name}: what override() puts in its place, {described(value)}, does not"
                f" survive the journey to a worker: {why_lost(lost)}\n"
                "    give it something that can be pickled, or fake the chainlet that uses it:"
                " `with f.override(fake):` runs the fake in this process"
            )
    return DefinitionError(f"the chain does not survive the journey to a worker: {why_lost(error)}")


def _lost(value: object, journey: NamedJourney) -> Exception | None:
    try:
        journey.try_out(value)
    except Exception as error:
        return error
    return None


def _refuse_handmade(definition: Definition) -> None:
    module = sys.modules.get(definition.module)
    if module is not None and module.__name__ != "__main__" and is_handmade(module):
        message = f"its module {definition.module!r} was made by hand and has no source"
        raise fault(Place(*definition.place), definition.name, message, "define the function in a file")

"""Variants: one function as several chainlets."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from fchains.definition.handle import AnyChainlet
from fchains.definition.problems import Problem, caller_place, did_you_mean, report, shown
from fchains.definition.resource import Resource

if TYPE_CHECKING:
    from fchains.definition.cron import Cron
    from fchains.definition.retry import Retry
    from fchains.definition.spec import Definition
    from fchains.packaging.image import Image
    from fchains.packaging.volume import Volume

NOT_INHERITED: Mapping[str, object] = {"entrypoint": False, "schedule": None}


class VariantOptions(TypedDict, total=False):
    """The options of `@chainlet` that a variant may change, as users write them."""

    entrypoint: bool
    expose: bool
    image: Image | None
    gpu: str | Sequence[str] | None
    cpu: float | str
    memory: int | str
    disk: int | str | None
    replicas: int | tuple[int, int] | None
    group: str | None
    concurrency: int | None
    max_queue: int
    scaledown_window: float
    timeout: float | None
    grace: float
    startup_timeout: float
    retries: int | Retry
    kill_on_cancel: bool
    health: Callable[[], bool | Awaitable[bool]] | None
    secrets: Sequence[str]
    env: Mapping[str, str]
    volumes: Mapping[str, Volume]
    schedule: Cron | None
    calls: Sequence[AnyChainlet]


def variant_of(
    definition: Definition, given: Mapping[str, object], resources: Mapping[str, object]
) -> Definition:
    """The same function as another chainlet.

    Args:
        definition: the chainlet whose options hold where no others are given.
        given: options as users write them, its name among them.
        resources: by name of an injected parameter, the resource to inject instead.

    Raises:
        DefinitionError: an option or a resource is wrong.
    """
    place = caller_place()
    given = {**NOT_INHERITED, **given}
    if "calls" in given:
        given["calls"] = definitions(given["calls"])
    options, problems = definition.options.replace(given, subject=definition.name, place=place)
    injected = dict(definition.signature.injected)
    for name, resource in resources.items():
        fault = _fault(name, resource, injected)
        if fault is None:
            injected[name] = cast("Resource[Any]", resource)
        else:
            problems.append(Problem(*fault, *place, definition.name))
    report(problems)
    variant = copy.copy(definition)
    vars(variant).pop("types", None)  # what is wrong with them names the chainlet
    variant.options = options
    variant.signature = dataclasses.replace(definition.signature, subject=options.name, injected=injected)
    return variant


def definitions(calls: object) -> object:
    """The items of `calls=[…]`, chainlets as their definitions and mistakes as they are."""
    if not isinstance(calls, (list, tuple)):
        return calls
    items = cast("Sequence[object]", calls)
    return [item.definition if isinstance(item, AnyChainlet) else item for item in items]


def _fault(name: str, resource: object, injected: Mapping[str, object]) -> tuple[str, str] | None:
    if not isinstance(cast("object", name), str):
        return (
            f"`resources` names {shown(name)}, which is no name of a parameter",
            f"write for example resources={{{next(iter(injected), 'model')!r}: …}}",
        )
    if name not in injected:
        message = f"`resources` names {name!r}, which is no injected parameter{did_you_mean(name, injected)}"
        return message, f"those are {', '.join(injected) or 'none'}"
    if not isinstance(resource, Resource):
        message = f"`resources` gives {shown(resource)} for `{name}`, which is no resource"
        return message, "decorate the function that makes it with @setup"
    return None

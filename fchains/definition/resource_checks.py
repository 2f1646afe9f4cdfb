"""The checks of resources: what makes them, and where they are injected."""

from __future__ import annotations

import types
import typing
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Annotated, Any

from fchains.definition.annotations import UnresolvedAnnotation, resolve, show, stream_item
from fchains.definition.problems import Problem, place_of
from fchains.definition.resource import Resource
from fchains.definition.signature import EMPTY, Signature, read_signature
from fchains.definition.spec import Definition

_YIELDING = {
    "generator": ("Iterator", (abc.Iterator, abc.Generator)),
    "async generator": ("AsyncIterator", (abc.AsyncIterator, abc.AsyncGenerator)),
}
_YIELDED = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator)
_UNIONS: tuple[object, ...] = (typing.Union, types.UnionType)


def check_injections(
    function: Callable[..., object],
    signature: Signature,
    names: Mapping[str, object],
    place: tuple[str, int],
) -> Iterator[Problem]:
    """What is wrong with the resources that a function gets: unbound parameters, other classes.

    Args:
        function: the function they are injected into.
        signature: its signature.
        names: local names around it, for its annotations.
        place: file and line of it.
    """
    for name, resource in signature.injected.items():
        if _is_stand_in(resource):
            continue
        if resource.unbound:
            bound = ", ".join(f"{parameter}=…" for parameter in resource.unbound)
            name_of_setup = resource.function.__name__
            hint = f"write use({name_of_setup}.bind({bound})), or give defaults in the setup function"
            message = (
                f"`{name}` is use({resource.name}), which does not say what {bound.replace('=…', '')} is"
            )
            yield Problem(message, hint, *place, signature.subject)
        written = signature.injected_annotations[name]
        wanted = _class_of(_resolved(written, function, names))
        made = _class_of(_value_type(resource))
        if wanted is not None and made is not None and not _related(wanted, made):
            yield Problem(
                f"`{name}` is annotated {show(written)}, but {resource.name} makes {made.__qualname__}",
                f"write `{name}: {made.__qualname__}`, or use() another resource",
                *place,
                signature.subject,
            )


def check_resources(resources: Sequence[Resource[Any]]) -> Iterator[Problem]:
    """What is wrong with resources and all that they use, each looked at once."""
    seen: set[object] = set()
    for resource in resources:
        yield from _check_resource(resource, (), seen)


def _check_resource(
    resource: Resource[Any], path: tuple[Resource[Any], ...], seen: set[object]
) -> Iterator[Problem]:
    ring = next((path[i:] for i, above in enumerate(path) if above.function is resource.function), ())
    if ring:
        shape = " -> ".join(r.name for r in (*ring, resource))
        yield _problem(resource, f"resources need each other in a ring: {shape}", "remove one use() of them")
        return
    if resource.function in seen or _is_stand_in(resource):
        return
    seen.add(resource.function)
    yield from _shape(resource)
    yield from check_injections(resource.function, resource.signature, {}, (resource.file, resource.line))
    for dependency in resource.dependencies:
        yield from _check_resource(dependency, (*path, resource), seen)


def _shape(resource: Resource[Any]) -> Iterator[Problem]:
    """Whether the annotation says what the function does: yield its value, or return it."""
    if resource.signature.returns is EMPTY:
        return
    annotation = _resolved(resource.signature.returns, resource.function, {})
    if annotation is None:
        return
    origin, item = typing.get_origin(annotation) or annotation, stream_item(annotation)
    written = show(resource.signature.returns)
    if resource.style in _YIELDING:
        word, fitting = _YIELDING[resource.style]
        if origin not in fitting:
            value = show(annotation if item is None else item)
            message = f"it yields its value, but is annotated to return {written}"
            yield _problem(resource, message, f"write `-> {word}[{value}]`")
    elif resource.style == "plain" and origin in _YIELDED:
        message = f"it is annotated {written}, but has no `yield`"
        hint = f"yield the value, with the teardown after it, or write `-> {show(item)}`"
        yield _problem(resource, message, hint)


def check_health(definition: Definition) -> Iterator[Problem]:
    """What is wrong with a chainlet's health check."""
    health = definition.options.health
    if not isinstance(health, FunctionType):
        return
    place = place_of(health)
    signature = read_signature(health, health.__name__, place)[0]
    yield from check_injections(health, signature, {}, place)
    if health.__name__ == "<lambda>":
        return
    if signature.returns is EMPTY:
        yield Problem("a health check's result has no annotation", "write `-> bool`", *place, health.__name__)
        return
    made = _class_of(_resolved(signature.returns, health, {}))
    if signature.is_generator or (made is not None and made is not bool):
        message = f"a health check returns {show(signature.returns)}, not bool"
        hint = "return True while the replica is good, and write `-> bool`"
        yield Problem(message, hint, *place, health.__name__)


def _value_type(resource: Resource[Any]) -> object:
    """The type that a resource's annotation promises to whom it is injected into; None if unknown."""
    annotation = _resolved(resource.signature.returns, resource.function, {})
    # Of an iterator that a plain function returns, users will have meant to yield the item.
    yields = resource.style != "async" and (typing.get_origin(annotation) or annotation) in _YIELDED
    return stream_item(annotation) if yields or resource.style in _YIELDING else annotation


def _resolved(written: object, function: Callable[..., object], names: Mapping[str, object]) -> object:
    """What an annotation means here; None where that cannot be told, as without the image's packages."""
    if written is EMPTY:
        return None
    try:
        return resolve(written, function, names)
    except UnresolvedAnnotation:
        return None


def _class_of(annotation: object) -> type | None:
    """The class that values of an annotation have; None where it is no single class."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    origin = typing.get_origin(annotation) or annotation
    if not isinstance(origin, type) or origin is typing.Any or origin in _UNIONS:
        return None
    is_structural = typing.is_typeddict(origin) or getattr(origin, "_is_protocol", False)
    return None if is_structural else origin


def _related(one: type, other: type) -> bool:
    if {one, other} <= {int, float, complex}:
        return True
    try:
        return issubclass(one, other) or issubclass(other, one)
    except TypeError:
        return True


def _is_stand_in(resource: Resource[Any]) -> bool:
    """Whether this takes the place of what is no setup function, while problems are collected."""
    return bool(resource.function.__module__ == Resource.__module__)


def _problem(resource: Resource[Any], message: str, hint: str) -> Problem:
    return Problem(message, hint, resource.file, resource.line, resource.name)

"""Annotations as they are meant: strings, later names and `TYPE_CHECKING` imports resolved late."""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping

STREAMS = (
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.AsyncGenerator,
    abc.Iterator,
    abc.Iterable,
    abc.Generator,
)
INPUT_STREAMS = (abc.AsyncIterator, abc.AsyncIterable)


class UnresolvedAnnotation(Exception):
    """Raised when an annotation names something that cannot be found."""


def resolve(annotation: object, function: Callable[..., object], names: Mapping[str, object]) -> object:
    """Evaluate an annotation of a function, with `names` for what its module lacks.

    Raises:
        UnresolvedAnnotation: it names something that does not exist, or is no valid expression.
    """
    function = inspect.unwrap(function)  # a decorator's wrapper has the globals of its own module
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    scope = {**names, **_closure(function)}
    try:
        hints = typing.get_type_hints(holder, function.__globals__, scope, include_extras=True)
    except Exception as error:
        raise UnresolvedAnnotation(str(error)) from error
    resolved: object = hints["it"]
    return resolved


def _closure(function: Callable[..., object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def enclosing_names(function: Callable[..., object]) -> dict[str, object]:
    """Local names around a nested function, for annotations written as strings.

    A string annotation in a nested function may name a class of the enclosing function that no
    closure cell holds; only that function's frame, still running while it decorates, has it.
    """
    function = inspect.unwrap(function)
    if "<locals>" not in function.__qualname__:
        return {}
    names: dict[str, object] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals is function.__globals__ and frame.f_code.co_name != "<module>":
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def stream_item(annotation: object) -> object | None:
    """The item type of an iterator or generator annotation, None for any other."""
    origin = typing.get_origin(annotation) or annotation
    if origin not in STREAMS:
        return None
    args: tuple[object, ...] = typing.get_args(annotation)
    return args[0] if args else typing.Any


def list_item(annotation: object) -> object | None:
    """The item type of `list[T]` or `Sequence[T]`, None for any other."""
    origin = typing.get_origin(annotation)
    if origin not in (list, abc.Sequence) or not typing.get_args(annotation):
        return None
    item: object = typing.get_args(annotation)[0]
    return item


def without_exception(annotation: object) -> object:
    """`R | Exception` as `R`: what a batch function may return for one item."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    kept = [a for a in typing.get_args(annotation) if not _is_exception(a)]
    if not kept:
        return annotation
    return typing.Union[tuple(kept)]  # noqa: UP007 - built at run time


def _is_exception(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseException)


def show(annotation: object) -> str:
    """An annotation as a reader would write it."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")

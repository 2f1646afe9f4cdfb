"""Names of classes in a tree: parametrised generic models are named by their origin and arguments."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, cast

from fchains.wire.refusal import Refused, name_of
from fchains.wire.tree import Reader, Tree, Writer

_NONE = "None"


def name_class(writer: Writer, cls: type) -> Tree:
    """The name of a class that the receiver can find.

    Raises:
        Refused: the class has no name by which another process could find it.
    """
    name = writer.names.get(cls)
    if name is None:
        name = writer.names[cls] = _name(writer, cls)
    return name


def _name(writer: Writer, cls: type) -> Tree:
    if writer.classes.knows(cls):
        return writer.classes.reference(cls)
    generic = _parametrised(cls)
    if generic is not None:
        origin, arguments = generic
        return {"o": name_class(writer, origin), "a": [_name_type(writer, each) for each in arguments]}
    if writer.classes.reaches(cls):
        return writer.classes.reference(cls)
    raise Refused(
        f"`{name_of(cls)}` cannot be found by its name in another process: define it at module level"
    )


def _parametrised(cls: type) -> tuple[type, tuple[Any, ...]] | None:
    """Origin and arguments of a parametrised model."""
    metadata: Any = getattr(cls, "__pydantic_generic_metadata__", None)
    if not metadata or metadata["origin"] is None:
        return None
    return metadata["origin"], metadata["args"]


def _name_type(writer: Writer, annotation: Any) -> Tree:
    if annotation is None or annotation is types.NoneType:
        return _NONE
    origin = typing.get_origin(annotation)
    arguments = [_name_type(writer, each) for each in typing.get_args(annotation)]
    if origin is typing.Union or origin is types.UnionType:
        # pydantic makes different classes for `Optional[int]` and `int | None`.
        return {"u" if origin is typing.Union else "|": arguments}
    if isinstance(origin, type):
        return {"o": name_class(writer, origin), "a": arguments}
    if isinstance(annotation, type):
        return name_class(writer, annotation)
    raise Refused(f"the type argument {annotation!r} has no name: make a subclass at module level")


def find_class(reader: Reader, tree: Tree) -> type:
    """The class of a name that `name_class` wrote."""
    found = _find_type(reader, tree)
    if not isinstance(found, type):
        raise ValueError(f"the payload names a class by {tree!r}")
    return found


def _find_type(reader: Reader, tree: Tree) -> Any:
    if tree == _NONE:
        return None
    if not isinstance(tree, dict):
        return reader.find(tree)
    node = cast("dict[str, Any]", tree)
    if "u" in node:
        return typing.Union[tuple(_find_type(reader, each) for each in node["u"])]  # noqa: UP007
    if "|" in node:
        choices = [_find_type(reader, each) for each in node["|"]]
        return functools.reduce(lambda one, other: one | other, choices)
    origin: Any = reader.find(node["o"])
    return origin[tuple(_find_type(reader, each) for each in node["a"])]

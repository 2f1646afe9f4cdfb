"""How models, dataclasses, enums and named tuples are written by their state, and made from it.

No `__init__`, `__post_init__` or validator runs: the state that left is the state that arrives.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from pydantic import BaseModel

from fchains.errors import SerializationError
from fchains.wire.refusal import name_of
from fchains.wire.tree import Reader, ReadHandler, Tree, WriteHandler, Writer
from fchains.wire.typenames import find_class, name_class

_DATA_BASES = (str, bytes, int, float, complex, list, dict, tuple, set, frozenset, BaseException)
# pydantic.types and pydantic.networks cost more to import than the rest of this package.
SECRETS = frozenset(("SecretStr", "SecretBytes", "Secret"))


def is_model(cls: type) -> bool:
    """Whether instances of the class are written as models."""
    return issubclass(cls, BaseModel) and cls is not BaseModel


def is_dataclass(cls: type) -> bool:
    """Whether instances of the class are written as dataclasses."""
    return dataclasses.is_dataclass(cls) and not issubclass(cls, _DATA_BASES)


def is_named_tuple(cls: type) -> bool:
    """Whether instances of the class are written as named tuples."""
    return isinstance(getattr(cls, "_fields", None), tuple) and issubclass(cls, tuple)


def is_enum(cls: type) -> bool:
    """Whether instances of the class are written as enum members."""
    return issubclass(cls, Enum)


def is_url(cls: type) -> bool:
    """Whether the class is one of pydantic's URL classes, or derived from one."""
    return any(
        base.__module__ == "pydantic.networks" and hasattr(base, "unicode_string") for base in cls.__mro__
    )


def _write_model(writer: Writer, value: BaseModel) -> Tree:
    cls = type(value)
    state = value.__dict__
    # Only fields: what else stands in __dict__ are cached properties, made again when asked for.
    fields = writer.write_state({name: state[name] for name in cls.__pydantic_fields__ if name in state})
    node = {**writer.tag("model", fields), "c": name_class(writer, cls)}
    if value.__pydantic_fields_set__ != fields.keys():
        node["s"] = list(value.__pydantic_fields_set__)
    if value.__pydantic_extra__ is not None:
        node["x"] = writer.write_state(value.__pydantic_extra__)
    if value.__pydantic_private__ is not None:
        node["p"] = writer.write_state(value.__pydantic_private__)
    return node


def _read_model(reader: Reader, tree: dict[str, Tree]) -> BaseModel:
    cls = cast("type[BaseModel]", _class_of(reader, tree, is_model))
    model = cls.__new__(cls)
    fields = reader.read_state(tree["v"])
    put = object.__setattr__
    put(model, "__dict__", fields)
    put(model, "__pydantic_fields_set__", set(tree.get("s", fields)))
    if not cls.__pydantic_root_model__:
        put(model, "__pydantic_extra__", reader.read_state(tree["x"]) if "x" in tree else None)
        put(model, "__pydantic_private__", reader.read_state(tree["p"]) if "p" in tree else None)
    return model


def _write_dataclass(writer: Writer, value: object) -> Tree:
    cls = type(value)
    names = [field.name for field in dataclasses.fields(cast("Any", cls))]
    state = {name: getattr(value, name) for name in names if hasattr(value, name)}
    for name, item in getattr(value, "__dict__", {}).items():
        if name not in state and not name.startswith("__") and not _is_cached(cls, name):
            state[name] = item
    return {**writer.tag("dataclass", writer.write_state(state)), "c": name_class(writer, cls)}


def _is_cached(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name, None), functools.cached_property)


def _read_dataclass(reader: Reader, tree: dict[str, Tree]) -> object:
    make: Any = object.__new__
    value: object = make(_class_of(reader, tree, is_dataclass))
    for name, item in reader.read_state(tree["v"]).items():
        object.__setattr__(value, name, item)
    return value


def _write_named_tuple(writer: Writer, value: tuple[object, ...]) -> Tree:
    cls = type(value)
    return {**writer.tag("namedtuple", writer.write_items(value)), "c": name_class(writer, cls)}


def _read_named_tuple(reader: Reader, tree: dict[str, Tree]) -> object:
    cls = cast("type[tuple[object, ...]]", _class_of(reader, tree, is_named_tuple))
    items = reader.read(tree["v"])
    if len(items) != len(cast("Any", cls)._fields):
        raise ValueError(f"the payload has {len(items)} items for {name_of(cls)}")
    return cast("Any", tuple).__new__(cls, items)


def _write_enum(writer: Writer, value: Enum) -> Tree:
    cls = type(value)
    # A combination of flags has no member of its own, so it goes by its value.
    by_name = value._name_ in cls.__members__
    tree = value._name_ if by_name else writer.write(value._value_)
    return {**writer.tag("enum" if by_name else "flags", tree), "c": name_class(writer, cls)}


def _read_enum(reader: Reader, tree: dict[str, Tree]) -> object:
    cls = cast("type[Enum]", _class_of(reader, tree, is_enum))
    if tree["v"] not in cls.__members__:
        raise ValueError(f"{name_of(cls)} has no member {tree['v']!r}")
    return cls.__members__[tree["v"]]


def _read_flags(reader: Reader, tree: dict[str, Tree]) -> object:
    return _class_of(reader, tree, is_enum)(reader.read(tree["v"]))


def is_secret(cls: type) -> bool:
    """Whether the class is one of pydantic's secrets."""
    return cls.__module__ == "pydantic.types" and cls.__name__ in SECRETS


def _write_url(writer: Writer, value: Any) -> Tree:
    name = name_class(writer, value.__class__)
    return {**writer.tag("url", value.unicode_string()), "c": name}


def _read_url(reader: Reader, tree: dict[str, Tree]) -> object:
    return _class_of(reader, tree, is_url)(tree["v"])


def _write_secret(writer: Writer, value: Any) -> Tree:
    name: str = value.__class__.__name__
    return {**writer.tag("secret", writer.write(value.get_secret_value())), "c": name}


def _read_secret(reader: Reader, tree: dict[str, Tree]) -> object:
    from pydantic import types

    if tree["c"] not in SECRETS:
        raise ValueError(f"the payload names a secret {tree['c']!r}")
    make: Callable[[Any], object] = getattr(types, tree["c"])
    return make(reader.read(tree["v"]))


def _class_of(reader: Reader, tree: dict[str, Tree], fits: Callable[[type], bool]) -> type:
    tag, name = tree["$"], tree["c"]
    cls = reader.checked.get((tag, name)) if type(name) is str else None
    if cls is not None:
        return cls
    cls = find_class(reader, name)
    if not fits(cls):
        raise SerializationError(f"a value of class {name_of(cls)!r} arrived as {tag}, which it is not")
    if type(name) is str:
        reader.checked[tag, name] = cls
    return cls


_WRITERS: tuple[tuple[Callable[[type], bool], WriteHandler], ...] = (
    (is_enum, _write_enum),
    (is_model, _write_model),
    (is_dataclass, _write_dataclass),
    (is_named_tuple, _write_named_tuple),
    (is_url, _write_url),
    (is_secret, _write_secret),
)


READ: dict[str, ReadHandler] = {
    "model": _read_model,
    "dataclass": _read_dataclass,
    "namedtuple": _read_named_tuple,
    "enum": _read_enum,
    "flags": _read_flags,
    "url": _read_url,
    "secret": _read_secret,
}


def find_writer(cls: type) -> WriteHandler | None:
    """The handler for instances of a class that users define, if it is of a known sort."""
    for fits, handler in _WRITERS:
        if fits(cls):
            return handler
    return None

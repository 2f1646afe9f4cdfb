"""Makes annotations ready for the codec: `Any` becomes JSON-like values, arrays get their check.

Only the annotation itself and its type arguments are touched, never the fields of a model.
"""

from __future__ import annotations

import collections
import collections.abc
import threading
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, NewType, ParamSpec, TypeVar

import typing_extensions
from pydantic import BaseModel

from fchains.wire.arraytypes import ArrayType, element_type, is_array
from fchains.wire.refusal import PROTECTS, UntransferableType, name_of
from fchains.wire.typeddicts import needs_twin, twin_of

_BARE: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys((list, set, frozenset, collections.deque), (Any,)),
    tuple: (Any, ...),
    dict: (Any, Any),
}
_FACTORIES: dict[object, str] = {threading.Lock: "threading.Lock"}
_CALLABLE: object = collections.abc.Callable
_CONTAINER_MODULES = ("builtins", "collections", "collections.abc")
_ALIASES = tuple(
    {
        alias
        for module in (typing, typing_extensions)
        if isinstance(alias := getattr(module, "TypeAliasType", None), type)
    }
)


def prepare(annotation: object) -> tuple[Any, bool]:
    """The annotation to make a schema of, and whether `Any` stood somewhere in it.

    Raises:
        UntransferableType: a part of the annotation says too little about its values.
    """
    preparation = _Preparation()
    return preparation.of(annotation), preparation.loose


class _Preparation:
    """One pass over an annotation."""

    def __init__(self) -> None:
        self.loose = False
        self._open: list[object] = []
        self._in_keys = False
        """Inside a TypedDict, whose keys stay as written but for other TypedDicts."""

    def of(self, annotation: Any) -> Any:
        """The prepared annotation; the same object where nothing had to change."""
        if needs_twin(annotation):
            return self._typed_dict(annotation)
        if self._in_keys and not typing.get_args(annotation):
            return annotation
        if annotation is Any or annotation is object:
            return self._json_value()
        if isinstance(annotation, TypeVar | ParamSpec):
            raise UntransferableType(
                annotation,
                f"the type variable `{annotation.__name__}` says nothing about the values",
                "write a concrete type, or a Union of those that occur",
            )
        if annotation is BaseModel:
            raise UntransferableType(
                annotation,
                "`pydantic.BaseModel` itself has no fields",
                "write the model class, or a Union of those that occur",
            )
        if isinstance(annotation, types.FunctionType | types.BuiltinFunctionType):
            # Some classes of the library are functions that make one, as threading.Lock was.
            name = _FACTORIES.get(annotation, name_of(annotation))
            raise UntransferableType(annotation, f"`{name}` cannot travel between processes", PROTECTS)
        if isinstance(annotation, str | typing.ForwardRef) and self._open:
            raise _RecursiveAlias
        if isinstance(annotation, NewType):
            return self.of(annotation.__supertype__)
        if isinstance(annotation, _ALIASES):
            return self._alias(annotation)
        return self._parts(annotation)

    def _typed_dict(self, typed_dict: Any) -> Any:
        if typed_dict in self._open:
            return typed_dict
        self._open.append(typed_dict)
        outside, self._in_keys = self._in_keys, True
        try:
            return twin_of(typed_dict, self.of)
        finally:
            self._in_keys = outside
            self._open.pop()

    def _alias(self, alias: Any) -> Any:
        if alias in self._open:
            raise _RecursiveAlias
        self._open.append(alias)
        try:
            value = self.of(alias.__value__)
            return alias if value is alias.__value__ else value
        except _RecursiveAlias:
            return alias
        finally:
            self._open.pop()

    def _parts(self, annotation: Any) -> Any:
        origin: Any = typing.get_origin(annotation)
        arguments = typing.get_args(annotation)
        if is_array(origin or annotation):
            return Annotated[origin or annotation, ArrayType(element_type(arguments))]
        if not arguments:
            is_empty_tuple = annotation == tuple[()]
            return annotation if is_empty_tuple else self._bare(origin or annotation) or annotation
        if origin is Annotated:
            inner = self.of(annotation.__origin__)
            return Annotated[(inner, *annotation.__metadata__)] if inner is not arguments[0] else annotation
        if origin in (typing.Union, types.UnionType):
            return self._rebuilt(annotation, arguments, lambda parts: typing.Union[parts])  # noqa: UP007
        if getattr(origin, "__module__", "") in _CONTAINER_MODULES and origin is not _CALLABLE:
            return self._rebuilt(annotation, arguments, lambda parts: origin[parts])
        return annotation

    def _json_value(self) -> Any:
        from pydantic import JsonValue

        self.loose = True
        return JsonValue

    def _bare(self, container: Any) -> Any:
        """A container without type arguments holds values like JSON."""
        arguments = _BARE.get(container)
        if arguments is None:
            return None
        return container[tuple(self._json_value() if each is Any else each for each in arguments)]

    def _rebuilt(
        self, annotation: Any, arguments: tuple[Any, ...], make: Callable[[tuple[Any, ...]], Any]
    ) -> Any:
        parts = tuple(part if part is ... else self.of(part) for part in arguments)
        if all(new is old for new, old in zip(parts, arguments, strict=True)):
            return annotation
        return make(parts)


class _RecursiveAlias(Exception):
    """A type alias that names itself, or what only its module can resolve; it is left as it is."""

"""The types of a chainlet, resolved into the codecs that carry its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fchains.definition.annotations import (
    INPUT_STREAMS,
    UnresolvedAnnotation,
    list_item,
    resolve,
    show,
    stream_item,
    without_exception,
)
from fchains.definition.problems import Problem
from fchains.definition.signature import EMPTY
from fchains.errors import SerializationError
from fchains.wire.arguments import ArgumentsCodec
from fchains.wire.codec import Codec, UntransferableType

if TYPE_CHECKING:
    from fchains.definition.spec import Definition

import typing


@dataclass(frozen=True, slots=True)
class ResolvedTypes:
    """Codecs of a chainlet: its arguments, its result or stream item, and its streamed parameters."""

    arguments: ArgumentsCodec
    result: Codec[Any]
    uploads: Mapping[str, Codec[Any]]


def resolve_types(definition: Definition) -> tuple[ResolvedTypes | None, list[Problem]]:
    """Resolve every annotation of a chainlet; all that is wrong with them comes back as problems."""
    return _Resolution(definition).run()


class _Resolution:
    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.signature = definition.signature
        self.problems: list[Problem] = []
        self.fields: dict[str, object] = {}
        self.uploads: dict[str, Codec[Any]] = {}

    def run(self) -> tuple[ResolvedTypes | None, list[Problem]]:
        for parameter in self.signature.parameters:
            self._parameter(parameter.name, parameter.annotation)
        result = self._result()
        self._defaults()
        if self.problems or result is None:
            return None, self.problems
        required = [p.name for p in self.signature.parameters if p.required and p.name in self.fields]
        return ResolvedTypes(ArgumentsCodec(self.fields, required), result, self.uploads), []

    def _parameter(self, name: str, written: object) -> None:
        if written is EMPTY:
            self._report(f"`{name}` has no annotation", f"write `{name}: int`, or whatever it takes")
            return
        annotation = self._resolve(f"`{name}`", written)
        if annotation is None:
            return
        if (typing.get_origin(annotation) or annotation) in INPUT_STREAMS:
            codec = self._codec(f"an item of `{name}`", stream_item(annotation))
            if codec is not None:
                self.uploads[name] = codec
            return
        if self.definition.batch is not None:
            item = list_item(annotation)
            if item is None:
                self._report(
                    f"`{name}` of a batched function is {show(annotation)}",
                    f"a batched function takes lists: write `{name}: list[{show(annotation)}]`",
                )
                return
            annotation = item
        if self._codec(f"`{name}`", annotation) is not None:
            self.fields[name] = annotation

    def _result(self) -> Codec[Any] | None:
        written = self.signature.returns
        if written is EMPTY:
            self._report("the result has no annotation", "write `-> int`, or `-> None`")
            return None
        annotation = self._resolve("the result", written)
        if annotation is None:
            return None
        item = stream_item(annotation)
        if self.signature.is_generator:
            if item is None:
                shape = "AsyncIterator" if self.signature.is_async else "Iterator"
                self._report(
                    f"a generator is annotated to return {show(annotation)}",
                    f"write `-> {shape}[{show(annotation)}]`",
                )
                return None
            return self._codec("an item of the result", item)
        if item is not None:
            self._report(
                f"the result is annotated {show(annotation)} but the function has no `yield`",
                f"yield the items, or return `list[{show(item)}]`",
            )
            return None
        return self._unary_result(annotation)

    def _unary_result(self, annotation: object) -> Codec[Any] | None:
        if self.definition.batch is None:
            return self._codec("the result", annotation)
        item = list_item(annotation)
        if item is None:
            self._report(
                f"a batched function returns {show(annotation)}",
                f"it returns one result for each item: write `-> list[{show(annotation)}]`",
            )
            return None
        return self._codec("the result", without_exception(item))

    def _defaults(self) -> None:
        for parameter in self.signature.parameters:
            if parameter.required:
                continue
            if parameter.name in self.uploads or self.definition.batch is not None:
                self._report(
                    f"`{parameter.name}` has a default, which a "
                    f"{'streamed parameter' if parameter.name in self.uploads else 'batched function'}"
                    " cannot have",
                    "remove the default",
                )
            elif parameter.name in self.fields:
                self._default(parameter.name, parameter.default)

    def _default(self, name: str, default: object) -> None:
        codec: Codec[Any] = Codec(self.fields[name])
        try:
            codec.decode(codec.encode(default, what=f"default of `{name}`"))
        except (ValueError, SerializationError):
            wanted = show(self.fields[name])
            hint = f"write `{name}: {wanted} | None = None`" if default is None else f"make it a {wanted}"
            self._report(f"the default of `{name}`, {default!r}, is no {wanted}", hint)

    def _resolve(self, what: str, written: object) -> object:
        try:
            return resolve(written, self.definition.function, self.definition.enclosing)
        except UnresolvedAnnotation as error:
            self._report(
                f"the annotation of {what}, {show(written)!r}, cannot be resolved: {error}",
                "import the name at run time (not only under TYPE_CHECKING), or correct it",
            )
            return None

    def _codec(self, what: str, annotation: object) -> Codec[Any] | None:
        try:
            return Codec(annotation)
        except UntransferableType as error:
            self._report(f"{what} is {show(annotation)}: {error.reason}", error.hint)
            return None

    def _report(self, message: str, hint: str) -> None:
        definition = self.definition
        self.problems.append(Problem(message, hint, definition.file, definition.line, definition.name))

"""The parameters of a chainlet as the command line sees them."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections import abc
from dataclasses import dataclass
from typing import Any, Literal

from fchains.definition.annotations import list_item, resolve, show, stream_item
from fchains.definition.signature import EMPTY, Parameter
from fchains.definition.spec import Definition

Kind = Literal["text", "flag", "bytes", "list", "value", "stream"]

_QUOTED_OR_DOTTED = re.compile(r"'[^']*'|(?:\w+\.)+(\w+)")
_OPTIONAL = re.compile(r"^Optional\[(.*)\]$")
_WIDEST = 76
_UNIONS = (typing.Union, types.UnionType)


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter: how its option is called, and what its text means.

    Args:
        name: of the parameter.
        annotation: its type, resolved; of a streamed parameter, the type of an item.
        default: its default, or `inspect.Parameter.empty`.
        kind: how the text of its option is read.
        shown: the type as the user wrote it.
    """

    name: str
    annotation: Any
    default: object
    kind: Kind
    shown: str

    @property
    def option(self) -> str:
        """The name of its option."""
        return "--" + self.name.strip("_").replace("_", "-")

    @property
    def required(self) -> bool:
        return self.default is EMPTY

    @property
    def default_shown(self) -> str:
        """Its default as it is written in code."""
        return str(self.default) if isinstance(self.default, enum.Enum) else repr(self.default)

    def __str__(self) -> str:
        return f"{self.name}: {self.shown}" + ("" if self.required else f" = {self.default_shown}")


def fields_of(definition: Definition) -> list[Field]:
    """The parameters that callers pass, in order; those of one item for a batched chainlet."""
    return [_field(definition, parameter) for parameter in definition.signature.parameters]


def signature_of(definition: Definition) -> str:
    """How the chainlet is called, with types and defaults; on several lines where it is long."""
    parameters = list(map(str, fields_of(definition)))
    returns = short(definition.signature.returns)
    text = f"{definition.name}({', '.join(parameters)}) -> {returns}"
    if len(text) <= _WIDEST:
        return text
    return "\n".join([f"{definition.name}(", *(f"    {each}," for each in parameters), f") -> {returns}"])


def short(annotation: object) -> str:
    """An annotation as it is written where every name is imported, without what `Annotated` adds."""
    if annotation in (None, types.NoneType):
        return "None"
    if not isinstance(annotation, str):
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        annotation = typing.get_type_hints(holder)["it"]
    text = _QUOTED_OR_DOTTED.sub(lambda match: match[1] or match[0], show(annotation))
    return _OPTIONAL.sub(r"\1 | None", text)


def bare(annotation: Any) -> Any:
    """An annotation without `Annotated[…]` and `… | None`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return bare(typing.get_args(annotation)[0])
    if origin in _UNIONS:
        others = [each for each in typing.get_args(annotation) if each is not types.NoneType]
        if len(others) == 1:
            return bare(others[0])
    return annotation


def kind_of(annotation: Any) -> Kind:
    """How the text of a value of that type is read."""
    plain = bare(annotation)
    if plain is bool:
        return "flag"
    if plain is str:
        return "text"
    if plain in (bytes, bytearray):
        return "bytes"
    return "list" if _is_list(typing.get_origin(plain) or plain) else "value"


def _is_list(annotation: Any) -> bool:
    is_named_tuple = getattr(annotation, "_fields", None) is not None
    if not isinstance(annotation, type) or issubclass(annotation, str) or is_named_tuple:
        return False
    return issubclass(annotation, abc.Sequence | abc.Set)


def choices_of(annotation: Any) -> dict[str, object]:
    """What may be written for a literal or an enum type, with the value that it stands for."""
    plain = bare(annotation)
    if typing.get_origin(plain) is Literal:
        return {str(choice): choice for choice in typing.get_args(plain)}
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        members = plain.__members__
        by_value: dict[str, object] = {str(member.value): member.value for member in members.values()}
        return {name: member.value for name, member in members.items()} | by_value
    return {}


def choices_shown(annotation: Any) -> list[str]:
    """The choices of a literal or an enum type as help shows them: names where the values are no texts."""
    plain = bare(annotation)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        members = plain.__members__
        return [m.value if isinstance(m.value, str) else name for name, m in members.items()]
    return list(choices_of(annotation))


def item_of(annotation: Any) -> Any:
    """The type of the items of a list-like annotation."""
    args = [each for each in typing.get_args(bare(annotation)) if each is not Ellipsis]
    return args[0] if len(set(map(repr, args))) == 1 else Any


def _field(definition: Definition, parameter: Parameter) -> Field:
    annotation: Any = resolve(parameter.annotation, definition.function, definition.enclosing)
    if parameter.name in definition.types.uploads:
        item = stream_item(annotation)
        return Field(parameter.name, item, parameter.default, "stream", short(annotation))
    if definition.batch is not None:
        annotation = list_item(annotation)
    return Field(parameter.name, annotation, parameter.default, kind_of(annotation), short(annotation))

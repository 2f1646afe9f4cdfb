"""The signature of a function, read once: what its callers pass and what its replica injects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fchains.definition.injected import Injected
from fchains.definition.problems import Problem, close_match

if TYPE_CHECKING:
    from fchains.definition.resource import Resource

EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that callers pass: its name, its annotation as written, and its default."""

    name: str
    annotation: object
    default: object
    keyword_only: bool

    @property
    def required(self) -> bool:
        return self.default is EMPTY


@dataclass(frozen=True, slots=True)
class Signature:
    """What callers may pass to a function, what is injected into it, and what it gives back."""

    subject: str
    parameters: tuple[Parameter, ...]
    injected: Mapping[str, Resource[object]]
    injected_annotations: Mapping[str, object]
    returns: object
    is_async: bool
    is_generator: bool
    positional: tuple[str, ...] = field(init=False)
    required: frozenset[str] = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "positional", tuple(p.name for p in self.parameters if not p.keyword_only))
        set_field(self, "required", frozenset(p.name for p in self.parameters if p.required))
        set_field(self, "names", frozenset(p.name for p in self.parameters))

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Name the values of a call; defaults stay out, they apply where the function runs.

        Raises:
            TypeError: a name or the number of arguments is wrong, or an injected parameter is passed.
        """
        if len(args) > len(self.positional):
            raise TypeError(
                f"{self.subject}.remote() takes {_count(len(self.positional), 'positional argument')}"
                f" but {len(args)} were given"
            )
        bound = dict(zip(self.positional, args, strict=False))
        for name, value in kwargs.items():
            if name in bound or name not in self.names:
                raise TypeError(self._refuse_keyword(name))
            bound[name] = value
        if len(bound) < len(self.parameters) and not self.required <= bound.keys():
            missing = ", ".join(repr(p.name) for p in self.parameters if p.required and p.name not in bound)
            raise TypeError(f"{self.subject}.remote() misses {missing}: {self.describe()}")
        return bound

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse what is no parameter that callers pass, before there are calls to bind.

        Raises:
            TypeError: a name is unknown, or that of an injected parameter.
        """
        for name in names:
            if name not in self.names:
                raise TypeError(self._refuse_keyword(name))

    def describe(self) -> str:
        """How to call the function, as `name(a, b=…)`."""
        shown = [p.name if p.required else f"{p.name}=…" for p in self.parameters]
        return f"{self.subject}({', '.join(shown)})"

    def _refuse_keyword(self, name: str) -> str:
        if name in self.injected:
            return (
                f"{self.subject}.remote() got {name!r}, which use({self.injected[name].name}) injects"
                " in the replica: leave it out, or replace it in tests with resource.override(value)"
            )
        if name in self.names:
            return f"{self.subject}.remote() got several values for {name!r}"
        guess = close_match(name, sorted(self.names))
        hint = f" Did you mean {guess!r}?" if guess else f" It takes {self.describe()}."
        return f"{self.subject}.remote() got an unknown argument {name!r}.{hint}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"


def read_signature(
    function: Callable[..., object], subject: str, place: tuple[str, int]
) -> tuple[Signature, list[Problem]]:
    """Read a function's signature; kinds of parameters that a call cannot name are problems."""
    problems: list[Problem] = []
    parameters: list[Parameter] = []
    injected: dict[str, Resource[object]] = {}
    annotations: dict[str, object] = {}
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if isinstance(parameter.default, Injected):
            injected[parameter.name] = parameter.default.resource
            annotations[parameter.name] = parameter.annotation
            continue
        message = _kind_problem(parameter)
        if message:
            problems.append(Problem(*message, file=place[0], line=place[1], subject=subject))
        else:
            keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
            parameters.append(
                Parameter(parameter.name, parameter.annotation, parameter.default, keyword_only)
            )
    return (
        Signature(
            subject=subject,
            parameters=tuple(parameters),
            injected=injected,
            injected_annotations=annotations,
            returns=signature.return_annotation,
            is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
            is_generator=inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        ),
        problems,
    )


def _kind_problem(parameter: inspect.Parameter) -> tuple[str, str] | None:
    name = parameter.name
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return f"`*{name}` cannot be typed one by one", f"write `{name}: list[…]`"
        case inspect.Parameter.VAR_KEYWORD:
            return f"`**{name}` cannot be typed one by one", f"write `{name}: dict[str, …]` or name them"
        case inspect.Parameter.POSITIONAL_ONLY:
            return f"`{name}` is positional-only and cannot travel by name", "remove the `/`"
        case _:
            return None

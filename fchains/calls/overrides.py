"""Fakes: a function of the test's own in place of a chainlet, for the length of a block."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from fchains.definition.options import Options
from fchains.definition.overrides import overriding
from fchains.definition.problems import Problem, place_of
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError


class Fake(Definition):
    """A fake as a chainlet: its own function behind the original's types."""

    def __init__(self, original: Definition, function: Callable[..., Any], options: Options) -> None:
        super().__init__(function, options)
        self.__dict__["types"] = original.types


def open_override(definition: Definition, fake: Callable[..., Any]) -> AbstractContextManager[None]:
    """Let calls of a chainlet run `fake`, in this process, inside the block.

    Raises:
        DefinitionError: the fake cannot be called as the original is.
    """
    problems = _mismatches(definition, fake)
    if problems:
        raise DefinitionError(problems=problems)
    options, _ = definition.options.replace(
        {"name": definition.name, "health": None, "concurrency": 100, "group": None},
        subject=definition.name,
        place=definition.place,
    )
    return overriding(fakes={definition: Fake(definition, _as_function(definition, fake), options)})


def _as_function(definition: Definition, fake: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function that takes the original's parameters by name and does what the fake does."""
    if inspect.isfunction(fake) and definition.batch is None:
        return fake
    by_position = definition.batch is not None

    def call(**arguments: Any) -> Any:
        return fake(*arguments.values()) if by_position else fake(**arguments)

    async def call_async(**arguments: Any) -> Any:
        return await call(**arguments)

    # A fake of a batched chainlet takes one item by position, whatever name it gives it.
    wrapper: Callable[..., Any] = call_async if inspect.iscoroutinefunction(fake) else call
    wrapper.__name__ = getattr(fake, "__name__", type(fake).__name__)
    vars(wrapper)["__signature__"] = inspect.signature(fake)
    return wrapper


def _mismatches(definition: Definition, fake: Callable[..., Any]) -> list[Problem]:
    file, line = place_of(fake)
    subject = f"fake of {definition.name}"

    def problem(message: str, hint: str) -> Problem:
        return Problem(message, hint, file, line, subject)

    try:
        signature = inspect.signature(fake)
    except (TypeError, ValueError):
        return [
            problem(f"{fake!r} is no function", f"pass a function like {definition.signature.describe()}")
        ]
    problems: list[Problem] = []
    names = {p.name: ... for p in definition.signature.parameters}
    try:
        if definition.batch is None:
            signature.bind(**names)
        else:
            signature.bind(*names.values())
    except TypeError as error:
        hint = f"give it the parameters of {definition.signature.describe()}, the injected ones left out"
        problems.append(problem(f"it cannot be called as the original is: {error}", hint))
    streams = inspect.isgeneratorfunction(fake) or inspect.isasyncgenfunction(fake)
    if streams != (definition.kind == "stream"):
        kinds = ("a generator", "a function that returns")
        is_a, should_be = kinds if streams else kinds[::-1]
        problems.append(problem(f"it is {is_a}, the original is {should_be}", "make both of one kind"))
    return problems

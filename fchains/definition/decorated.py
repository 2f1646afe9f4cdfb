"""What `@chainlet` and `@batched` cannot decorate, and what to write instead."""

from __future__ import annotations

import functools
import inspect

from fchains.definition.handle import AnyChainlet
from fchains.definition.problems import NOWHERE, Problem, caller_place, place_of, shown
from fchains.definition.resource import Resource


def problem_with(value: object, decorator: str) -> Problem | None:
    """Why the decorator of that name cannot take the value; None if it can."""
    fault = _fault(value, decorator)
    if fault is None:
        return None
    message, hint = fault
    place = place_of(value) if callable(value) else NOWHERE
    return Problem(message, hint, *(place if place != NOWHERE else caller_place()), _name_of(value))


def stand_in() -> None:
    """Takes the place of what is no function while problems are collected."""


def _fault(value: object, decorator: str) -> tuple[str, str] | None:
    if isinstance(value, AnyChainlet):
        return _already_a_chainlet(value, decorator)
    if isinstance(value, Resource):
        return f"it is a resource, made by @setup, and cannot be @{decorator} too", "remove one of the two"
    if isinstance(value, type):
        hint = (
            "make a function of it; what it loads once belongs in a @setup function,"
            " injected with `model: Model = use(load)`"
        )
        return f"@{decorator} decorates functions, not classes", hint
    if isinstance(value, (staticmethod, classmethod)) or _is_method(value):
        return f"@{decorator} decorates functions, not methods", "move it out of its class"
    if isinstance(value, functools.partial):
        hint = "write a `def` that calls it, with annotations"
        return f"@{decorator} decorates functions, not partials", hint
    if isinstance(value, str):
        hint = f"write @{decorator}(name={value!r})"
        return f"@{decorator} takes options by name, not {shown(value)}", hint
    if not inspect.isfunction(value):
        return f"@{decorator} decorates functions, not {shown(value)}", f"write @{decorator} above a `def`"
    return None


def _already_a_chainlet(chainlet: AnyChainlet, decorator: str) -> tuple[str, str]:
    if decorator == "batched":
        return "@batched stands above @chainlet", "swap them: @chainlet above @batched above the `def`"
    other = f'{chainlet.__name__}.variant(name="…")'
    return "it is a chainlet already", f"remove one @chainlet; with other options beside it, write {other}"


def _is_method(value: object) -> bool:
    if inspect.ismethod(value):
        return True
    if not inspect.isfunction(value):
        return False
    around = value.__qualname__.rpartition(".")[0]
    return bool(around) and not around.endswith("<locals>")


def _name_of(value: object) -> str:
    name = getattr(value, "__name__", "")
    return name if isinstance(name, str) else ""

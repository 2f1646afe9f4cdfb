"""Validation errors in the words of a call: one line each, with the path of the bad part."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_UNSEEN = object()
_PLAIN = (type(None), bool, int, float, str)
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def steps_of(location: Sequence[int | str]) -> str:
    """A location below a value, as it would be written in Python, `.path[3]`."""
    return "".join(
        f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in location
    )


def explain(error: ValidationError, value: object = _UNSEEN, names: Collection[str] = ()) -> str:
    """One line for each error.

    Args:
        error: what pydantic raised.
        value: the value it was raised for; with it, the names that pydantic gives to the choices
            of a union are left out of the paths.
        names: the parameters, for those who misspell one.
    """
    return "\n".join(_line(each, value, names) for each in _errors(error))


def details_of(error: ValidationError, value: object = _UNSEEN) -> list[dict[str, object]]:
    """The errors as plain data that can travel: what is no scalar is a shortened text in it."""
    return [
        {
            "type": each["type"],
            "loc": list(places_of(each, value)),
            "msg": each["msg"],
            "input": each["input"] if type(each["input"]) in _PLAIN else _REPR.repr(each["input"]),
        }
        for each in _errors(error)
    ]


def places_of(details: ErrorDetails, value: object) -> Sequence[int | str]:
    """The location of an error in the value, without the names of union choices."""
    location = [step for step in details["loc"] if step != "[key]"]
    if value is _UNSEEN:
        return location
    places: list[int | str] = []
    for position, step in enumerate(location):
        inner = _inside(value, step)
        if inner is not _UNSEEN:
            value = inner
        elif details["type"] != "missing" or position < len(location) - 1:
            continue
        places.append(step)
    return places


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False)


def _inside(value: Any, step: int | str) -> object:
    """The part of a value at a step, or _UNSEEN where it has none."""
    if isinstance(value, Mapping):
        return cast("Mapping[Any, object]", value).get(step, _UNSEEN)
    if isinstance(step, str):
        return getattr(value, "__dict__", {}).get(step, _UNSEEN)
    try:
        return value[step]
    except (TypeError, LookupError):
        return _UNSEEN


def _line(details: ErrorDetails, value: object, names: Collection[str]) -> str:
    path = steps_of(places_of(details, value)).removeprefix(".")
    place = f"`{path}`: " if path else ""
    if details["type"] == "missing":
        return f"{place}a value is required"
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        close = difflib.get_close_matches(path, names, n=1)
        return f"`{path}` is not a parameter; " + (
            f"did you mean `{close[0]}`?" if close else f"the parameters are: {', '.join(names) or 'none'}"
        )
    if details["type"] == "json_invalid":
        return f"{place}{details['msg']}"
    return f"{place}{details['msg']}, got {_REPR.repr(details['input'])} ({type(details['input']).__name__})"

"""What makes up an exception's state, besides its args, and which state makes an exception anew.

Attributes are taken from `__dict__`, from `__slots__` and from the C fields of built-in classes
(`OSError.filename`), and are put back the same way: no property and no `__setattr__` runs.
Groups and pydantic's ValidationError cannot be made empty and filled: they are made from state.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterable
from typing import Any, cast

from pydantic_core import (
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    PydanticKnownError,
    ValidationError,
)

from fchains.errors import RemoteError

MADE_FROM_STATE = frozenset((BaseExceptionGroup, ValidationError))
_DESCRIPTORS = types.MemberDescriptorType | types.GetSetDescriptorType
_UNSET = object()
# The object whose attribute was missing: it may be anything, and is no part of the failure.
_LEFT_OUT = frozenset(((BaseException, "args"), (AttributeError, "obj")))


def state_of(error: BaseException) -> dict[str, object]:
    """The attributes of an exception."""
    if isinstance(error, ValidationError):
        return _validation_state(error)
    state: dict[str, object] = {}
    for cls in type(error).__mro__:
        for name, entry in vars(cls).items():
            if isinstance(entry, _DESCRIPTORS) and not name.startswith("__") and (cls, name) not in _LEFT_OUT:
                value = _read(entry, error)
                # An unset field of a built-in class reads as None.
                if value is not _UNSET and (value is not None or cls.__module__ != "builtins"):
                    state.setdefault(name, value)
    return {**state, **instance_dict(error)}


def instance_dict(error: BaseException) -> dict[str, Any]:
    """The `__dict__` of an exception, whatever its class says."""
    return cast("dict[str, Any]", object.__getattribute__(error, "__dict__"))


def get(error: BaseException, name: str) -> Any:
    """`args`, `__cause__` and the like, past all that the exception's class overrides."""
    return vars(BaseException)[name].__get__(error)


def put(error: BaseException, name: str, value: object) -> None:
    """Set `args`, `__cause__` and the like; the class may be frozen."""
    vars(BaseException)[name].__set__(error, value)


def make(cls: type[BaseException], state: dict[str, Any]) -> BaseException:
    """An instance of the class without its args and most of its state.

    Args:
        cls: its class.
        state: needed for MADE_FROM_STATE only, whose members and inner exceptions it holds.

    Raises:
        Exception: it cannot be made from that state.
    """
    if issubclass(cls, BaseExceptionGroup):
        return _make_group(cast("type[BaseExceptionGroup[BaseException]]", cls), state)
    if cls is ValidationError:
        return _make_validation_error(state)
    for base in cls.__mro__:
        new = vars(base).get("__new__")
        if isinstance(new, types.BuiltinFunctionType):
            try:
                return cast("BaseException", new(cls))
            except TypeError:  # another base's fields come first in memory
                continue
    raise TypeError(f"{cls!r} has no way to be made empty")


def fill(error: BaseException, args: tuple[object, ...], state: dict[str, object]) -> None:
    """Give an exception its args, by the nearest built-in base's `__init__`, and its state."""
    if BaseExceptionGroup in type(error).__mro__:
        args = _group_args(cast("BaseExceptionGroup[BaseException]", error), args)
    if not isinstance(error, ValidationError):
        base = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        # A class that passes it something else than its args: these and the state follow anyway.
        with contextlib.suppress(Exception):
            cast("Any", base).__init__(error, *args)
        for name, value in state.items():
            _write(error, name, value)
    put(error, "args", args)


def _read(entry: Any, error: BaseException) -> object:
    try:
        return entry.__get__(error, type(error))
    except Exception:  # an empty slot
        return _UNSET


def _write(error: BaseException, name: str, value: object) -> None:
    for cls in type(error).__mro__:
        entry = vars(cls).get(name)
        if isinstance(entry, _DESCRIPTORS) and not name.startswith("__"):
            with contextlib.suppress(AttributeError, TypeError):  # read-only: made with it
                entry.__set__(error, value)
            return
    instance_dict(error)[name] = value


def _make_group(cls: type[BaseExceptionGroup[BaseException]], state: dict[str, Any]) -> BaseException:
    members = [each for each in state["exceptions"] if isinstance(each, BaseException)]
    if lost := len(state["exceptions"]) - len(members):
        members.append(RemoteError(f"{lost} more exceptions were left out"))
    return BaseExceptionGroup.__new__(cls, state["message"], members)


def _group_args(error: BaseExceptionGroup[BaseException], args: tuple[object, ...]) -> tuple[object, ...]:
    """The args of a group name its members as well: those it has."""
    if len(args) != 2 or not isinstance(args[1], list | tuple):
        return args
    return args[0], error.exceptions if isinstance(args[1], tuple) else list(error.exceptions)


def _validation_state(error: ValidationError) -> dict[str, object]:
    hidden = "input_value=" not in str(error)
    return {"title": error.title, "errors": error.errors(include_url=False), "hidden": hidden}


def _make_validation_error(state: dict[str, Any]) -> ValidationError:
    errors: list[ErrorDetails] = state["errors"]
    lines = [_line_error(each) for each in errors]
    messages = [each["msg"] for each in errors]
    for input_type in ("python", "json"):
        made = ValidationError.from_exception_data(
            state["title"], lines, cast("Any", input_type), hide_input=state["hidden"]
        )
        if _messages(made.errors(include_url=False)) == messages:
            return made
    raise ValueError("the errors were worded by other rules")


def _line_error(error: ErrorDetails) -> InitErrorDetails:
    context = error.get("ctx")
    kind: str | PydanticCustomError = error["type"]
    try:
        PydanticKnownError(cast("Any", kind), context)
    except KeyError:
        kind = PydanticCustomError(cast("Any", kind), cast("Any", error["msg"]), context)
    line = InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])
    if context is not None and isinstance(kind, str):
        line["ctx"] = context
    return line


def _messages(errors: Iterable[ErrorDetails]) -> list[str]:
    return [each["msg"] for each in errors]

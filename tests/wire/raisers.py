"""Exceptions of every kind, and their way to another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Self, TypeVar, cast

import pydantic
import pytest

from fchains.errors import (
    FchainsError,
    RemoteError,
)
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import Failure, exception_of, failure_of

T = TypeVar("T")


LOOKUP = ClassLookup()
HERE = __name__


class Color(Enum):
    RED = "red"


class Page(pydantic.BaseModel):
    number: int


class Several(Exception):
    """Its `__init__` takes other arguments than `args` holds."""

    def __init__(self, path: str, *, line: int) -> None:
        super().__init__(f"{path} is wrong in line {line}")
        self.path = path
        self.line = line


class Silent(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class Counting(Exception):
    made = 0

    def __init__(self) -> None:
        Counting.made += 1


class Slotted(Exception):
    __slots__ = ("__hidden", "empty", "none", "shown")

    def __init__(self, shown: object) -> None:
        self.shown = shown
        self.none = None
        self.__hidden = 3

    @property
    def hidden(self) -> int:
        return self.__hidden


@dataclass
class Comparable(Exception):
    code: int


@dataclass(frozen=True)
class Frozen(Exception):
    code: int
    pages: list[Page]


class Parametrised(Exception, Generic[T]):
    pass


class Guarded(Exception):
    """What it is asked for, it refuses."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("read-only")

    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    def __bool__(self) -> bool:
        raise TypeError("neither true nor false")

    def __repr__(self) -> str:
        raise TypeError("unspeakable")

    @property
    def args(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        raise TypeError("no args")


class Refusing(Exception):
    def __new__(cls, *_args: object) -> Self:
        if cls.closed:
            raise TypeError("cannot be made")
        return super().__new__(cls)

    closed = False


class Mixed(ValueError, OSError):
    pass


class Named(UnicodeDecodeError):
    def __init__(self, path: str, error: UnicodeDecodeError) -> None:
        super().__init__(*error.args)
        self.path = path


class Both(FchainsError, KeyError):
    pass


class MyGroup(ExceptionGroup[Exception]):
    label = ""


class Base(BaseException):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class NotAnError:
    pass


class Text(str):
    __slots__ = ()


class Many(dict[str, int]):
    pass


def travel(error: BaseException, lookup: ClassLookup = LOOKUP) -> BaseException:
    return exception_of(Failure.from_payload(failure_of(error).to_payload()), lookup)


def travel_as(error: T, lookup: ClassLookup = LOOKUP) -> T:
    """The exception after the way, which has kept its class."""
    assert isinstance(error, BaseException)
    arrived = travel(error, lookup)
    assert type(arrived) is type(error)
    assert arrived.args == error.args
    assert str(arrived) == str(error)
    return arrived


class Elsewhere(ClassLookup):
    """A process that lacks the classes of this module."""

    def __init__(self, *missing: type) -> None:
        super().__init__()
        self._missing = {self.reference(cls) for cls in missing}

    def find(self, name: str) -> type:
        if name in self._missing:
            raise LookupError(name)
        return super().find(name)


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group."""
    assert isinstance(error, BaseExceptionGroup)
    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def remote(error: BaseException) -> RemoteError:
    assert isinstance(error, RemoteError)
    return error


def raised_by(function: Callable[[], object]) -> Exception:
    with pytest.raises(Exception, match=r".") as caught:
        function()
    return caught.value

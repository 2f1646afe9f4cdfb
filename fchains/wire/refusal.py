"""Why a value, or a type, cannot travel, and what to do about it."""

from __future__ import annotations

import reprlib
from collections.abc import AsyncIterable, Iterator

_MAX_STEPS = 8


class Refused(Exception):
    """A value met on the way that cannot travel; its path grows as the walk unwinds.

    `what` names the outermost value, where the walk knows better than who asked for it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.what = ""
        self.steps: list[str] = []

    def under(self, step: str) -> None:
        """Note the place of the value in its container, `[3]` or `.name`."""
        self.steps.append(step)

    @property
    def path(self) -> str:
        """Steps from the outermost value to the refused one, shortened when there are many."""
        steps = self.steps[::-1]
        return "".join(steps if len(steps) <= _MAX_STEPS else [*steps[:_MAX_STEPS], "…"])


def key_step(key: object) -> str:
    """The step into a dictionary, `['name']`."""
    return f"[{reprlib.repr(key)}]"


def name_of(cls: object) -> str:
    """A class as users write it: `list`, `threading.Event`."""
    module: str = getattr(cls, "__module__", "")
    name: str = getattr(cls, "__qualname__", None) or repr(cls)
    return name if module in ("builtins", "") else f"{module}.{name}"


def hint_for(cls: type) -> str:
    """What to pass instead of an instance of that class."""
    names = {name_of(base) for base in cls.__mro__} | {cls.__module__}
    for described, hint in _HINTS:
        if issubclass(cls, described) if isinstance(described, type) else described in names:
            return hint
    for base in (int, float, complex, str, bytes, list, dict, set, frozenset, tuple):
        if issubclass(cls, base):
            return f"pass {base.__name__}(value)"
    return (
        "pass a pydantic model, a dataclass or plain values, or make it in a @setup resource;"
        " fchains.wire.adapters.register() lets a foreign value type travel"
    )


PROTECTS = "pass what it protects, or make it in a @setup resource"
_CALLABLE = "call it and pass its result, or import it where it is used"
_AWAITED = "await it and pass its result"
_HINTS: tuple[tuple[type | str, str], ...] = (
    (type, "pass its name, or an instance of it"),
    (memoryview, "pass bytes(value)"),
    ("_io._IOBase", "pass its path, or its contents as bytes"),
    (Iterator, "pass list(value), or annotate a streamed parameter as AsyncIterator[…]"),
    (AsyncIterable, "only a whole parameter, or a generator's result, can be a stream; pass a list here"),
    (BaseException, "raise it, or pass str(value)"),
    ("_thread", PROTECTS),
    ("threading", PROTECTS),
    ("builtins.function", _CALLABLE),
    ("function", _CALLABLE),
    ("builtin_function_or_method", _CALLABLE),
    ("_asyncio.Future", _AWAITED),
    ("asyncio.futures.Future", _AWAITED),
    ("coroutine", _AWAITED),
    ("concurrent.futures._base.Future", "wait for it and pass its result"),
    ("numpy.generic", "pass value.item()"),
    ("numpy.ndarray", "pass numpy.asarray(value)"),
)


class UntransferableType(TypeError):
    """Raised when values of an annotation cannot travel between processes.

    Args:
        annotation: the annotation, or the part of it that is to blame.
        reason: what is wrong with it.
        hint: what to write instead.
    """

    def __init__(self, annotation: object, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason}: {hint}" if hint else reason)
        self.annotation = annotation
        self.reason = reason
        self.hint = hint

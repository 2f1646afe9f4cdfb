"""When a failed call is tried again, and after which delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields
from typing import cast

from fchains.definition.numeric import finite, whole
from fchains.definition.problems import BadValue, Problem, caller_place, report, shown
from fchains.errors import CallCancelled, InvalidArguments, SetupError

# Another attempt cannot end differently, or is not wanted.
NEVER_RETRIED = (SetupError, CallCancelled, InvalidArguments)
_LEAVE_OUT = "leave it out"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call is attempted, and how long to wait in between.

    Args:
        attempts: attempts in total, the first one included.
        backoff: seconds before the second attempt at most; doubled for each further one.
        max_delay: the longest delay, in seconds.
        jitter: wait a random part of the delay, so that callers do not come back all at once.
        on: exception classes of user code to retry, subclasses included. Lost workers, timed-out
            attempts and overload are retried without being named.

    Raises:
        DefinitionError: a value is wrong.
    """

    attempts: int = 3
    _: KW_ONLY
    backoff: float = 1.0
    max_delay: float = 60.0
    jitter: bool = True
    on: type[Exception] | tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        for field in fields(self):
            if any(name == field.name for name, _, _ in faults):
                object.__setattr__(self, field.name, field.default)
        object.__setattr__(self, "on", tuple(_classes_of(self.on)))
        if faults:
            file, line = caller_place()
            report([Problem(message, hint, file, line, "Retry") for _, message, hint in faults])

    def covers(self, exception_type: type[BaseException]) -> bool:
        """Whether `on` names this class or a base of it."""
        return issubclass(exception_type, self.on) and not issubclass(exception_type, NEVER_RETRIED)


def delay_before(attempt: int, retry: Retry, random: Callable[[], float]) -> float:
    """Seconds to wait before the given attempt, counted from 1.

    Exponential backoff with full jitter, after "Exponential Backoff And Jitter" (AWS Architecture
    Blog, 2015): of the variants compared there it finishes with the fewest calls.

    Args:
        attempt: the attempt about to start; the first one waits for nothing.
        retry: the schedule.
        random: a number from 0 to 1, as `random.random` gives.
    """
    if attempt <= 1:
        return 0.0
    doublings = min(attempt - 2, 1000)  # 2.0**1024 would overflow
    longest = min(retry.backoff * 2.0**doublings, retry.max_delay)
    return longest * random() if retry.jitter else longest


def parse_retries(value: object) -> Retry:
    """A schedule from `n` more attempts after the first, or from a schedule.

    Raises:
        BadValue: this is neither.
    """
    if isinstance(value, Retry):
        return value
    hint = "write retries=2 for two more attempts after the first, which is Retry(attempts=3) in total"
    more = whole(value)
    if more is None:
        raise BadValue(f"must be an int or a Retry, not {shown(value)}", hint)
    if more < 0:
        raise BadValue(f"must not be negative: {shown(value)}", hint)
    return Retry(attempts=more + 1)


def _faults(retry: Retry) -> list[tuple[str, str, str]]:
    """Field, what is wrong, and what to write, of each field that is wrong."""
    found: list[tuple[str, str, str]] = []
    attempts = whole(retry.attempts)
    if attempts is None or attempts < 1:
        message = f"attempts must be an int of at least 1, not {shown(retry.attempts)}"
        found.append(("attempts", message, "it counts the first attempt too: attempts=1 never retries"))
    for name in ("backoff", "max_delay"):
        seconds = finite(getattr(retry, name))
        if seconds is None or seconds < 0:
            message = f"{name} must be a number of seconds, 0 or more, not {shown(getattr(retry, name))}"
            found.append((name, message, f"write {name}=1.0"))
    if not isinstance(cast("object", retry.jitter), bool):
        message = f"jitter must be True or False, not {shown(retry.jitter)}"
        found.append(("jitter", message, "write jitter=True"))
    found += [("on", *fault) for fault in map(_class_fault, _classes_of(retry.on)) if fault]
    return found


def _classes_of(on: object) -> tuple[type[Exception], ...]:
    """The items of `on`, unchecked."""
    if isinstance(on, (tuple, list)):
        return tuple(cast("list[type[Exception]]", on))
    return (cast("type[Exception]", on),)


def _class_fault(value: object) -> tuple[str, str] | None:
    item = cast("type[object] | None", value if isinstance(value, type) else None)
    if item is None or not issubclass(item, BaseException):
        return f"on= takes exception classes, not {shown(value)}", "write for example on=(ConnectionError,)"
    if not issubclass(item, Exception):
        return f"on= takes subclasses of Exception, not {item.__qualname__}", _LEAVE_OUT
    if issubclass(item, NEVER_RETRIED):
        return f"on= names {item.__qualname__}, which is never retried", _LEAVE_OUT
    return None


NO_RETRY = Retry(attempts=1)

"""What user code ended with, as the outcome that travels."""

from __future__ import annotations

from pydantic import ValidationError

from fchains.calls.invocation import Failed, FailureKind, Invocation, Success
from fchains.definition.spec import Definition
from fchains.errors import (
    CallCancelled,
    CallTimeout,
    FchainsError,
    InvalidArguments,
    InvalidResult,
    SerializationError,
)
from fchains.wire.explain import explain
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload

NOTHING = Payload(b"null")


def failed(kind: FailureKind, error: BaseException, where: str = "") -> Failed:
    """A failure of the given kind."""
    return Failed(kind, failure_of(error, where=where))


def of_error(error: BaseException, where: str) -> Failed:
    """What user code raised."""
    return failed(FailureKind.USER, error, where)


def of_value(definition: Definition, value: object, where: str) -> Success | Failed:
    """What user code returned, if its annotation allows it."""
    try:
        return Success(encode(definition, value))
    except FchainsError as error:
        return failed(FailureKind.INVALID, error, where)


def encode(definition: Definition, value: object) -> Payload:
    """A result, or a stream's item, ready to travel.

    Raises:
        InvalidResult: it does not fit the annotation.
        SerializationError: it cannot travel.
    """
    codec = definition.types.result
    what = "an item" if definition.kind == "stream" else "the result"
    payload = codec.encode(value, what=f"{what} of {definition.name}")
    if payload.tagged:
        # Only what left the plain encoding can be of a wrong type; the sender is where to say so.
        try:
            codec.decode(payload)
        except ValueError as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            raise InvalidResult(
                f"{what} of {definition.name} does not fit its annotation: {reason}"
            ) from error
    return payload


def of_bad_arguments(chainlet: str, error: InvalidArguments | SerializationError) -> Failed:
    """Arguments that do not fit."""
    error.args = (f"{chainlet}: {error}",)
    return failed(FailureKind.INVALID, error)


def timed_out(invocation: Invocation, where: str = "") -> Failed:
    """A deadline that passed in the replica, in the words that the caller's own watch has for it."""
    error = CallTimeout(f"{invocation.chainlet} {limit_passed(invocation)}{where} (call {invocation.id})")
    return failed(FailureKind.TIMEOUT, error)


def limit_passed(invocation: Invocation) -> str:
    """Which of an invocation's two limits passes first."""
    timeout, remaining = invocation.timeout, invocation.remaining
    if timeout is None or (remaining is not None and remaining < timeout):
        return "passed the deadline of its caller"
    return f"passed its timeout of {timeout:g} s"


def cancelled(chainlet: str, call: str) -> Failed:
    """A call that was cancelled."""
    return failed(FailureKind.CANCELLED, CallCancelled(f"{chainlet}: call {call} was cancelled"))

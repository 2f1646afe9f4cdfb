"""Calls as frames: what an invocation, an outcome and the items of streams look like on a link.

Stream 0 of a call is its result, stream 1 + i the i-th of its streamed parameters. RESULT ends a
call that gave no items, END one that gave as many as its head says, ERROR one that failed.
"""

from __future__ import annotations

import enum
import functools
import re
from typing import Annotated, NamedTuple, Required, TypeAlias

from pydantic import StringConstraints, TypeAdapter, ValidationError, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.calls.trace import Trace
from fchains.errors import SerializationError
from fchains.wire.failures import Failure
from fchains.wire.messages import Frame, Kind, ProtocolError
from fchains.wire.payload import Payload
from fchains.wire.windows import Credit

RESULT = 0
"""The stream that a generator's items come on."""


class Stop(enum.Enum):
    """Why a call is to stop."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    RECALLED = "recalled"
    """Its caller wants to send it elsewhere, if it has not begun."""


class End(NamedTuple):
    """The end of a streamed parameter."""

    items: int
    failure: Failure | None


_TraceId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_SpanId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


@with_config({"extra": "forbid", "strict": True, "allow_inf_nan": False})
class _Head(TypedDict, total=False):
    """What a CALL says besides arguments, chainlet and deadline; defaults are left out."""

    id: Required[str]
    chain_id: Required[str]
    trace: Required[tuple[_TraceId, _SpanId, bool]]
    attempt: int
    timeout: float
    path: tuple[str, ...]
    headers: dict[str, str]
    uploads: tuple[str, ...]
    key: str


_KINDS = {f'"{kind.value}"'.encode(): kind for kind in FailureKind}
_KIND_HEADS = {kind: head for head, kind in _KINDS.items()}
_STOPS = {f'"{how.value}"'.encode(): how for how in Stop}
_STOP_PAYLOADS = {how: Payload(body) for body, how in _STOPS.items()}
_NOTHING = Payload(b"")
_COUNT = re.compile(rb"\d{1,18}")
_CREDIT = re.compile(rb"\[(\d{1,18}),(\d{1,18})\]")


def call_frame(number: int, channel: int, invocation: Invocation) -> Frame:
    """An invocation, to be sent to the replica that has its chainlet on that channel.

    Raises:
        SerializationError: its key or its headers are no text that can travel.
    """
    trace = invocation.trace
    head: _Head = {
        "id": invocation.id,
        "chain_id": invocation.chain_id,
        "trace": (trace.trace_id, trace.span_id, trace.sampled),
    }
    if invocation.attempt != 1:
        head["attempt"] = invocation.attempt
    if invocation.timeout is not None:
        head["timeout"] = invocation.timeout
    if invocation.path:
        head["path"] = invocation.path
    if invocation.headers:
        head["headers"] = dict(invocation.headers)
    if invocation.uploads:
        head["uploads"] = invocation.uploads
    if invocation.key is not None:
        head["key"] = invocation.key
    try:
        encoded = to_json(head)
    except ValueError as error:
        what = f"{invocation.chainlet}: the key or a header of call {invocation.id}"
        raise SerializationError(f"{what} is no valid text: {error}") from error
    return Frame(Kind.CALL, number, channel, invocation.arguments, encoded, invocation.remaining)


def invocation_of(frame: Frame, chainlet: str) -> Invocation:
    """The invocation of a CALL.

    Raises:
        ProtocolError: its head is malformed.
    """
    try:
        head = _head().validate_json(frame.head)
    except ValidationError as error:
        raise ProtocolError(f"CALL {frame.call} for {chainlet} came with a bad head: {error}") from error

    return Invocation(
        head["id"],
        head["chain_id"],
        chainlet,
        frame.payload,
        head.get("attempt", 1),
        head.get("timeout"),
        frame.remaining,
        Trace(*head["trace"]),
        head.get("path", ()),
        head.get("headers", {}),
        head.get("uploads", ()),
        head.get("key"),
    )


def accept_frame(number: int) -> Frame:
    """User code starts now."""
    return Frame(Kind.ACCEPT, number)


def refuse_frame(number: int) -> Frame:
    """The call was not started here and will not be."""
    return Frame(Kind.REFUSE, number)


def cancel_frame(number: int, how: Stop) -> Frame:
    """Stop a call."""
    return Frame(Kind.CANCEL, number, payload=_STOP_PAYLOADS[how])


def stop_of(frame: Frame) -> Stop:
    """Why a CANCEL came.

    Raises:
        ProtocolError: it does not say.
    """
    how = _STOPS.get(frame.payload.body)
    if how is None:
        raise ProtocolError(f"CANCEL came for an unknown reason, {_shown(frame.payload.body)}")
    return how


def outcome_frame(number: int, outcome: Outcome) -> Frame:
    """The last frame of a call."""
    if isinstance(outcome, Failed):
        return Frame(Kind.ERROR, number, payload=outcome.failure.to_payload(), head=_KIND_HEADS[outcome.kind])
    if outcome.items:
        return Frame(Kind.END, number, RESULT, outcome.payload, b"%d" % outcome.items)
    return Frame(Kind.RESULT, number, payload=outcome.payload)


def outcome_of(frame: Frame) -> Outcome:
    """The outcome of a RESULT, an ERROR, or the END of a result.

    Raises:
        ProtocolError: it says neither who failed nor how many items came.
    """
    if frame.kind is Kind.RESULT:
        return Success(frame.payload)
    if frame.kind is Kind.END:
        return Success(frame.payload, _number(frame))
    kind = _KINDS.get(frame.head)
    if kind is None:
        raise ProtocolError(f"ERROR came of an unknown kind, {_shown(frame.head)}")
    return Failed(kind, Failure.from_payload(frame.payload))


def item_frame(number: int, stream: int, payload: Payload) -> Frame:
    """One item of a stream, in either direction."""
    return Frame(Kind.ITEM, number, stream, payload)


def credit_frame(number: int, stream: int, items: int, size: int) -> Frame:
    """So many items, of `size` bytes together, were taken from a stream."""
    return Frame(Kind.CREDIT, number, stream, Payload(b"[%d,%d]" % (items, size)))


def credit_of(frame: Frame) -> Credit:
    """What a CREDIT gives back.

    Raises:
        ProtocolError: it is malformed.
    """
    match = _CREDIT.fullmatch(frame.payload.body)
    if match is None:
        raise ProtocolError(f"CREDIT came with {_shown(frame.payload.body)}, not with items and bytes")
    return Credit(int(match[1]), int(match[2]))


def end_frame(number: int, stream: int, items: int, failure: Failure | None) -> Frame:
    """The end of a streamed parameter after so many items, with the failure of its source."""
    payload = _NOTHING if failure is None else failure.to_payload()
    return Frame(Kind.END, number, stream, payload, b"%d" % items)


def end_of(frame: Frame) -> End:
    """What the END of a streamed parameter says.

    Raises:
        ProtocolError: not how many items came.
    """
    payload = frame.payload
    return End(_number(frame), Failure.from_payload(payload) if payload.body else None)


def _number(frame: Frame) -> int:
    if _COUNT.fullmatch(frame.head) is None:
        raise ProtocolError(f"END came with {_shown(frame.head)}, not with the number of its items")
    return int(frame.head)


def _shown(data: bytes) -> str:
    return repr(data if len(data) <= 40 else data[:40] + b"...")


def warm_up() -> None:
    """Make the validators now, for this process and those forked from it."""
    _head()


@functools.cache
def _head() -> TypeAdapter[_Head]:
    return TypeAdapter(_Head)

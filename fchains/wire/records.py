"""What an exception is on the wire: a table of records, the first of which is the failure itself.

Records refer to each other by position, so that causes, contexts, members of groups and
exceptions held as attributes keep their identity, in cycles too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter
from pydantic_core import to_json

from fchains.wire.payload import Buffer, Payload
from fchains.wire.tracebacks import TraceFrame

NO_VALUES = '{"args":[],"state":{}}'


@dataclass(frozen=True, slots=True)
class ExceptionRecord:
    """One exception.

    Args:
        type_name: its class, as `module:qualname`.
        message: what `str` gave.
        values: JSON of its `args` and its attributes, in the tagged encoding.
        held: positions of the exceptions that `values` refers to.
        buffers: positions of the buffers that `values` refers to.
        notes: its `__notes__`.
        cause: position of its `__cause__`.
        context: position of its `__context__`.
        suppress_context: its `__suppress_context__`.
        trace: its traceback.
    """

    type_name: str
    message: str
    values: str = NO_VALUES
    held: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    cause: int | None = None
    context: int | None = None
    suppress_context: bool = False
    trace: tuple[TraceFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as data, with all those it refers to.

    Args:
        exceptions: the exception itself, then the others.
        buffers: bytes and arrays among their attributes.
    """

    exceptions: tuple[ExceptionRecord, ...]
    buffers: tuple[Buffer, ...] = ()

    @property
    def type_name(self) -> str:
        """The class of the exception, as `module:qualname`."""
        return self.exceptions[0].type_name

    @property
    def message(self) -> str:
        """What `str` of the exception gave."""
        return self.exceptions[0].message

    def to_payload(self) -> Payload:
        """The failure as bytes."""
        return Payload(to_json(self.exceptions), self.buffers)

    @classmethod
    def from_payload(cls, payload: Payload) -> Failure:
        """The failure of `to_payload`; from malformed bytes, one that says so."""
        try:
            records = _records().validate_json(payload.body, strict=True)
            _check(records, len(payload.buffers))
        except ValueError as exc:
            return cls((ExceptionRecord("", f"a call failed, and its failure arrived malformed: {exc}"),))
        return cls(records, payload.buffers)


def _check(records: tuple[ExceptionRecord, ...], buffers: int) -> None:
    if not records:
        raise ValueError("it has no exception")
    for record in records:
        if any(not 0 <= position < len(records) for position in _references(record)):
            raise ValueError(f"it refers to exceptions beyond its {len(records)}")
        if any(not 0 <= position < buffers for position in record.buffers):
            raise ValueError(f"it refers to buffers beyond its {buffers}")


def _references(record: ExceptionRecord) -> Iterator[int]:
    yield from record.held
    for position in (record.cause, record.context):
        if position is not None:
            yield position


@functools.cache
def _records() -> TypeAdapter[tuple[ExceptionRecord, ...]]:
    return TypeAdapter(tuple[ExceptionRecord, ...])

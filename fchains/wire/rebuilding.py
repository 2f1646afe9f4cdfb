"""From a record to an exception: the class that was raised, if this process has it."""

from __future__ import annotations

import types
from asyncio import CancelledError
from typing import Any, cast

from pydantic_core import ValidationError, from_json

from fchains.errors import RemoteError
from fchains.wire import adapters, containers, objects
from fchains.wire.classes import ClassLookup
from fchains.wire.exception_state import MADE_FROM_STATE, fill, instance_dict, make, put
from fchains.wire.recording import EXCEPTION_TAG, SURROGATES_TAG, Original, remark
from fchains.wire.records import ExceptionRecord, Failure
from fchains.wire.tracebacks import rebuild
from fchains.wire.tree import Reader, Tree

# Raised at a caller they would be taken for an order to it, or for the end of an iteration.
_CONTROL_FLOW = (
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    CancelledError,
)
_READ = {**containers.READ, **objects.READ, adapters.TAG: adapters.read}

_Values = tuple[tuple[object, ...], dict[str, Any]]


class Rebuilder:
    """Makes the exceptions of one failure, new ones each time."""

    def __init__(self, failure: Failure, lookup: ClassLookup, *, full: bool) -> None:
        self._failure = failure
        self._lookup = lookup
        self._full = full
        self._made: dict[int, BaseException] = {}
        self._making: set[int] = set()
        self._known: set[int] = set()
        self._unfinished: dict[int, None] = {}

    def run(self) -> BaseException:
        """The exception itself, with all that it refers to."""
        error = self._make(0)
        while self._unfinished:
            self._finish(next(iter(self._unfinished)))
        return error

    def _make(self, index: int) -> BaseException:
        """An exception that `_finish` will fill, so that cycles close."""
        error = self._made.get(index)
        if error is None:
            if index in self._making:
                raise ValueError("the failure has a group that contains itself")
            self._making.add(index)
            error = self._make_known(index)
            if error is None:
                error = self._stand_in(index)
            self._made[index] = error
            self._unfinished[index] = None
        return error

    def _make_known(self, index: int) -> BaseException | None:
        record = self._failure.exceptions[index]
        try:
            cls = self._lookup.find(record.type_name)
            if not issubclass(cls, BaseException) or issubclass(cls, _CONTROL_FLOW):
                return None
            first = not MADE_FROM_STATE.isdisjoint(cls.__mro__)
            error = make(cls, self._state_first(cls, record) if first else {})
        except Exception:
            return None
        self._known.add(index)
        return error

    def _state_first(self, cls: type[BaseException], record: ExceptionRecord) -> dict[str, Any]:
        """The state of an exception that is made from it."""
        _, state = self._read_values(record)
        if cls is ValidationError:  # which takes the text of inner exceptions into its own
            for index in record.held:
                self._finish(index)
        return state

    def _stand_in(self, index: int) -> RemoteError:
        original = Original(self._failure, index)
        error = RemoteError(original.record.message, original.record.type_name)
        original.attach(error)
        return error

    def _finish(self, index: int) -> None:
        if index not in self._unfinished:
            return
        del self._unfinished[index]
        record, error = self._failure.exceptions[index], self._made[index]
        notes = list(record.notes)
        if index in self._known:
            fill(error, *self._read_values(record))
        elif record.type_name:
            notes.append(remark(record.type_name))
        if notes:
            instance_dict(error)["__notes__"] = notes
        put(error, "__cause__", None if record.cause is None else self._make(record.cause))
        put(error, "__context__", None if record.context is None else self._make(record.context))
        put(error, "__suppress_context__", record.suppress_context)
        put(error, "__traceback__", self._trace(record))

    def _trace(self, record: ExceptionRecord) -> types.TracebackType | None:
        try:
            return rebuild(record.trace, full=self._full)
        except Exception:  # made-up line numbers
            return None

    def _read_values(self, record: ExceptionRecord) -> _Values:
        buffers = [self._failure.buffers[index] for index in record.buffers]
        own = [buffer if isinstance(buffer, bytes) else bytearray(buffer) for buffer in buffers]

        held = record.held

        def read_exception(_reader: Reader, tree: dict[str, Any]) -> BaseException:
            return self._make(held[int(tree["v"])])

        handlers = {**_READ, EXCEPTION_TAG: read_exception, SURROGATES_TAG: _read_surrogates}
        reader = Reader(own, self._lookup, handlers)
        args, state = _parse(record)
        return tuple(_read(reader, each) for each in args), {
            name: _read(reader, each) for name, each in state.items()
        }


def _parse(record: ExceptionRecord) -> tuple[list[Tree], dict[str, Tree]]:
    try:
        match from_json(record.values):
            case {"args": [*args], "state": {**state}}:
                return args, cast("dict[str, Tree]", state)
            case _:
                pass
    except ValueError:
        pass
    return [record.message], {}


def _read(reader: Reader, tree: Tree) -> object:
    try:
        return reader.read(tree)
    except Exception:
        name = cast("dict[str, object]", tree).get("c") if isinstance(tree, dict) else None
        return f"<{name or 'a value'}, which this process does not know>"


def _read_surrogates(_reader: Reader, tree: dict[str, Any]) -> str:
    return bytes.fromhex(tree["v"]).decode("utf-8", "surrogatepass")

"""From an exception to its record: nothing that user code does to its exceptions may break this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic_core import from_json, to_json

from fchains.errors import RemoteError
from fchains.wire import adapters, containers, objects
from fchains.wire.classes import ClassLookup
from fchains.wire.exception_state import get, instance_dict, state_of
from fchains.wire.payload import Buffer
from fchains.wire.records import NO_VALUES, ExceptionRecord, Failure
from fchains.wire.refusal import name_of
from fchains.wire.tracebacks import clean, hop, trace_of
from fchains.wire.tree import Tree, WriteHandler, Writer

EXCEPTION_TAG = "exception"
SURROGATES_TAG = "surrogates"
LONGEST = 64 * 1024
MOST_EXCEPTIONS = 256
_ORIGINAL = "_fchains_original"
_NOTES = "__notes__"
_WRITE = containers.WRITE


@dataclass(frozen=True, slots=True)
class Original:
    """What a RemoteError stands for: it is sent on in its place."""

    failure: Failure
    index: int

    @property
    def record(self) -> ExceptionRecord:
        """The record of the exception that could not be made."""
        return self.failure.exceptions[self.index]

    def attach(self, error: RemoteError) -> None:
        """Keep it with the exception that stands for it."""
        instance_dict(error)[_ORIGINAL] = self


def stub(error: BaseException, classes: ClassLookup) -> ExceptionRecord:
    """The least that can be said about an exception."""
    message = message_of(error)
    values = f'{{"args":[{_json(message)}],"state":{{}}}}'
    return ExceptionRecord(clean(classes.reference(type(error))), message, values)


def message_of(error: BaseException) -> str:
    """The text of an exception, even if it has none to give."""
    try:
        return clean(trim(str(error)))
    except BaseException:
        return f"<{name_of(type(error))}, whose __str__ fails>"


def trim(text: str) -> str:
    """Text of a bearable length."""
    cut = len(text) - LONGEST
    return f"{text[:LONGEST]}… ({cut} more characters were cut off)" if cut > 0 else text


def remark(type_name: str) -> str:
    """The note that tells a reader what a RemoteError stands for."""
    return f"raised as {type_name.removeprefix('builtins:').replace(':', '.')}"


class Recorder:
    """Records one exception and all that it leads to."""

    def __init__(self, classes: ClassLookup) -> None:
        self._classes = classes
        self._sources: list[BaseException | Original] = []
        self._positions: dict[tuple[int, int], int] = {}
        self._buffers: list[Buffer] = []

    def run(self, error: BaseException, where: str) -> Failure:
        """The failure of an exception."""
        self._position_of(error)
        records: list[ExceptionRecord] = []
        for source in self._sources:  # which grows meanwhile
            if isinstance(source, Original):
                records.append(self._adopt_linked(source))
                continue
            try:
                records.append(self._record(source, where))
            except Exception:
                records.append(stub(source, self._classes))
        return Failure(tuple(records), tuple(self._buffers))

    def _position_of(self, source: BaseException | Original) -> int | None:
        key = (id(source.failure), source.index) if isinstance(source, Original) else (id(source), -1)
        position = self._positions.get(key)
        if position is None and len(self._sources) < MOST_EXCEPTIONS:
            position = self._positions[key] = len(self._sources)
            self._sources.append(source)
        return position

    def _record(self, error: BaseException, where: str) -> ExceptionRecord:
        original = instance_dict(error).get(_ORIGINAL)
        if isinstance(original, Original):
            record = self._adopt(original)
        else:
            record = self._with_values(stub(error, self._classes), error)
        trace = trace_of(get(error, "__traceback__"))
        if where and (error is self._sources[0] or (trace and not trace[0].separator)):
            trace = (hop(where), *trace)
        return replace(
            record,
            notes=_notes(error, record.type_name),
            cause=self._linked(get(error, "__cause__")),
            context=self._linked(get(error, "__context__")),
            suppress_context=get(error, "__suppress_context__"),
            trace=trace,
        )

    def _with_values(self, record: ExceptionRecord, error: BaseException) -> ExceptionRecord:
        values = _Values(self._classes, self._position_of)
        args = [values.text(trim(arg) if type(arg) is str else arg) for arg in get(error, "args")]
        try:
            state = values.members(state_of(error))
        except Exception:  # such as that of a ValidationError with a context of the user's
            return record
        return replace(
            record,
            values=f'{{"args":[{",".join(args)}],"state":{{{",".join(state)}}}}}',
            held=tuple(values.held),
            buffers=tuple(map(self._keep, values.buffers)),
        )

    def _adopt(self, original: Original) -> ExceptionRecord:
        """The record of an exception that this process does not have, for the next one."""
        record, failure = original.record, original.failure
        held = [self._position_of(Original(failure, index)) for index in record.held]
        return replace(
            record,
            # A record that would be incomplete goes without its values.
            held=tuple(position for position in held if position is not None),
            values=NO_VALUES if None in held else record.values,
            buffers=tuple(self._keep(failure.buffers[index]) for index in record.buffers),
        )

    def _adopt_linked(self, original: Original) -> ExceptionRecord:
        failure, record = original.failure, self._adopt(original)
        cause = None if record.cause is None else self._position_of(Original(failure, record.cause))
        context = None if record.context is None else self._position_of(Original(failure, record.context))
        return replace(record, cause=cause, context=context)

    def _linked(self, error: BaseException | None) -> int | None:
        return None if error is None else self._position_of(error)

    def _keep(self, buffer: Buffer) -> int:
        self._buffers.append(buffer if isinstance(buffer, bytes) else bytearray(buffer))
        return len(self._buffers) - 1


class _Values:
    """Writes the args and attributes of one exception; what cannot travel becomes a text."""

    def __init__(self, classes: ClassLookup, position_of: Callable[[BaseException], int | None]) -> None:
        self._writer = Writer(classes, _WRITE, self._find)
        self._position_of = position_of
        self.held: list[int] = []

    @property
    def buffers(self) -> list[Buffer]:
        """What lies beside the text."""
        return self._writer.buffers

    def members(self, state: Mapping[str, object]) -> list[str]:
        """JSON of each attribute with its name."""
        return [
            f"{_json(clean(name))}:{self.text(value)}"
            for name, value in state.items()
            if name not in (_NOTES, _ORIGINAL) and type(name) is str
        ]

    def text(self, value: object) -> str:
        """JSON of one value."""
        buffers, held = len(self.buffers), len(self.held)
        try:
            return _json(self._writer.write(value))
        except Exception:
            del self.buffers[buffers:], self.held[held:]
        if type(value) is str:
            return _json(self._writer.tag(SURROGATES_TAG, value.encode("utf-8", "surrogatepass").hex()))
        return _json(_placeholder(value))

    def _find(self, cls: type) -> WriteHandler:
        if BaseException in cls.__mro__:
            return self._write_exception
        handler = adapters.find_writer(cls) or objects.find_writer(cls)
        if handler is not None:
            return handler
        for base, plain in _PLAIN:
            if issubclass(cls, base):
                return lambda writer, value: writer.write(plain(value))
        return lambda _writer, value: _placeholder(value)

    def _write_exception(self, writer: Writer, value: BaseException) -> Tree:
        position = self._position_of(value)
        if position is None:
            return f"<{name_of(type(value))}, one of more than {MOST_EXCEPTIONS} exceptions>"
        self.held.append(position)
        return writer.tag(EXCEPTION_TAG, len(self.held) - 1)


def _json(tree: Tree) -> str:
    body = to_json(tree, inf_nan_mode="constants")
    from_json(b"[[" + body + b"]]")  # the receiver must be able to: nesting and numbers have limits
    return body.decode()


def _placeholder(value: object) -> str:
    if isinstance(value, type):
        return f"<class {name_of(cast('object', value))!r}>"
    return f"<{name_of(type(value))}, which cannot travel>"


def _notes(error: BaseException, type_name: str) -> tuple[str, ...]:
    notes = instance_dict(error).get(_NOTES)
    if not isinstance(notes, list | tuple):
        return ()
    texts = [clean(trim(note)) for note in cast("Sequence[object]", notes) if isinstance(note, str)]
    own = remark(type_name) if isinstance(error, RemoteError) else None
    return tuple(text for text in texts if text != own)


_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (tuple, tuple),
    (list, list),
    (dict, dict),
    (frozenset, frozenset),
    (set, set),
)

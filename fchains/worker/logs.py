"""What user code prints and logs, line by line, with the call that it belongs to.

While a `Capture` is entered, `sys.stdout` and `sys.stderr` are proxies that pass everything to the
originals at once and behave like them; what is written inside a call also goes to a sink, as lines.
A handler on the root logger does the same for log records. Captures may nest, and end in any order.
"""

from __future__ import annotations

import codecs
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self, TextIO

from fchains.calls.loglines import LogLine

logger = logging.getLogger(__name__)

# Longer lines are cut into pieces of so many characters, so that no sink gets an unbounded one.
MAX_LINE = 64 * 1024

_STREAMS = ("stdout", "stderr")
_installing = threading.Lock()
_aside = threading.local()  # .yes while this thread is in a sink: what that prints is no call's output


@dataclass(frozen=True, slots=True)
class Owner:
    """The call that a line belongs to."""

    chainlet: str
    replica: str
    call_id: str


class Capture:
    """Sends what calls of this process print and log to a sink, while it is entered.

    Args:
        sink: called on the thread that writes, with no lock held; what it prints is not captured.
        owner: says who writes; None is no call.
    """

    def __init__(self, sink: Callable[[LogLine], None], owner: Callable[[], Owner | None]) -> None:
        self._sink = sink
        self._owner = owner
        self._partials: dict[tuple[Owner, str], _Partial] = {}
        self._lock = threading.RLock()  # a finalizer that prints may run in the thread that holds it
        self._sink_failed = False
        self._proxies: list[_Proxy] = []
        self._handler = _RecordHandler(self)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._handler)
        self.refresh()
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        with _installing:
            for proxy in self._proxies:
                proxy.remove()
            self._proxies.clear()
        for owner in {owner for owner, _ in list(self._partials)}:
            self.finish(owner)

    def refresh(self) -> None:
        """Captures streams again that someone replaced, like pytest between the phases of a test."""
        with _installing:
            for stream in _STREAMS:
                current: TextIO | None = getattr(sys, stream)
                if current is None:  # a process without such a descriptor
                    continue
                if not _shows(current, self):
                    self._proxies.append(_Proxy(current, stream, self))
                    setattr(sys, stream, self._proxies[-1])

    def finish(self, owner: Owner) -> None:
        """Sends the lines that a call has begun and not ended; to be called when it is over."""
        for stream in _STREAMS:
            with self._lock:
                partial = self._partials.pop((owner, stream), None)
            if partial is not None:
                self._send(owner, stream, partial.finish())

    def feed(self, stream: str, written: str | bytes) -> None:
        """Takes what was written to a stream."""
        if _is_aside() or (owner := self._owner()) is None:
            return
        with self._lock:
            partial = self._partials.get((owner, stream))
            if partial is None:
                partial = self._partials[owner, stream] = _Partial()
            lines = partial.feed(written)
            if partial.empty:
                self._partials.pop((owner, stream), None)
        if lines:
            self._send(owner, stream, lines)

    def record(self, record: logging.LogRecord) -> None:
        """Takes a log record."""
        if _is_aside() or (owner := self._owner()) is None:
            return
        partial = _Partial()
        lines = [*partial.feed(_message(record)), *partial.finish()]
        self._send(owner, record.levelname, lines, record.name)

    def _send(self, owner: Owner, stream: str, lines: Iterable[str], logger_name: str = "") -> None:
        for text in lines:
            line = LogLine(
                time.time(), owner.chainlet, owner.replica, owner.call_id, stream, text, logger_name
            )
            before = _is_aside()
            _aside.yes = True
            try:
                self._sink(line)
            except Exception:  # of who reads, and none of who prints
                if not self._sink_failed:
                    self._sink_failed = True
                    logger.exception("a sink for log lines failed; this is said once")
            finally:
                _aside.yes = before


class _Partial:
    """The begun line of one call on one stream."""

    def __init__(self) -> None:
        self._text = ""
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def empty(self) -> bool:
        return not self._text and (self._decoder is None or not self._decoder.getstate()[0])

    def feed(self, written: str | bytes) -> list[str]:
        """The lines that this ends."""
        *ended, rest = (self._text + self._decode(written)).split("\n")
        lines = [piece for line in ended for piece in _pieces(_final_state(line))]
        if "\r" in rest:
            rest = _final_state(rest) + ("\r" if rest.endswith("\r") else "")
        *full, self._text = _pieces(rest)
        return lines + full

    def finish(self) -> list[str]:
        """The line as far as it got, unless nothing of it can be seen."""
        text = _final_state(self._text + self._decode(b"", final=True))
        return _pieces(text) if text.strip() else []

    def _decode(self, written: str | bytes, final: bool = False) -> str:
        if isinstance(written, str):
            return written
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoder.decode(written, final)


class _Proxy:
    """Stands in for a text stream: passes everything on and shows a capture what is written."""

    def __init__(self, original: TextIO, stream: str, capture: Capture) -> None:
        self._original = original
        self._stream = stream
        self._capture: Capture | None = capture

    # Programs ask whether stdout is a TextIOWrapper before they reconfigure it.
    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._original)

    @property
    def buffer(self) -> _BufferProxy:
        return _BufferProxy(self._original.buffer, self)

    def write(self, text: str) -> int:
        count = self._original.write(text)
        self.show(text)
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def show(self, written: str | bytes) -> None:
        capture = self._capture  # another thread may end it
        if capture is not None:
            capture.feed(self._stream, written)

    def shows(self, capture: Capture) -> bool:
        """Whether what is written here reaches a capture, through the proxies below too."""
        return self._capture is capture or _shows(self._original, capture)

    def remove(self) -> None:
        """Ends it. Who has put a stream on top of it keeps that: what is left here only passes on."""
        self._capture = None
        current: object = getattr(sys, self._stream)
        while isinstance(current, _Proxy) and current._capture is None:
            current = current._original
        setattr(sys, self._stream, current)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._original)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._original.close()

    def __repr__(self) -> str:
        return repr(self._original)


def _shows(stream: object, capture: Capture) -> bool:
    return isinstance(stream, _Proxy) and stream.shows(capture)


class _BufferProxy:
    """Stands in for the binary buffer of a text stream."""

    def __init__(self, original: Any, text: _Proxy) -> None:
        self._original = original
        self._text = text

    def write(self, data: bytes | bytearray | memoryview) -> int:
        count: int = self._original.write(data)
        self._text.show(bytes(data))
        return count

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)


class _RecordHandler(logging.Handler):
    """Shows a capture the records of user loggers."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the handler's lock: a sink may wait for one whose holder logs."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        handlers = list(_handlers_of(record.name))
        others = [handler for handler in handlers if not isinstance(handler, _RecordHandler)]
        first = next((handler for handler in handlers if isinstance(handler, _RecordHandler)), self)
        if not others and first is self:
            _use_last_resort(record)
        if not _is_ours(record.name) and not any(self._is_shown_by(handler, record) for handler in others):
            self._capture.record(record)

    def _is_shown_by(self, handler: logging.Handler, record: logging.LogRecord) -> bool:
        """Whether it prints the record to a captured stream, where it becomes lines anyway."""
        stream = getattr(handler, "stream", None)
        return record.levelno >= handler.level and _shows(stream, self._capture)


def _handlers_of(name: str) -> Iterator[logging.Handler]:
    current: logging.Logger | None = logging.getLogger(name)
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None


def _use_last_resort(record: logging.LogRecord) -> None:
    """Prints a record that logging would have printed itself, had it found no handler at all."""
    if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
        before = _is_aside()
        _aside.yes = True
        try:
            logging.lastResort.handle(record)
        finally:
            _aside.yes = before


def _is_ours(logger_name: str) -> bool:
    package = logger_name.partition(".")[0]
    return package == "fchains" or package.startswith("fchains_")


def _message(record: logging.LogRecord) -> str:
    try:
        return logging.Formatter().format(record)
    except Exception:
        return f"{record.msg!r} % {record.args!r}"


def _final_state(line: str) -> str:
    """What a terminal shows of a line in the end: a carriage return starts it anew."""
    return line.rstrip("\r").rpartition("\r")[2]


def _pieces(line: str) -> list[str]:
    if not line.isascii():
        line = line.encode("utf-8", "replace").decode("utf-8")  # lone surrogates would fail in the sink
    if len(line) <= MAX_LINE:
        return [line]
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)]


def _is_aside() -> bool:
    return getattr(_aside, "yes", False)

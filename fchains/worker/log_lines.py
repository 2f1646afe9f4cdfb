"""From fragments of output to whole lines."""

from __future__ import annotations

import codecs
import logging
import threading
from collections.abc import Iterable

from fchains.calls.loglines import LogLine, LogSink, LogView
from fchains.worker.log_aside import aside
from fchains.worker.logs import STREAMS, Fragment, Owner

logger = logging.getLogger(__name__)

# Longer lines are cut into pieces of so many characters, so that no sink gets an unbounded one.
MAX_LINE = 64 * 1024


class LineAssembler:
    """Sends whole lines to a sink, from fragments of the output of many calls.

    A carriage return starts a line anew, so that a progress bar is one line in its final state.

    Args:
        sink: called on the thread that feeds, with no lock held; what it prints is not captured.
    """

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._view = sink if isinstance(sink, LogView) else None
        self._partials: dict[tuple[Owner, str, bool], _Partial] = {}
        self._lock = threading.RLock()  # a finalizer that prints may run in the thread that holds it
        self._sink_failed = False

    def feed(self, fragment: Fragment) -> None:
        """Take a fragment; those of one owner and stream come in order."""
        if fragment.ends:
            self.finish(fragment.owner)
        elif fragment.stream not in STREAMS:
            record = _Partial()
            self._send(fragment, [*record.feed(fragment.text), *record.finish()])
        else:
            self._write(fragment)

    def finish(self, owner: Owner) -> None:
        """Send the lines that an owner has begun and not ended; to be called when it is over."""
        for raw in (False, True):
            for stream in STREAMS:
                with self._lock:
                    partial = self._partials.pop((owner, stream, raw), None)
                if partial is not None:
                    last = Fragment(owner, stream, "", time=partial.time, raw=raw)
                    self._send(last, partial.finish())
                    self._show(last, partial)

    def finish_replica(self, replica: str) -> None:
        """Send all that is begun in a replica; to be called when it has ended."""
        for owner in dict.fromkeys(owner for owner, _, _ in list(self._partials)):
            if owner.replica == replica:
                self.finish(owner)

    def finish_all(self) -> None:
        """Send all that is begun."""
        for owner in dict.fromkeys(owner for owner, _, _ in list(self._partials)):
            self.finish(owner)

    def _write(self, fragment: Fragment) -> None:
        key = fragment.owner, fragment.stream, fragment.raw
        with self._lock:
            partial = self._partials.get(key)
            if partial is None:
                partial = self._partials[key] = _Partial()
            lines = partial.feed(fragment.text)
            partial.time = fragment.time
            if partial.empty:
                self._partials.pop(key, None)
        if lines:
            self._send(fragment, lines)
        self._show(fragment, partial)

    def _send(self, fragment: Fragment, lines: Iterable[str]) -> None:
        for text in lines:
            self._tell(self._sink, _line(fragment, text))

    def _show(self, fragment: Fragment, partial: _Partial) -> None:
        if self._view is None:
            return
        text = partial.shown
        if text or partial.is_shown:
            partial.is_shown = bool(text)
            self._tell(self._view.begun, _line(fragment, text))

    def _tell(self, sink: LogSink, line: LogLine) -> None:
        try:
            aside(sink, line)
        except Exception:  # of who reads, and none of who prints
            if not self._sink_failed:
                self._sink_failed = True
                logger.exception("a sink for log lines failed; this is said once")


class _Partial:
    """The begun line of one owner on one stream."""

    def __init__(self) -> None:
        self.time = 0.0
        self.is_shown = False
        self._text = ""
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def empty(self) -> bool:
        return not self._text and (self._decoder is None or not self._decoder.getstate()[0])

    @property
    def shown(self) -> str:
        """What can be seen of it, or nothing."""
        text = _final_state(self._text)
        return _clean(text) if text.strip() else ""

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
        self._text = ""
        return _pieces(text) if text.strip() else []

    def _decode(self, written: str | bytes, final: bool = False) -> str:
        if isinstance(written, str):
            return written
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoder.decode(written, final)


def _line(fragment: Fragment, text: str) -> LogLine:
    owner = fragment.owner
    return LogLine(
        fragment.time, owner.chainlet, owner.replica, owner.call_id, fragment.stream, text, fragment.logger
    )


def _final_state(line: str) -> str:
    """What a terminal shows of a line in the end: a carriage return starts it anew."""
    return line.rstrip("\r").rpartition("\r")[2]


def _clean(text: str) -> str:
    """Without lone surrogates, which would fail in the sink."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _pieces(line: str) -> list[str]:
    line = _clean(line)
    if len(line) <= MAX_LINE:
        return [line]
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)]

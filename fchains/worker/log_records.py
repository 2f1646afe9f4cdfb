"""Log records on their way to a capture, beside the handlers that a program has set up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol, TextIO, cast

from fchains.worker.log_aside import aside
from fchains.worker.log_proxies import Taker, shows


class RecordTaker(Taker, Protocol):
    """What a handler shows records to."""

    def keeps_record(self, record: logging.LogRecord) -> bool:
        """Whether nobody else is to print it."""
        ...

    def record(self, record: logging.LogRecord) -> None:
        """Take a record."""
        ...


class RecordHandler(logging.Handler):
    """Shows a taker the records that no handler prints to a stream which it captures."""

    def __init__(self, taker: RecordTaker) -> None:
        super().__init__()
        self._taker = taker

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the handler's lock: a sink may wait for one whose holder logs."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        handlers = list(_handlers_of(record.name))
        others = [handler for handler in handlers if not isinstance(handler, RecordHandler)]
        first = next((handler for handler in handlers if isinstance(handler, RecordHandler)), self)
        if not others and first is self and not self._taker.keeps_record(record):
            _use_last_resort(record)
        if not any(self._is_shown_by(handler, record) for handler in others):
            self._taker.record(record)

    def _is_shown_by(self, handler: logging.Handler, record: logging.LogRecord) -> bool:
        """Whether it prints the record to a captured stream, where it becomes lines anyway."""
        stream = getattr(handler, "stream", None)
        return record.levelno >= handler.level and shows(stream, self._taker)


def redirect_handlers(old: object, new: TextIO) -> None:
    """Have all handlers that print to one stream print to another."""
    found = logging.root.manager.loggerDict.values()
    loggers = [logging.root, *(each for each in list(found) if isinstance(each, logging.Logger))]
    for handler in [handler for each in loggers for handler in each.handlers]:
        if isinstance(handler, logging.StreamHandler):
            printing = cast("logging.StreamHandler[TextIO]", handler)
            if printing.stream is old:
                printing.setStream(new)


def is_ours(logger_name: str) -> bool:
    """Whether a logger is one of fchains itself."""
    package = logger_name.partition(".")[0]
    return package == "fchains" or package.startswith("fchains_")


def message_of(record: logging.LogRecord) -> str:
    """The text of a record, with its traceback, also when its arguments do not fit."""
    try:
        return logging.Formatter().format(record)
    except Exception:
        return f"{record.msg!r} % {record.args!r}"


def _handlers_of(name: str) -> Iterator[logging.Handler]:
    current: logging.Logger | None = logging.getLogger(name)
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None


def _use_last_resort(record: logging.LogRecord) -> None:
    """Prints a record that logging would have printed itself, had it found no handler at all."""
    if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
        aside(logging.lastResort.handle, record)

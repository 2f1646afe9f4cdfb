"""What user code prints and logs, as it is written, with the call that it belongs to.

While a `Capture` is entered, `sys.stdout` and `sys.stderr` are proxies that behave like the originals;
what is written inside a call goes to a sink, piece by piece, and a handler on the root logger does the
same for log records. Captures may nest, and end in any order.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TextIO, cast

from fchains.calls.context import ACTIVE
from fchains.worker.log_aside import is_aside
from fchains.worker.log_proxies import Proxy, shows
from fchains.worker.log_records import RecordHandler, is_ours, message_of, redirect_handlers

STREAMS = ("stdout", "stderr")

_installing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Owner:
    """The call that something belongs to; outside a call `call_id` is empty."""

    chainlet: str
    replica: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """Something written at once.

    Attributes:
        stream: "stdout", "stderr", or the level's name for a log record, which is whole.
        logger: the logger's name, empty for what was printed.
        time: seconds since the epoch.
        raw: it was read from the descriptor, so that it came neither from `print` nor in order with it.
        ends: nothing was written: the owner is done, and a line that it has begun is a line.
    """

    owner: Owner
    stream: str
    text: str | bytes
    logger: str = ""
    time: float = 0.0
    raw: bool = False
    ends: bool = False


FragmentSink = Callable[[Fragment], None]


class Capture:
    """Sends what calls of this process print and log to a sink, while it is entered.

    Args:
        sink: called on the thread that writes, with no lock held.
        owner: says who writes; None is nobody whose output is captured.
        pass_on: what is captured is printed all the same.
        own_records: take the records of fchains itself too.
    """

    def __init__(
        self,
        sink: FragmentSink,
        owner: Callable[[], Owner | None],
        *,
        pass_on: bool = True,
        own_records: bool = False,
    ) -> None:
        self._sink = sink
        self._owner = owner
        self.pass_on = pass_on
        self._own_records = own_records
        self._proxies: list[Proxy] = []
        self._handler = RecordHandler(self)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._handler)
        self.refresh()
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        with _installing:
            for proxy in self._proxies:
                proxy.remove()
                redirect_handlers(proxy, proxy.original)
            self._proxies.clear()

    def refresh(self) -> None:
        """Captures streams again that someone replaced, like pytest between the phases of a test."""
        with _installing:
            for stream in STREAMS:
                current: TextIO | None = getattr(sys, stream)
                if current is None:  # a process without such a descriptor
                    continue
                if not shows(current, self):
                    proxy = Proxy(current, stream, self)
                    self._proxies.append(proxy)
                    setattr(sys, stream, proxy)
                    if not self.pass_on:
                        redirect_handlers(current, cast("TextIO", proxy))

    def keep(self, stream: str, written: str | bytes) -> bool:
        """Takes what is not to be passed on; False if it is nobody's."""
        if (owner := self._writer()) is None:
            return False
        self._sink(Fragment(owner, stream, written, time=time.time()))
        return True

    def feed(self, stream: str, written: str | bytes) -> None:
        """Takes what was written to a stream."""
        if (owner := self._writer()) is not None:
            self._sink(Fragment(owner, stream, written, time=time.time()))

    def keeps_record(self, record: logging.LogRecord) -> bool:
        """Whether nobody else is to print a record."""
        return not self.pass_on and self._wants(record) and self._writer() is not None

    def record(self, record: logging.LogRecord) -> None:
        """Takes a log record."""
        if self._wants(record) and (owner := self._writer()) is not None:
            self._sink(Fragment(owner, record.levelname, message_of(record), record.name, record.created))

    def _wants(self, record: logging.LogRecord) -> bool:
        return self._own_records or not is_ours(record.name)

    def _writer(self) -> Owner | None:
        return None if is_aside() else self._owner()


def current_owner() -> Owner | None:
    """The call that is being served where this is called."""
    active = ACTIVE.get()
    return Owner(active.where.chainlet, active.where.replica, active.info.id) if active else None

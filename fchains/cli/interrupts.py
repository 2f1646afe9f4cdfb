"""Ctrl-C and SIGTERM: the first cancels calls and tears resources down, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from fchains.cli.exits import Exit

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE = b"\ninterrupted: calls are cancelled and resources torn down; Ctrl-C again stops at once\n"


@contextmanager
def orderly() -> Generator[None, None, None]:
    """Raise `KeyboardInterrupt` at the first signal in the block, and end the process at the second.

    After a first one the second keeps its effect beyond the block, until the process has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _first) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _first:
                signal.signal(number, handler)


def _first(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, _second)
    os.write(2, _NOTICE)  # a buffered stream may be in the middle of a write
    raise KeyboardInterrupt


def _second(number: int, frame: FrameType | None) -> None:
    os._exit(Exit.INTERRUPTED)

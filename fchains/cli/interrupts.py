"""Ctrl-C: the first one lets calls be cancelled and resources be torn down, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from fchains.cli.exits import Exit

_NOTICE = b"\ninterrupted: calls are cancelled and resources torn down; Ctrl-C again stops at once\n"


@contextmanager
def orderly() -> Generator[None, None, None]:
    """Raise `KeyboardInterrupt` at the first Ctrl-C in the block, and end the process at the second.

    After a first one the second keeps its effect beyond the block, until the process has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _first)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _first:
            signal.signal(signal.SIGINT, before)


def _first(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _second)
    os.write(2, _NOTICE)  # a buffered stream may be in the middle of a write
    raise KeyboardInterrupt


def _second(number: int, frame: FrameType | None) -> None:
    os._exit(Exit.INTERRUPTED)

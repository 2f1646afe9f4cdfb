"""Who reads output may print: that is no output of a call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_aside = threading.local()


def aside(function: Callable[[T], object], argument: T) -> None:
    """Call a function; what it prints and logs is no call's output."""
    before = is_aside()
    try:
        _aside.yes = True  # in here: an interrupt may strike anywhere
        function(argument)
    finally:
        _aside.yes = before


def is_aside() -> bool:
    """Whether this thread is in a call of `aside`."""
    return getattr(_aside, "yes", False)

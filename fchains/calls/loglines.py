"""A line of a call's output, as sinks get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a call printed or logged.

    Attributes:
        time: seconds since the epoch.
        stream: "stdout", "stderr", or the level's name for a log record.
        logger: the logger's name, empty for printed lines.
    """

    time: float
    chainlet: str
    replica: str
    call_id: str
    stream: str
    text: str
    logger: str = ""


LogSink = Callable[[LogLine], None]

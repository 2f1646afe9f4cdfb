"""A line of a replica's output, and who gets it."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that user code printed or logged.

    Attributes:
        time: seconds since the epoch.
        chainlet: outside a call, the name of the group whose replica it is.
        call_id: empty outside a call.
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


class LogView(abc.ABC):
    """A sink that shows lines in the place of this process's own streams, which then get none."""

    @abc.abstractmethod
    def __call__(self, line: LogLine) -> None: ...

    def begun(self, line: LogLine) -> None:
        """Told of a line that is not at its end, as a progress bar is; without text it is gone."""

    def refresh(self) -> None:
        """Show what was put off; a runner calls this for as long as lines may be begun."""

    def hide(self) -> None:
        """Make room: somebody else is about to print."""

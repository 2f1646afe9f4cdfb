"""What user code prints and logs, as `fchains run` shows it: on standard error, as text or as JSON."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sys
import threading
from datetime import UTC, datetime

from fchains.calls.loglines import LogLine, LogSink, LogView
from fchains.calls.logview import TextView
from fchains.calls.runner import Capability, Runner
from fchains.config import Settings


class LogFormat(enum.StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


def sink_for(runner: type[Runner], wanted: LogFormat | None) -> LogSink | None:
    """What shows the lines of a runner; None where they are printed in this process anyway."""
    if wanted is LogFormat.JSON:
        return JsonView()
    if runner.name == "inline" or Capability.LOGS not in runner.capabilities:
        return None
    return TextView(out=lambda: sys.stderr, color=Settings.from_env(os.environ).color)


class JsonView(LogView):
    """Prints each line as a JSON object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: LogLine) -> None:
        stream = sys.stderr
        readable = (stream.encoding or "").lower().startswith("utf")
        text = json.dumps(as_object(line), ensure_ascii=not readable)
        with self._lock, contextlib.suppress(OSError, ValueError):  # nobody reads any more
            stream.write(f"{text}\n")
            stream.flush()


def as_object(line: LogLine) -> dict[str, str]:
    """The line as the value of a JSON object; a log record's stream is `log`."""
    time = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="microseconds")
    printed = line.stream in ("stdout", "stderr")
    level = {} if printed else {"level": line.stream}
    return {
        "time": time.replace("+00:00", "Z"),
        "chainlet": line.chainlet,
        "replica": line.replica,
        "call_id": line.call_id,
        "stream": line.stream if printed else "log",
        **level,
        "logger": line.logger,
        "text": line.text,
    }

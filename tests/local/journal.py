"""What the processes of a program did, in the order in which they did it."""

import os
import time
from pathlib import Path

VARIABLE = "FCHAINS_TEST_JOURNAL"
"""The environment variable that names the file."""

PATIENCE = 20.0
"""Seconds after which whoever waits in vain fails."""


def say(line: str) -> None:
    """Add a line, from any process."""
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def said() -> list[str]:
    """All lines so far."""
    path = Path(os.environ[VARIABLE])
    return path.read_text().splitlines() if path.exists() else []


def wait_for(line: str, times: int = 1) -> None:
    """Wait until a line was added so often."""
    end = time.monotonic() + PATIENCE
    while said().count(line) < times:
        if time.monotonic() > end:
            raise TimeoutError(line)
        time.sleep(0.002)

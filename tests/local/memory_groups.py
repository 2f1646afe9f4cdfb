"""Control groups that limit memory, where this machine lets tests make them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator
from pathlib import Path

import pytest


@contextlib.contextmanager
def memory_group(size: int) -> Generator[Path]:
    """A control group of so many bytes; the test is skipped where none can be made."""
    version_1 = Path("/sys/fs/cgroup/memory")
    parent = version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")
    group = parent / f"fchains-test-{secrets.token_hex(4)}"
    limit = "memory.limit_in_bytes" if version_1.is_dir() else "memory.max"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (group / limit).write_text(str(size))
        for swap in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
            with contextlib.suppress(OSError):
                (group / swap).write_text(str(size) if "memsw" in swap else "0")
    except OSError as error:
        group.rmdir()
        pytest.skip(f"a control group made here does not limit memory: {error}")
    yield group
    group.rmdir()

"""What a runner may leave behind: processes, descriptors, shared memory, tasks, private directories."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from fchains.calls.portal import portal, user_portal

SEGMENT = "memfd:fchains-segment"
PATIENCE = 5.0
"""Seconds within which all must be gone."""


def until(seen: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until something is so; nobody tells."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.005)


async def become(seen: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until something is so, and let the loop go on meanwhile."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, f"in vain: {what}"
        await asyncio.sleep(0.005)


def children(pid: int) -> list[int]:
    """Its child processes, those that nobody has waited for included."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> dict[int, int]:
    """All processes below one, and their parents."""
    found: dict[int, int] = {}
    level = [pid]
    while level:
        born = {child: parent for parent in level for child in children(parent)}
        found.update(born)
        level = list(born)
    return found


def replicas() -> dict[int, int]:
    """The replicas of this process, and the templates that they were forked from.

    Supervisors, templates and replicas lead sessions; what stands between supervisor and template does not.
    """
    here = os.getpid()
    leaders = {child: parent for child, parent in descendants(here).items() if _session(child) == child}
    return {child: parent for child, parent in leaders.items() if parent in leaders}


def _session(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0


def descriptors(pid: int | None = None) -> dict[int, str]:
    """The open files of a process, this one unless given, and what they are."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid or 'self'}/fd").iterdir():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = str(entry.readlink())
    return found


def segments(pid: int | None = None) -> int:
    """Shared segments that a process, this one unless given, has open or mapped."""
    opened = sum(SEGMENT in name for name in descriptors(pid).values())
    with contextlib.suppress(OSError):
        opened += Path(f"/proc/{pid or 'self'}/maps").read_text().count(SEGMENT)
    return opened


def resident(pid: int | None = None) -> int:
    """Bytes of memory that a process, this one unless given, has of its own: without shared segments."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid or 'self'}/status").read_text().splitlines()
        sizes = {key: value for key, _, value in (line.partition(":") for line in lines)}
        return int(sizes["RssAnon"].split()[0]) * 1024
    return 0


def shared(pid: int | None = None) -> int:
    """Bytes of shared memory that the segments of a process, this one unless given, take."""
    total = 0
    for number, name in descriptors(pid).items():
        if SEGMENT in name:
            with contextlib.suppress(OSError):
                total += Path(f"/proc/{pid or 'self'}/fd/{number}").stat().st_blocks * 512
    return total


def tasks() -> set[asyncio.Task[object]]:
    """Tasks on the loops that fchains has of its own."""
    found: set[asyncio.Task[object]] = set()
    for each in (portal(), user_portal()):
        with contextlib.suppress(RuntimeError):  # the set changed meanwhile
            found |= asyncio.all_tasks(each.loop)
    return found


class Holdings:
    """What this process holds now, apart from the loops of fchains, which stay."""

    def __init__(self) -> None:
        tasks()
        gc.collect()
        self.files = set(descriptors())
        self.tasks = tasks()
        self.segments = segments()  # other tests of this process may have left some to the collector
        self.processes = set(descendants(os.getpid()))

    def more(self, folder: Path) -> str:
        """What there is by now that there was not; "" is nothing."""
        found: list[str] = []
        born = [pid for pid in descendants(os.getpid()) if pid not in self.processes]
        found += [f"process {pid} ({command(pid)})" for pid in born if "resource_tracker" not in command(pid)]
        files = descriptors()
        found += [f"descriptor {number} ({files[number]})" for number in sorted(set(files) - self.files)]
        found += [f"task {task!r}" for task in tasks() - self.tasks]
        found += [f"file {path}" for path in folder.glob("fchains-*")]
        if segments() > self.segments:
            found.append(f"{segments()} shared segments")
        return "\n".join(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of this test alone for the private directories of chains, with a short path."""
    path = Path(tempfile.mkdtemp(prefix="fc-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def nothing_left(folder: Path) -> Generator[None]:
    """A block after which all must be as before it.

    Args:
        folder: where the chains that the block starts have their private directories.
    """
    before = Holdings()
    yield
    end = time.monotonic() + PATIENCE
    while more := before.more(folder):
        assert time.monotonic() < end, f"left behind:\n{more}"
        gc.collect()
        time.sleep(0.01)


def command(pid: int) -> str:
    """The state of a process and what it was started as."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
        return f"{state} " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return "gone"

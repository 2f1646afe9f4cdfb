"""How much memory replicas use, and whether the kernel killed one for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fchains.definition.sizes import format_memory

_GROWTH = 1.5
_MIB = 1024**2
_CGROUPS = "/sys/fs/cgroup"
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}


def resident_size(pid: int) -> int | None:
    """Bytes of memory that a process has; None if it is gone."""
    if sys.platform != "linux":
        return _resident_by_ps(pid)
    text = _read(f"/proc/{pid}/statm")
    return None if text is None else resident_pages(text) * os.sysconf("SC_PAGE_SIZE")


def resident_pages(statm: str) -> int:
    """The number in `/proc/<pid>/statm`; a process that has ended and waits for its parent has 0."""
    return int(statm.split()[1])


def _resident_by_ps(pid: int) -> int | None:
    query = ["/bin/ps", "-o", "rss=", "-p", str(pid)]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
        return int(listed.stdout) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


class MemoryWatch:
    """Says which replicas use more than their chainlet asks for, once, and again when they grow by half."""

    def __init__(self) -> None:
        self._told = dict[str, int]()

    def look(self, replica: str, size: int | None, limit: int) -> list[str]:
        """What the user should know, if anything.

        Args:
            replica: its name, that of the chainlet or group with a number.
            size: bytes that it has; None if it is gone.
            limit: bytes that the chainlet asks for.
        """
        if size is None or size <= limit or size < self._told.get(replica, 0) * _GROWTH:
            return []
        self._told[replica] = size
        used = f"{size / 1024**3:.1f} GiB" if size >= 1000 * _MIB else f"{size / _MIB:.0f} MiB"
        asked = f"{replica.rpartition('-')[0]} asks for memory={format_memory(limit)}"
        return [f"{replica} uses {used}, {asked}: a container would be killed"]

    def forget(self, replica: str) -> None:
        """It is gone."""
        self._told.pop(replica, None)


@dataclass(frozen=True, slots=True)
class OomEvidence:
    """How many processes the kernel has killed for want of memory so far.

    Args:
        group: in the control group of this process, whoever ran out of memory; None if nothing counts them.
        machine: on the whole machine, other containers included; None if nothing counts them.
    """

    group: int | None = None
    machine: int | None = None

    @classmethod
    def now(cls) -> OomEvidence:
        """The counters at this moment."""
        own = _read("/proc/self/cgroup") or ""
        return cls(_first(counter_files(own)), _first(["/proc/vmstat"]))

    def since(self, earlier: OomEvidence) -> bool:
        """Whether the kernel killed a process after an earlier look.

        The whole machine counts only where the group has no counter: a kill in another container is no
        evidence for one here.
        """
        if self.group is not None and earlier.group is not None:
            return self.group > earlier.group
        return self.machine is not None and earlier.machine is not None and self.machine > earlier.machine


def counter_files(cgroups: str) -> list[str]:
    """Files that may count the kills in a control group, the best first.

    Args:
        cgroups: text of `/proc/self/cgroup`. In a container its path may be that of the host, where the
            group itself is found at the root.
    """
    groups = [line.split(":", 2) for line in cgroups.splitlines() if line.count(":") >= 2]
    # The memory of a process is in the hands of version 1, if there is such a line, or else of version 2.
    for number, controllers, path in groups:
        if "memory" in controllers.split(","):
            return _counters(f"{_CGROUPS}/memory", path, "memory.oom_control")
        if number == "0" and not any("memory" in other[1].split(",") for other in groups):
            return _counters(_CGROUPS, path, "memory.events")
    return []


def _counters(mount: str, path: str, name: str) -> list[str]:
    inside = path.strip("/")
    return [*([f"{mount}/{inside}/{name}"] if inside else []), f"{mount}/{name}"]


def oom_kills(text: str) -> int | None:
    """The counter `oom_kill` of vmstat, memory.events or memory.oom_control; None if it is not there."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "oom_kill" and value.strip().isdecimal():
            return int(value)
    return None


def describe_exit(status: int, oom: bool = False) -> str:
    """How a process ended, to follow its name, as in "was killed by SIGKILL".

    Args:
        status: what `os.waitpid` gave.
        oom: whether the kernel says that it killed a process for want of memory.
    """
    if not os.WIFSIGNALED(status):
        code = os.WEXITSTATUS(status)
        return f"exited with code {code}" if code else "exited with code 0 by itself"
    number = os.WTERMSIG(status)
    name = _signal_name(number)
    if number in _CRASHES:
        return f"crashed with {name}"
    reason = ": out of memory, the kernel says" if oom and number == signal.SIGKILL else ""
    return f"was killed by {name}{reason}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _first(files: Iterable[str]) -> int | None:
    texts = filter(None, map(_read, files))
    return next((count for count in map(oom_kills, texts) if count is not None), None)


def _read(file: str) -> str | None:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None

"""A `use_runner` block of the local runner that looks afterwards whether anything of it is left."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains import use_runner
from fchains_local.runner import LocalRunner
from tests.local.victims import until

END_SECONDS = 5.0
"""How long the end of a process may take to show."""


class Block:
    """What a test may know of the processes behind it."""

    def __init__(self) -> None:
        self._before = set(_supervisors())

    @property
    def folders(self) -> list[Path]:
        """The private directories of its deployments."""
        return [folder for folder in _supervisors() if folder not in self._before]

    def processes(self) -> set[int]:
        """Supervisors, templates and replicas: each has the private directory among its arguments."""
        return {pid for folder in self.folders for pid in _with_argument(str(folder))}

    def sockets(self, chainlet: str) -> list[str]:
        """The addresses of a chainlet's replicas."""
        return [
            str(path)
            for folder in self.folders
            for path in folder.glob(f"*-{chainlet}-*")
            if path.is_socket()
        ]


@contextlib.contextmanager
def local_block(folder: Path, health_interval: float = 5.0) -> Iterator[Block]:
    """Calls go to worker processes; none of them, and no file or descriptor, is left at the end.

    Args:
        folder: where resources leave their marks.
        health_interval: seconds.
    """
    if sys.platform != "linux":
        pytest.skip("what is left of a block is looked for in /proc")
    before = _shared_memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCHAINS_TEST_FOLDER", str(folder))
        block = Block()
        with use_runner(LocalRunner(health_interval=health_interval)):
            yield block
            folders, processes = block.folders, block.processes()
            assert folders, "nothing was started"
        until(lambda: not any(map(is_alive, processes)), END_SECONDS)
        left = [path for path in folders if path.exists()]
        assert not left
        assert not [pid for path in folders for pid in _with_argument(str(path))]
        assert _shared_memory() <= before


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _supervisors() -> list[Path]:
    """The private directories of the supervisors that this process has started."""
    found: list[Path] = []
    for pid, arguments in _all_arguments():
        if "fchains_local.supervisor" in " ".join(arguments) and _parent(pid) == os.getpid():
            found += [Path(each).parent for each in arguments if each.endswith("/spec")]
    return found


def _with_argument(text: str) -> list[int]:
    return [pid for pid, arguments in _all_arguments() if any(text in each for each in arguments)]


def _all_arguments() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_text(errors="replace").split("\0")


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("*fchains*")}

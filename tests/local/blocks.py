"""A `use_runner` block of the local runner that looks afterwards whether anything of it is left."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from fchains import use_runner
from fchains_local.runner import LocalRunner
from tests.local.leftovers import PATIENCE, children, command, descendants, descriptors, tasks


class Block:
    """What a test may know of the processes behind a block; there may be others around it.

    Args:
        place: where its private directories are.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        tasks()  # makes the loops that stay
        self._files = set(descriptors())
        self._children = set(children(os.getpid()))

    def processes(self) -> set[int]:
        """The supervisor, templates, replicas, and what those have started."""
        own = set(children(os.getpid())) - self._children
        return own.union(*map(descendants, own))

    def sockets(self, chainlet: str) -> list[str]:
        """The addresses of a chainlet's replicas."""
        return [str(path) for path in self._place.glob(f"*/*-{chainlet}-*") if path.is_socket()]

    def left(self) -> list[str]:
        """What there is that was not there before."""
        files = descriptors()
        return [
            *(f"process {pid}: {command(pid)}" for pid in self.processes()),
            *(f"descriptor {number}: {files[number]}" for number in sorted(set(files) - self._files)),
            *(f"file {path}" for path in self._place.iterdir()),
        ]


@contextlib.contextmanager
def local_block(folder: Path, health_interval: float = 5.0) -> Generator[Block]:
    """Calls go to worker processes; no process, file or descriptor is left of it at the end.

    Args:
        folder: where resources leave their marks.
        health_interval: seconds.
    """
    if sys.platform != "linux":
        pytest.skip("what is left of a block is looked for in /proc")
    with (
        tempfile.TemporaryDirectory(prefix="fc-", dir="/tmp") as place,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", place)
        patch.setenv("FCHAINS_TEST_FOLDER", str(folder))
        block = Block(Path(place))
        with use_runner(LocalRunner(health_interval=health_interval)):
            yield block
        end = time.monotonic() + PATIENCE
        while left := block.left():
            assert time.monotonic() < end, left
            gc.collect()
            time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] not in ("Z", "X")
    return False

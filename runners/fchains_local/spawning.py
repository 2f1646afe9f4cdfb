"""A child process of a loop: started, and its end told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence


class Spawned:
    """A child process; lives on the running loop.

    Args:
        command: program and arguments.
        environment: all of its environment variables.
        files: descriptors that it gets, under the same numbers.
        on_ended: told its status, as `os.waitpid` gives it, once.
        folder: its working directory, by default this process's.

    Raises:
        OSError: the system does not start it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        files: Sequence[int],
        on_ended: Callable[[int], None],
        folder: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_ended = on_ended
        self._process = subprocess.Popen(  # noqa: S603
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, pass_fds=files
        )
        self.pid = self._process.pid
        self._pidfd = -1
        try:
            self._watch()
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # Popen would wait for one that has ended

    def _watch(self) -> None:
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._ended)
        else:
            threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        status = os.waitpid(self.pid, 0)[1]
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell, status)

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._tell(os.waitpid(self.pid, 0)[1])

    def _tell(self, status: int) -> None:
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._on_ended(status)


def kill_all(pid: int) -> None:
    """Kill a process, and those of its group if it leads one; only while it is not yet waited for."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)

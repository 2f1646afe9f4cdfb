"""The supervisor's process as its parent holds it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from fchains_local.programs import connection, output, program
from fchains_local.spec import Spec

END_SECONDS = 5.0
"""How long a supervisor without chains gets to end before it is killed."""


class Overseer:
    """Started for the first chain, and anew when it has ended; used on one loop."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None

    def keep(self, spec: Spec) -> socket.socket:
        """Hand a chain over; gives the connection to its keeper.

        Raises:
            OSError: the system does not start the supervisor.
        """
        ours, theirs = socket.socketpair()
        with theirs, tempfile.TemporaryFile() as file:  # it has no name: the environment holds secrets
            file.write(spec.to_json())
            file.flush()
            for attempt in range(2):
                if self._sock is None or self._process is None or self._process.poll() is not None:
                    self._start()
                assert self._sock is not None  # noqa: S101 (it has just been started)
                try:
                    socket.send_fds(self._sock, [b"\n"], [theirs.fileno(), file.fileno()])
                    break
                except (BrokenPipeError, ConnectionResetError):  # it has ended a moment ago
                    self._forget()
                    if attempt:
                        raise
        return ours

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process that keeps the chain handed over last."""
        return self._process

    @staticmethod
    async def how_it_ended(process: subprocess.Popen[bytes] | None) -> str:
        """What became of a process, which nobody asked to end."""
        code = await _ended(process, 1.0) if process is not None else None
        if code is None:
            return "closed its connection"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    async def aclose(self) -> None:
        """End it; its chains have ended before."""
        process = self._process
        self._forget()
        if process is not None and await _ended(process, END_SECONDS) is None:
            process.kill()
            await _ended(process, END_SECONDS)

    def _start(self) -> None:
        self._forget()
        ours, theirs = connection()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    program("fchains_local.supervisor", str(os.getpid()), str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    stdout=output(sys.__stdout__),
                    stderr=output(sys.__stderr__),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._sock = ours

    def _forget(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None


async def _ended(process: subprocess.Popen[bytes], patience: float) -> int | None:
    """The exit code of a process, None when it has not ended in time."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.002)
    return process.returncode

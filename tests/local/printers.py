"""Worker processes that run a piece of code, and what their supervisor reads of them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fchains.calls.loglines import LogLine
from fchains.worker.log_lines import LineAssembler
from fchains.worker.logs import Fragment
from fchains_local.logpipes import LogReader

ROOT = Path(__file__).parents[2]

FORKER = """
import faulthandler, logging, multiprocessing, os, select, signal, socket, subprocess, sys, threading
from contextvars import ContextVar
from fchains.worker.logs import Owner
from fchains_local.logpipes import WorkerLogs

CALL = ContextVar("call", default="")

def owner():
    return Owner("greet", REPLICA, CALL.get()) if CALL.get() else None

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
forker = socket.socket(fileno=int(sys.argv[1]))
forker.send(b"ready")
while True:
    order, fds, _, _ = socket.recv_fds(forker, 1 << 16, 4)
    if not order:
        break
    if os.fork():
        for fd in fds:
            os.close(fd)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    forker.close()
    records, out, err, LIFE = fds
    os.dup2(out, 1), os.dup2(err, 2), os.close(out), os.close(err)
    REPLICA, _, code = order.decode().partition("\\n")
    logs = WorkerLogs(socket.socket(fileno=records), "greeting", REPLICA, owner)
    logs.install()
    code = compile(code, "code.py", "exec")
    try:
        exec(code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(0)
"""


class Printer:
    """A worker process, and the fragments of its output."""

    def __init__(self, forker: socket.socket, replica: str, code: str) -> None:
        self.replica = replica
        self.fragments: list[Fragment] = []
        records, its_records = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        out, its_out = os.pipe()
        err, its_err = os.pipe()
        self._life, its_life = os.pipe()
        theirs = [its_records.detach(), its_out, its_err, its_life]
        socket.send_fds(forker, [f"{replica}\n{code}".encode()], theirs)
        for fd in theirs:
            os.close(fd)
        loop = asyncio.get_running_loop()
        self.reader = LogReader(loop, records, out, err, "greeting", replica, self._take)

    async def ended(self) -> bytes:
        """Wait until the process has ended and all is read; gives what it wrote to LIFE."""
        loop, said = asyncio.get_running_loop(), b""
        while True:
            readable = asyncio.Event()
            loop.add_reader(self._life, readable.set)
            try:
                await asyncio.wait_for(readable.wait(), 20)
            finally:
                loop.remove_reader(self._life)
            if not (data := os.read(self._life, 1000)):
                break
            said += data
        os.close(self._life)
        await self.reader.drain_and_close()
        return said

    def lines(self, call: str | None = None) -> list[tuple[str, str]]:
        """Stream and text of the lines of one call, or of all."""
        found: list[LogLine] = []
        assembler = LineAssembler(found.append)
        for fragment in self.fragments:
            assembler.feed(fragment)
        assembler.finish_replica(self.replica)
        assert {line.replica for line in found} <= {self.replica}
        return [(line.stream, line.text) for line in found if call in (None, line.call_id)]

    def _take(self, fragments: Sequence[Fragment]) -> None:
        self.fragments += fragments


@contextmanager
def forking() -> Generator[socket.socket, None, None]:
    """A process that forks printers, which takes a millisecond and not all the imports."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = os.pathsep.join([str(ROOT), str(ROOT / "runners")])
    with ours, theirs:
        forker = subprocess.Popen(
            [sys.executable, "-c", FORKER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()
        ours.settimeout(20)
        assert ours.recv(10) == b"ready"
        yield ours
    assert forker.wait(20) == 0


async def run(forker: socket.socket, code: str) -> Printer:
    """A printer that has ended."""
    printer = Printer(forker, "greeting-0", code)
    await printer.ended()
    return printer

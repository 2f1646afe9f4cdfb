"""The seed: a process that has imported all of fchains that a template needs, and forks templates.

The supervisor forks it from itself before anything else runs there. So a further chain costs no
start of an interpreter, and the first one only one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fchains_local import template, worker
from fchains_local.newborn import die_with
from fchains_local.templatewire import Exited, Fork, Forked, Inbox, Message, Refused, encode, send

_AT_START = ("LD_", "DYLD_", "PYTHON", "MALLOC_", "GLIBC_")
"""What the system or the interpreter reads when a program starts, and not later."""

_CHUNK = 64 * 1024


def plant(*others: int) -> tuple[int, socket.socket]:
    """Fork the seed from this process, which has one thread and no event loop yet.

    Args:
        others: descriptors that it must not keep.

    Returns:
        Its process id, and the connection to it.
    """
    worker.warm_up()
    ours, theirs = socket.socketpair()
    gc.collect()
    gc.freeze()
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    try:
        die_with(supervisor)
        ours.close()
        for file in others:
            os.close(file)
        template.Template(theirs, lambda: None).serve()
    finally:
        os._exit(1)


def become_template(_chain: None, request: dict[str, Any], files: Sequence[int]) -> None:
    """What a child of the seed does."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    template.main([str(os.getppid()), str(files[0]), request["shipment"], *request["bare"]])


class Seed:
    """The seed as the supervisor has it; lives on the running loop.

    Args:
        pid: its process id.
        sock: the connection to it.
    """

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self._pid = pid
        self._sock: socket.socket | None = sock
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._number = 0
        self._asked: dict[int, Seedling] = {}
        self._grown: dict[int, Seedling] = {}
        self._loop.add_reader(sock, self._readable)

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._sock is not None

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a template with these environment variables can be forked, and need not be started."""
        if self._sock is None:
            return False
        changed = {name for name, _ in environment.items() ^ os.environ.items()}
        return not any(name.startswith(_AT_START) for name in changed)

    def grow(
        self,
        shipment: Path,
        environment: Mapping[str, str],
        file: int,
        folder: str | None,
        *,
        bare: bool,
        on_ended: Callable[[int], None],
    ) -> Seedling:
        """Fork a template.

        Args:
            shipment: file of the packed chain.
            environment: all of its environment variables.
            file: its connection to the supervisor.
            folder: its working directory, by default this process's.
            bare: whether its children load the chain, and not the template.
            on_ended: told its status, as `os.waitpid` gives it, once.

        Raises:
            OSError: the seed has ended.
        """
        if self._sock is None:
            raise OSError(errno.ECHILD, os.strerror(errno.ECHILD))
        self._number += 1
        seedling = self._asked[self._number] = Seedling(on_ended)
        request = {
            "run": f"{__name__}:{become_template.__name__}",
            "shipment": str(shipment),
            "environment": dict(environment),
            "folder": folder or ".",
            "bare": ["bare"] * bare,
        }
        try:
            send(self._sock, encode(Fork(self._number, request, 1)), [file])
        except OSError:
            del self._asked[self._number]
            raise
        return seedling

    def close(self) -> None:
        """End it, and what it has forked."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        self._sock = None
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_CHUNK, socket.MSG_DONTWAIT) if self._sock is not None else b""
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        for message in self._inbox.feed(data):
            self._heard(message)
        if not data:
            self.close()
            lost = [*self._asked.values(), *self._grown.values()]
            self._asked.clear()
            self._grown.clear()
            for seedling in lost:
                seedling.ended(int(signal.SIGKILL))

    def _heard(self, message: Message) -> None:
        match message:
            case Forked(number, pid):
                seedling = self._grown[pid] = self._asked.pop(number)
                seedling.born(pid)
            case Refused(number):
                self._asked.pop(number).ended(int(signal.SIGKILL))
            case Exited(pid, status):
                self._grown.pop(pid).ended(status)
            case _:
                pass


class Seedling:
    """A template that the seed forks."""

    def __init__(self, on_ended: Callable[[int], None]) -> None:
        self.pid = 0
        self._on_ended = on_ended
        self._wanted = True
        self._alive = True

    def kill(self) -> None:
        """End it at once."""
        self._wanted = False
        if self.pid and self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def born(self, pid: int) -> None:
        """It runs."""
        self.pid = pid
        if not self._wanted:
            self.kill()

    def ended(self, status: int) -> None:
        """It does not run any more."""
        self._alive = False
        self._on_ended(status)

"""Sockets whose kernel is watched, or is a bad one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from typing import Any

from fchains.wire.payload import Buffer


class Counting(socket.socket):
    """Counts what is asked of the kernel, and keeps what was to be written."""

    reads = 0

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self.writes: list[list[Buffer]] = []

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.writes.append([data])
        return super().send(data, flags)

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        self.writes.append([*buffers])
        return super().sendmsg(self.writes[-1])

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.reads += 1
        return super().recv_into(buffer, nbytes, flags)


class Trickling(Counting):
    """A kernel that takes little at a time, and often nothing."""

    seed = random.Random(5)
    interrupts = True

    def send(self, data: Any, flags: int = 0, /) -> int:
        return self.sendmsg([data])

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        choice = self.seed.random()
        if choice < 0.2:
            raise BlockingIOError
        if choice < 0.3:
            raise InterruptedError
        most = self.seed.choice([1, 7, 16, 17, 5000, 300_000])
        return super().send(b"".join(buffers)[:most])


class Failing(Counting):
    """A kernel that fails in a way of its own."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.error: OSError | None = None

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self.error is not None:
            raise self.error
        return super().send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if self.error is not None:
            raise self.error
        return super().recv_into(buffer, nbytes, flags)

"""The supervisor's side of a worker's output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from fchains.worker.logs import Fragment, Owner
from fchains_local.logrecords import LIMIT, decode

LAST_SECONDS = 1.0
"""How long it goes on after the worker's end while processes that the worker started write on."""

_AT_ONCE = 256
_CHUNK = 64 * 1024


class LogReader:
    """Reads what a worker writes, on an event loop, and hands it on in order of arrival.

    Args:
        loop: where it reads.
        record_sock: the other end of the worker's socket for records.
        stdout_fd: the end to read of the pipe that is the worker's descriptor 1.
        stderr_fd: of that which is its descriptor 2.
        label: of the replica's group.
        replica: its name.
        on_fragments: called on the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        record_sock: socket.socket,
        stdout_fd: int,
        stderr_fd: int,
        label: str,
        replica: str,
        on_fragments: Callable[[Sequence[Fragment]], None],
    ) -> None:
        record_sock.setblocking(False)
        self._loop = loop
        self._sock: socket.socket | None = record_sock
        self._pipes = {"stdout": stdout_fd, "stderr": stderr_fd}
        for pipe in self._pipes.values():
            os.set_blocking(pipe, False)
        self._owner = Owner(label, replica, "")
        self._on_fragments = on_fragments
        self._buffer = memoryview(bytearray(2 * LIMIT))
        self._paused = True
        self.resume()

    def pause(self) -> None:
        """Read nothing more for now, so that the worker has to wait with what it writes."""
        if not self._paused:
            self._paused = True
            if self._sock is not None:
                self._loop.remove_reader(self._sock)
            for pipe in self._pipes.values():
                self._loop.remove_reader(pipe)

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            if self._sock is not None:
                self._loop.add_reader(self._sock, self._hand_on_records)
            for stream, pipe in self._pipes.items():
                self._loop.add_reader(pipe, self._hand_on_raw, stream)

    async def drain_and_close(self) -> None:
        """Hand on what is left; to be awaited when the worker has ended."""
        self.pause()
        deadline = self._loop.time() + LAST_SECONDS
        more = True
        while more and self._loop.time() < deadline:
            records = self._hand_on_records()  # first: the last words of a crash are raw
            more = any([records, *(self._hand_on_raw(stream) for stream in list(self._pipes))])
            await asyncio.sleep(0)
        self._close_records()
        for stream in list(self._pipes):
            self._close_pipe(stream)

    def _hand_on_records(self) -> bool:
        """Whether there were some."""
        fragments = list(self._records())
        if fragments:
            self._on_fragments(fragments)
        return bool(fragments)

    def _hand_on_raw(self, stream: str) -> bool:
        """Whether something was there to be read."""
        data = self._read(stream)
        if data:
            self._on_fragments([Fragment(self._owner, stream, data, time=time.time(), raw=True)])
        return bool(data)

    def _records(self) -> Iterator[Fragment]:
        for _ in range(_AT_ONCE):
            if self._sock is None:
                return
            try:
                size = self._sock.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # macOS says so when the worker has ended
                self._close_records()
                return
            with contextlib.suppress(ValueError):  # user code has that socket too
                yield decode(bytes(self._buffer[:size]), self._owner.replica)

    def _read(self, stream: str) -> bytes:
        if stream not in self._pipes:
            return b""
        try:
            data = os.read(self._pipes[stream], _CHUNK)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        if not data:
            self._close_pipe(stream)
        return data

    def _close_records(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _close_pipe(self, stream: str) -> None:
        pipe = self._pipes.pop(stream, None)
        if pipe is not None:
            self._loop.remove_reader(pipe)
            os.close(pipe)

"""The writing side of a connected socket.

The first frame of a turn of the event loop is written at once, the others of that turn are
joined and written at its end. What the kernel does not take waits until it does; a frame that
was begun is always finished before the next.

A turn that wrote one frame should cost nothing besides the write, so its end is not asked for:
reading begins a new turn too, and otherwise a second frame goes at once as well. After a turn
of many frames, the next one is expected to be like it, and its end is asked for at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

from fchains.wire.payload import Buffer

_JOINED = 16 * 1024  # smaller pieces are copied together: cheaper than one more vector entry
_MOST_PIECES = max(16, os.sysconf("SC_IOV_MAX"))
_MOST_BYTES = 1 << 20  # more than the kernel takes at once
_MOST_WRITES = 8  # before other sockets get their turn


class Outbox:
    """Frames to be written to a socket, in order; on its event loop.

    Args:
        sock: connected, does not block.
        on_error: called when nothing can be written any more; what was not written is dropped.
    """

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, on_error: Callable[[OSError], None]
    ) -> None:
        self.backlog = 0
        """Bytes that are not written yet."""
        self._sock = sock
        self._loop = loop
        self._on_error = on_error
        self._pieces: deque[Buffer] = deque()
        self._written = 0
        self._at_once = 1
        self._held = False
        """The end of this turn writes what is left."""
        self._full = False
        """The kernel says when it takes more."""
        self._closed = False

    def begin(self, pieces: list[Buffer]) -> None:
        """Write the first frame, which is no frame of a turn."""
        self._write(pieces)

    def put(self, pieces: list[Buffer]) -> None:
        """Write a frame, or as much of it as can be written now; the rest follows."""
        if self._closed:
            return
        if self._held or self._full:
            self._keep(pieces)
            return
        self._written += 1
        if self._written >= self._at_once:
            self._held = True
            self._loop.call_soon(self._end_turn)
        self._write(pieces)

    def new_turn(self) -> None:
        """The loop has come round since the last frame."""
        if not self._held:
            self._written = 0

    def flush(self) -> None:
        """Write what is left, as far as the kernel takes it now."""
        for _ in range(_MOST_WRITES):
            if not self._pieces:
                break
            pieces = self._next()
            self.backlog -= sum(map(len, pieces))
            if not self._write(pieces):
                return
        self._watch(bool(self._pieces))

    def _next(self) -> list[Buffer]:
        """What to write next, neighbours that are small joined."""
        joined: list[Buffer] = []
        small: list[Buffer] = []
        size = 0
        while self._pieces and size < _MOST_BYTES and len(joined) < _MOST_PIECES - 2:
            piece = self._pieces.popleft()
            size += len(piece)
            if len(piece) <= _JOINED:
                small.append(piece)
                continue
            if small:
                joined.append(b"".join(small))
                small = []
            joined.append(piece)
        if small:
            joined.append(b"".join(small))
        return joined

    def detach(self) -> None:
        """Copy what is left out of the memory of others."""
        self._pieces = deque(piece if isinstance(piece, bytes) else bytes(piece) for piece in self._pieces)

    def close(self) -> None:
        """Write nothing any more."""
        self._closed = True
        self._pieces.clear()
        self.backlog = 0
        self._watch(False)

    def _end_turn(self) -> None:
        self._held = False
        self._written = 0
        self._at_once = 1 if self._pieces else 2
        if self._pieces and not self._full:
            self.flush()

    def _keep(self, pieces: list[Buffer]) -> None:
        self._pieces += pieces
        self.backlog += sum(map(len, pieces))

    def _write(self, pieces: list[Buffer]) -> bool:
        """Whether all was written; what was not comes before all that is kept."""
        try:
            if len(pieces) == 1:
                (piece,) = pieces
                sent = self._sock.send(piece)
                if sent == len(piece):
                    return True
            else:
                sent = self._sock.sendmsg(pieces[:_MOST_PIECES])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as exc:
            if not self._closed:
                self.close()
                self._on_error(exc)
            return False
        rest = _after(pieces, sent)
        self._pieces.extendleft(reversed(rest))
        self.backlog += sum(map(len, rest))
        self._watch(bool(rest))
        return not rest

    def _watch(self, full: bool) -> None:
        if full and not self._full:
            self._loop.add_writer(self._sock, self.flush)
        elif self._full and not full and not self._loop.is_closed():
            self._loop.remove_writer(self._sock)
        self._full = full


def _after(pieces: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of the pieces when so many bytes of them are gone."""
    for index, piece in enumerate(pieces):
        if sent < len(piece):
            return [memoryview(piece)[sent:], *pieces[index + 1 :]]
        sent -= len(piece)
    return []

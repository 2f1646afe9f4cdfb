"""A worker's side of its output: what its code prints and logs goes out at once, a record a write.

Nothing waits in the worker, so nothing is lost when it is killed. There is no lock: a write is one
system call, also in a forked child of user code, and an interrupt may strike anywhere.
"""

from __future__ import annotations

import errno
import faulthandler
import io
import select
import socket
import sys
import time
from collections.abc import Callable

from fchains.worker.logs import STREAMS, Capture, Fragment, Owner, current_owner
from fchains_local.logreader import LogReader
from fchains_local.logrecords import LIMIT, encode, from_wire, pieces, to_wire

__all__ = ["LogReader", "RecordWriter", "WorkerLogs", "from_wire", "to_wire"]

PATIENCE = 5.0
"""Seconds that writers wait for a reader who reads nothing."""

_GLANCE = 0.05
_SMALLEST = 256
_BUFFER = 1 << 20


class RecordWriter:
    """Writes fragments to a datagram socket.

    A full socket makes its writers wait, until nothing was read for so long; then they lose what they
    write, and the next record that gets through says how much. Where nobody reads any more it is lost
    in silence.

    Args:
        sock: one of a pair of datagram sockets.
        own: whose the record is that tells of losses.
        patience: seconds.
    """

    def __init__(self, sock: socket.socket, own: Owner, patience: float = PATIENCE) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._sock = sock
        self._own = own
        self._patience = patience
        self._limit = LIMIT
        self._full_since: float | None = None
        self._lost = 0

    def write(self, fragment: Fragment) -> None:
        """Write a fragment; a longer one than `LIMIT` may come in parts between which others stand."""
        for piece in pieces(fragment, self._limit):
            self._put(piece)

    def _put(self, piece: Fragment) -> bool:
        record = encode(piece)
        while True:
            try:
                self._sock.send(record)
            except OSError as error:
                if error.errno == errno.EMSGSIZE and len(piece.text) > _SMALLEST:
                    self._limit = min(self._limit, len(piece.text) // 2)
                    self.write(piece)
                    return True
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    return False
                if not self._wait(error.errno):
                    self._lost += 1
                    return False
            else:
                break
        self._full_since = None
        if self._lost:
            self._tell_losses()
        return True

    def _wait(self, why: int) -> bool:
        """Wait until there may be room; False if that has taken too long already."""
        now = time.monotonic()
        since = self._full_since
        if since is None:
            since = self._full_since = now
        left = since + self._patience - now
        if left <= 0:
            return False
        if why == errno.ENOBUFS:  # macOS says so, and that there is room
            time.sleep(0.001)
            return True
        writable = select.poll()
        writable.register(self._sock, select.POLLOUT)
        writable.poll(min(left, _GLANCE) * 1000)  # not longer: an interrupt cannot strike meanwhile
        return True

    def _tell_losses(self) -> None:
        lost, self._lost = self._lost, 0
        text = (
            f"{lost} writes of {self._own.replica} are lost: nobody read its output for {self._patience:g} s"
        )
        if not self._put(Fragment(self._own, "WARNING", text, __name__, time.time())):
            self._lost += lost - 1


class WorkerLogs:
    """Sends away what a worker process prints and logs.

    Args:
        sock: where the records go; the supervisor's `LogReader` has the other end.
        label: of the replica's group; outside a call it stands for the chainlet.
        replica: its name.
        owner: the call that is being served, or None.
    """

    def __init__(
        self,
        sock: socket.socket,
        label: str,
        replica: str,
        owner: Callable[[], Owner | None] = current_owner,
    ) -> None:
        self._own = Owner(label, replica, "")
        self._owner = owner
        self._writer = RecordWriter(sock, self._own)
        self._capture = Capture(self._take, self._who, pass_on=False, own_records=True)
        self._begun: set[tuple[Owner, str]] = set()

    def install(self) -> None:
        """Begin, for the rest of the process's life; descriptors 1 and 2 are those of its pipes."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # some libraries keep it from before, and write to it
                stream.reconfigure(line_buffering=True)
        self._capture.__enter__()
        faulthandler.enable(file=2, all_threads=False)

    def ended(self, chainlet: str, call: str) -> None:
        """A call is over: the line that it began and did not end is a line all the same."""
        owner = Owner(chainlet, self._own.replica, call)
        begun = [(owner, stream) for stream in STREAMS if (owner, stream) in self._begun]
        if begun:
            self._begun.difference_update(begun)
            self._writer.write(Fragment(owner, "", "", time=time.time(), ends=True))

    def _who(self) -> Owner:
        return self._owner() or self._own

    def _take(self, fragment: Fragment) -> None:
        if not fragment.text:
            return
        self._writer.write(fragment)
        if fragment.owner.call_id and fragment.stream in STREAMS:
            newline = b"\n" if isinstance(fragment.text, bytes) else "\n"
            if fragment.text[-1:] == newline:
                self._begun.discard((fragment.owner, fragment.stream))
            else:
                self._begun.add((fragment.owner, fragment.stream))

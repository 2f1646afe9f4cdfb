"""One piece of shared memory that this process writes and others map.

On Linux it is an anonymous file that cannot shrink, which others reach through this process's
descriptor; elsewhere it is a file in a private directory. Memory is given to it by writing to the
file, so that a full memory is an error here and not a SIGBUS; what has memory is written through
the mapping, which is twice as fast.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
from pathlib import Path

from fchains.wire.payload import Buffer

PREFIX = "fchains-segment-"
ADDRESS = re.compile(rf"/proc/\d+/fd/\d+|/.*/{PREFIX}\w+")
"""What the address of a segment looks like."""

_POPULATE_READ = 22  # madvise: map the pages that there are, at once
_PAGE = mmap.PAGESIZE


class Segment:
    """Shared memory of this process.

    Args:
        number: its name among the segments of its pool.
        size: bytes; they take memory only once they are written.
        directory: where its file lies; None is an anonymous file.

    Raises:
        OSError: the system has no such file, descriptor or address space to give.
    """

    def __init__(self, number: int, size: int, directory: Path | None = None) -> None:
        self.number = number
        self.size = size
        self.idle_since = 0.0
        self.dropped = False
        """It is gone: nothing refers to it any more."""
        self._file = None if directory is None else directory / f"{PREFIX}{os.getpid()}_{number}"
        self._fd = _anonymous(size) if self._file is None else _named(size, self._file)
        self.address = str(self._file or f"/proc/{os.getpid()}/fd/{self._fd}")
        self._backed = 0
        """So many bytes from its beginning have memory."""
        self._reached = 0
        """And so many of them are mapped here without a fault at every page."""
        try:
            self._memory = mmap.mmap(self._fd, size)
        except BaseException:
            self._close_file()
            raise
        self._view = memoryview(self._memory)

    def write(self, offset: int, data: Buffer) -> None:
        """Copy bytes into it, not beyond what is written already or follows it closely.

        Raises:
            OSError: there is no memory for them.
        """
        end = offset + len(data)
        if end > self._backed:
            self._extend(offset, data)
            return
        if end > self._reached:
            self._reach(end)
        self._view[offset:end] = data

    def _extend(self, offset: int, data: Buffer) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, offset)
            view = view[written:]
            offset += written
        self._backed = offset

    def _reach(self, end: int) -> None:
        begin = self._reached // _PAGE * _PAGE
        if hasattr(self._memory, "madvise"):
            with contextlib.suppress(OSError):  # an older kernel: then it takes a fault for each page
                self._memory.madvise(_POPULATE_READ, begin, end - begin)
        self._reached = end

    def drop(self) -> None:
        """Close it; whoever has it mapped keeps its memory."""
        if self.dropped:
            return
        self.dropped = True
        with contextlib.suppress(BufferError):  # a forked child may have a copy under way for ever
            self._view.release()
            self._memory.close()
        self._close_file()

    def shrink(self, most: int) -> bool:
        """Give back memory that nobody may be reading, from its end; whether none is left."""
        begin = max(0, self._backed - most) // _PAGE * _PAGE
        try:
            if self._backed > begin:
                self._memory.madvise(mmap.MADV_REMOVE, begin, self._backed - begin)
        except (AttributeError, OSError):
            return True  # closing it will do
        self._backed = begin
        self._reached = min(self._reached, begin)
        return not begin

    def forget(self) -> None:
        """Close what a forked child inherited of its parent's segment."""
        self._file = None
        self.drop()

    def _close_file(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _anonymous(size: int) -> int:
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no anonymous files")
    fd = os.memfd_create("fchains-segment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _named(size: int, file: Path) -> int:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        file.unlink(missing_ok=True)
        raise
    return fd


def is_sealed(fd: int) -> bool:
    """Whether a file can never become smaller."""
    if not hasattr(fcntl, "F_GET_SEALS"):
        return False
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False

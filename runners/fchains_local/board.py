"""How many calls each replica has, published in a file that all processes of a chain map."""

from __future__ import annotations

import mmap
import os
import stat
import struct
from pathlib import Path

# What the file is, and its rows and columns; 16 bytes keep the cells aligned.
_HEADER = struct.Struct("=8sII")
_MAGIC = b"fchboard"
_CELL = 4
_LARGEST = 64 * 1024**2

ROWS = 1024
"""Replicas of a chain that there may be at once."""


class Board:
    """A table of counters in shared memory: a row per replica, written by that replica alone.

    Each cell is 32 bits wide and written at once, so that readers see the old number or the new one. A
    closed board takes numbers without effect and has zeros: those who publish may be the last to hear.

    Args:
        file: an open file of the right size; taken over.
        rows: see `create`.
        columns: see `create`.
    """

    def __init__(self, file: int, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        try:
            self._map = mmap.mmap(file, _size(rows, columns))
        finally:
            os.close(file)
        self._bytes = memoryview(self._map)
        self._cells = self._bytes[_HEADER.size :].cast("I")
        self.closed = False

    @classmethod
    def create(cls, path: str | os.PathLike[str], rows: int, columns: int) -> Board:
        """A new board with zeros.

        Args:
            path: the file to make.
            rows: how many replicas it has room for.
            columns: how many numbers each of them publishes.

        Raises:
            ValueError: no board has that size.
            OSError: the file exists, or there is no room for it.
        """
        if rows < 1 or columns < 1 or _size(rows, columns) > _LARGEST:
            raise ValueError(f"a load board needs from 1 row and column to 64 MiB, not {rows} x {columns}")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Zeros are written, not left out: a full disk must fail here, not kill whoever stores a number.
            _write(file, _HEADER.pack(_MAGIC, rows, columns) + bytes(rows * columns * _CELL))
        except BaseException:
            os.close(file)
            Path(path).unlink(missing_ok=True)
            raise
        return cls(file, rows, columns)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Board:
        """The board that another process made.

        Raises:
            ValueError: the file is no board, or not all of it is there.
            OSError: it cannot be opened.
        """
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            rows, columns = _checked(file, path)
        except BaseException:
            os.close(file)
            raise
        return cls(file, rows, columns)

    def set(self, row: int, column: int, number: int) -> None:
        """Publish a number from 0 to 2**32 - 1."""
        try:
            self._cells[self._index(row, column)] = number
        except ValueError:
            if not self.closed:
                raise

    def get(self, row: int, column: int) -> int:
        """The number published last."""
        try:
            return self._cells[self._index(row, column)]
        except ValueError:
            if not self.closed:
                raise
            return 0

    def clear(self, row: int) -> None:
        """Zeros for a row: its replica is gone."""
        for column in range(self.columns):
            self.set(row, column, 0)

    def close(self) -> None:
        """Let the memory go; the file stays."""
        self.closed = True
        self._cells.release()
        self._bytes.release()
        self._map.close()

    def _index(self, row: int, column: int) -> int:
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            raise IndexError(f"no cell {row}, {column} on a board of {self.rows} x {self.columns}")
        return row * self.columns + column


def _size(rows: int, columns: int) -> int:
    return _HEADER.size + rows * columns * _CELL


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _checked(file: int, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Rows and columns, once it is sure that every cell is there: to touch a missing one is a SIGBUS."""
    status = os.fstat(file)
    header = os.read(file, _HEADER.size) if stat.S_ISREG(status.st_mode) else b""
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise ValueError(f"{os.fspath(path)} is no load board")
    _, rows, columns = _HEADER.unpack(header)
    if not (rows and columns) or status.st_size != _size(rows, columns):
        raise ValueError(
            f"the load board {os.fspath(path)} is damaged: it has {status.st_size} bytes, "
            f"{rows} rows and {columns} columns need {_size(rows, columns)}"
        )
    return rows, columns

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from fchains_local.board import Board


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # since 3.12, where there are threads
def test_what_one_process_publishes_another_one_reads(tmp_path: Path) -> None:
    board = Board.create(tmp_path / "board", rows=3, columns=2)
    child = os.fork()
    if child == 0:
        other = Board.open(tmp_path / "board")
        other.set(2, 1, 2**32 - 1)
        os._exit(0 if other.get(0, 0) == 0 else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert board.get(2, 1) == 2**32 - 1
    assert (board.rows, board.columns) == (3, 2)
    board.close()


def test_every_cell_is_its_own(tmp_path: Path) -> None:
    board = Board.create(tmp_path / "board", rows=3, columns=2)
    for row in range(3):
        for column in range(2):
            board.set(row, column, 10 * row + column + 1)

    board.clear(1)

    seen = [[board.get(row, column) for column in range(2)] for row in range(3)]
    assert seen == [[1, 2], [0, 0], [21, 22]]
    board.close()


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1), (3, 0), (0, 2)])
def test_a_cell_that_is_not_there_is_an_error(tmp_path: Path, row: int, column: int) -> None:
    board = Board.create(tmp_path / "board", rows=3, columns=2)

    with pytest.raises(IndexError, match="board of 3 x 2"):
        board.get(row, column)
    with pytest.raises(IndexError):
        board.set(row, column, 1)
    board.close()


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_number_that_does_not_fit_is_an_error(tmp_path: Path, number: int) -> None:
    board = Board.create(tmp_path / "board", rows=1, columns=1)

    with pytest.raises(ValueError, match=r"."):
        board.set(0, 0, number)
    assert board.get(0, 0) == 0
    board.close()


@pytest.mark.parametrize(("rows", "columns"), [(0, 1), (1, 0), (-1, -1), (2**20, 2**20)])
def test_a_board_of_an_impossible_size_is_refused_and_leaves_no_file(
    tmp_path: Path, rows: int, columns: int
) -> None:
    with pytest.raises(ValueError, match="load board"):
        Board.create(tmp_path / "board", rows, columns)

    assert not (tmp_path / "board").exists()


def test_a_board_is_not_made_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("mine")

    with pytest.raises(FileExistsError):
        Board.create(tmp_path / "board", 1, 1)

    assert (tmp_path / "board").read_text() == "mine"


def test_a_full_disk_fails_when_the_board_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(OSError, match="No space left"):
        Board.create(tmp_path / "board", 1, 1)
    assert not (tmp_path / "board").exists()


@pytest.mark.parametrize("size", [0, 7, 16, 20, 39, 41, 4096])
def test_a_board_of_the_wrong_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "board"
    Board.create(path, rows=3, columns=2).close()
    os.truncate(path, size)

    with pytest.raises(ValueError, match=str(path)):
        Board.open(path)


@pytest.mark.parametrize("content", [b"\0" * 40, b"fchboard" + b"\0" * 8, b"fchboard" + b"\xff" * 32])
def test_a_file_that_is_no_board_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "board"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=str(path)):
        Board.open(path)


def test_something_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ValueError, match="no load board"):
        Board.open(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        Board.open(tmp_path / "nothing")


def test_a_refused_board_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "board").write_bytes(b"short")
    before = os.open(tmp_path, os.O_RDONLY)
    os.close(before)
    with pytest.raises(ValueError, match="no load board"):
        Board.open(tmp_path / "board")
    after = os.open(tmp_path, os.O_RDONLY)
    os.close(after)

    assert after == before


def test_a_closed_board_takes_numbers_without_effect(tmp_path: Path) -> None:
    board = Board.create(tmp_path / "board", 1, 1)
    board.set(0, 0, 5)
    board.close()
    board.close()

    board.set(0, 0, 6)
    board.clear(0)

    assert board.get(0, 0) == 0
    again = Board.open(tmp_path / "board")
    assert again.get(0, 0) == 5
    again.close()


def test_a_board_may_be_closed_while_a_thread_publishes(tmp_path: Path) -> None:
    board = Board.create(tmp_path / "board", 1, 1)
    done = threading.Event()
    began = threading.Event()

    def publish() -> None:
        while not board.closed:
            board.set(0, 0, 1)
            began.set()
        board.set(0, 0, 1)
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    assert began.wait(10)
    board.close()
    thread.join(10)

    assert done.is_set()

"""Replicas, and whole chains, that do not come up."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains import DefinitionError, DeployError, SetupError, chainlet
from fchains_local.board import Board
from tests.local.blocks import Block, is_alive, local_block
from tests.local.leftovers import children
from tests.local.victims import Marks, dies_at_once, lacks_weights, starts_never, until, victim

LIMIT = 20.0
"""Seconds after which a call that should have ended has not."""


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Marks:
    return Marks(tmp_path_factory.mktemp("marks"))


@pytest.fixture(scope="module")
def block(marks: Marks) -> Iterator[Block]:
    with local_block(Path(marks.folder)) as block:
        yield block


@pytest.mark.slow
def test_a_setup_that_fails_is_told_to_every_waiting_call_and_given_up_after_three_attempts(
    block: Block, marks: Marks
) -> None:
    calls = [lacks_weights.remote() for _ in range(3)]
    for call in calls:
        with pytest.raises(SetupError, match="not_there") as caught:
            call.result(timeout=LIMIT)
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        assert "no weights in /models" in str(caught.value.__cause__)
    while len(marks.lines("attempts")) < 3:
        with pytest.raises(SetupError, match="not_there"):
            lacks_weights.remote().result(timeout=LIMIT)
    for _ in range(3):
        with pytest.raises(SetupError, match="not_there"):
            lacks_weights.remote().result(timeout=LIMIT)
    assert len(marks.lines("attempts")) == 3


@pytest.mark.slow
def test_a_replica_that_is_not_ready_in_time_is_told_to_every_waiting_call(block: Block) -> None:
    start = time.monotonic()
    for call in [starts_never.remote() for _ in range(3)]:
        with pytest.raises(SetupError, match=r"was (not )?ready within its startup_timeout of 0\.5 s"):
            call.result(timeout=LIMIT)
    assert time.monotonic() - start < 5


@pytest.mark.slow
def test_a_setup_that_ends_its_process_is_named_with_the_signal(block: Block) -> None:
    with pytest.raises(SetupError, match=r"dies_at_once-\d+ crashed with SIGSEGV while it was starting"):
        dies_at_once.remote().result(timeout=LIMIT)


@pytest.mark.slow
def test_a_module_that_cannot_be_imported_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fchains_test_far.py").write_text(
        "import os\n"
        "from fchains import chainlet\n"
        "if 'FCHAINS_TEST_IS_FAR' in os.environ:\n"
        "    import fchains_test_nowhere\n"
        "@chainlet\n"
        "def f() -> int:\n"
        "    return 1\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    f = importlib.import_module("fchains_test_far").f
    monkeypatch.setenv("FCHAINS_TEST_IS_FAR", "1")
    with local_block(tmp_path), pytest.raises(SetupError) as caught:
        f.remote().result(timeout=LIMIT)
    assert "fchains_test_nowhere" in f"{caught.value} {caught.value.__cause__}"
    assert "fchains_test_far" in str(caught.value)
    del sys.modules["fchains_test_far"]


def test_a_function_that_cannot_travel_is_named_before_anything_starts(tmp_path: Path) -> None:
    lock = threading.Lock()

    @chainlet
    def locked() -> bool:
        return lock.locked()

    with local_block(tmp_path) as block:
        with pytest.raises(DefinitionError, match=r"locked: it uses `lock`, a _thread\.lock"):
            locked.remote().result(timeout=LIMIT)
        assert not block.processes()


class FullDisk:
    """A disk that has no room for the files of a chain, for so many tries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
        self.tries = tries
        self._create = Board.create
        monkeypatch.setattr(Board, "create", self)

    def __call__(self, path: Path, rows: int, columns: int) -> Board:
        self.tries -= 1
        if self.tries >= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._create(path, rows, columns)


def test_a_chain_without_room_for_its_files_fails_its_calls_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, tries=1)
    with local_block(tmp_path):
        for _ in range(2):
            with pytest.raises(DeployError, match=r"victim cannot be started .*No space left on device"):
                victim.remote("nothing").result(timeout=LIMIT)


@pytest.mark.slow
def test_a_supervisor_whose_successor_cannot_start_is_succeeded_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_block(tmp_path) as block:
        before = victim.remote("nothing").result(timeout=LIMIT)
        disk = FullDisk(monkeypatch, tries=1)
        (supervisor,) = block.processes() & set(children(os.getpid()))
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: disk.tries <= 0)
        assert victim.remote("nothing").result(timeout=LIMIT) != before


@pytest.mark.slow
def test_a_stopped_replica_that_is_idle_does_not_keep_a_block_from_ending(tmp_path: Path) -> None:
    with local_block(tmp_path):
        pid = victim.remote("nothing").result(timeout=LIMIT)
        os.kill(pid, signal.SIGSTOP)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert not is_alive(pid)

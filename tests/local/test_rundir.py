from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fchains.errors import DeployError
from fchains_local import rundir
from fchains_local.rundir import LONGEST_ADDRESS, RunDir, sweep

# Since 3.12 a fork warns where there are threads; what is forked here runs a few lines and ends.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that directories are made in: a short one, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as made:
        monkeypatch.setattr(rundir, "_swept", True)
        monkeypatch.setattr(tempfile, "tempdir", made)
        yield Path(made)


class Maker:
    """A forked process that makes a directory, does something, and stays until it is killed."""

    def __init__(self, then: Callable[[RunDir], object] = lambda _: None) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                made = RunDir.create()
                then(made)
                os.write(writing, os.fsencode(made.path))
                signal.pause()
            finally:
                os._exit(1)
        os.close(writing)
        self.path = Path(os.fsdecode(os.read(reading, 1000)))
        os.close(reading)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def test_a_directory_is_private_and_holds_files_and_sockets(folder: Path) -> None:
    mask = os.umask(0)
    try:
        made = RunDir.create()
    finally:
        os.umask(mask)

    assert made.path.parent == folder
    assert made.path.name.startswith("fchains-")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    made.file("board").write_text("0")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(made.socket("supervisor")))

    made.remove()
    assert not made.path.exists()


def test_a_directory_is_removed_as_often_as_anybody_likes(folder: Path) -> None:
    made = RunDir.create()
    other = RunDir.at(made.path)
    assert other.file("board") == made.file("board")

    other.remove()
    assert not made.path.exists()
    made.remove()
    made.remove()
    other.remove()


def test_two_directories_differ(folder: Path) -> None:
    with ExitStack() as cleanup:
        made = [RunDir.create() for _ in range(3)]
        for each in made:
            cleanup.callback(each.remove)

        assert len({each.path for each in made}) == 3


def test_names_of_any_length_become_addresses_that_fit(folder: Path) -> None:
    made = RunDir.create()
    names = ["s", "transcribe-0", "x" * 26, "x" * 27, "x" * 80 + "-1", "x" * 80 + "-2", "é" * 40]
    addresses = [made.socket(name) for name in names]

    assert addresses[:3] == [made.path / name for name in names[:3]]
    assert len(set(addresses)) == len(names)
    assert addresses == [RunDir.at(made.path).socket(name) for name in names]
    for address in addresses:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(address))
    made.remove()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\0b"])
def test_a_name_cannot_lead_out_of_the_directory(folder: Path, name: str) -> None:
    made = RunDir.at(folder / "fchains-x")

    with pytest.raises(ValueError, match="no name of a file"):
        made.socket(name)
    with pytest.raises(ValueError, match="no name of a file"):
        made.file(name)


def test_a_folder_with_a_long_path_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = folder / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    made = RunDir.create()
    assert made.path.parent == Path("/tmp")
    assert len(os.fsencode(made.socket("x" * 200))) <= LONGEST_ADDRESS
    made.remove()


def test_without_any_folder_the_error_says_what_to_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: int = 0o777) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(DeployError, match=r"neither /tmp/.* nor /tmp will do; set TMPDIR .* 50 bytes"):
        RunDir.create()


def test_the_directory_of_a_killed_process_is_swept(folder: Path) -> None:
    maker = Maker(then=lambda made: made.file("board").write_text("0"))
    sweep([folder])
    assert maker.path.exists()

    maker.kill()
    sweep([folder])

    assert not maker.path.exists()


def test_a_process_sweeps_when_it_makes_its_first_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Maker(), Maker()
    first.kill()
    monkeypatch.setattr(rundir, "_swept", False)

    made = RunDir.create()
    assert not first.path.exists()
    second.kill()
    RunDir.create().remove()
    assert second.path.exists()

    made.remove()


def test_a_child_that_outlives_the_maker_keeps_nothing(folder: Path) -> None:
    reading, writing = os.pipe()
    hearing, saying = os.pipe()

    def fork(_: RunDir) -> None:
        if os.fork() == 0:
            os.close(writing)
            os.write(saying, b"here")
            os.read(reading, 1)  # until the test closes the other end
            os._exit(0)
        os.read(hearing, 4)

    maker = Maker(then=fork)
    maker.kill()
    sweep([folder])

    assert not maker.path.exists()
    for end in (reading, writing, hearing, saying):
        os.close(end)


def test_a_program_that_outlives_the_maker_keeps_nothing(folder: Path) -> None:
    reading, writing = os.pipe()

    def start(_: RunDir) -> None:
        os.close(writing)
        subprocess.Popen(["/bin/cat"], stdin=reading, stdout=subprocess.DEVNULL, close_fds=False)

    maker = Maker(then=start)
    maker.kill()
    sweep([folder])

    assert not maker.path.exists()
    os.close(writing)
    os.close(reading)


def test_a_forked_child_that_ends_takes_nothing_from_the_maker(folder: Path) -> None:
    made = RunDir.create()
    child = os.fork()
    if child == 0:
        made.remove()
        sweep([folder])
        os._exit(0 if made.path.exists() else 1)

    assert os.waitpid(child, 0)[1] == 0
    sweep([folder])
    other = os.fork()
    if other == 0:
        sweep([folder])
        os._exit(0 if made.path.exists() else 1)
    assert os.waitpid(other, 0)[1] == 0
    made.remove()
    assert not made.path.exists()


def test_a_forked_child_has_directories_of_its_own(folder: Path) -> None:
    made = RunDir.create()
    maker = Maker()

    sweep([folder])
    assert maker.path.exists()
    maker.kill()
    sweep([folder])
    assert not maker.path.exists()
    assert made.path.exists()
    made.remove()


def test_what_looks_otherwise_is_never_swept(folder: Path) -> None:
    machine = rundir._machine()  # pyright: ignore[reportPrivateUsage]
    elsewhere = f"{int(machine, 16) ^ 1:06x}"
    kept = [
        folder / "fchains",
        folder / "fchains-data",
        folder / f"fchains-{machine}",
        folder / f"fchains-{machine}0123456z",
        folder / f"fchains-{machine}012345678",
        folder / f"fchains-{elsewhere}01234567",
    ]
    for path in kept:
        path.mkdir()
    file = folder / f"fchains-{machine}00000001"
    file.write_text("mine")
    link = folder / f"fchains-{machine}00000002"
    link.symlink_to(kept[0])

    sweep([folder, folder / "nothing", file])

    assert all(path.exists() for path in [*kept, file, link])


def test_a_directory_of_another_user_is_never_swept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    maker.kill()
    monkeypatch.setattr(os, "geteuid", lambda: maker.path.stat().st_uid + 1)
    sweep([folder])
    assert maker.path.exists()

    monkeypatch.undo()
    sweep([folder])
    assert not maker.path.exists()


def test_a_directory_swept_before_it_was_opened_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, lost = Path.mkdir, list[Path]()

    def race(self: Path, mode: int = 0o777) -> None:
        make(self, mode)
        if not lost:
            lost.append(self)
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", race)

    made = RunDir.create()
    assert made.path.exists()
    assert lost != [made.path]
    made.remove()


def test_a_directory_swept_before_it_was_locked_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, lost = fcntl.flock, list[Path]()

    def race(descriptor: int, operation: int) -> None:
        if not lost:
            lost.extend(folder.iterdir())
            lost[0].rmdir()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", race)

    made = RunDir.create()
    assert made.path.exists()
    assert lost != [made.path]
    made.remove()


def test_somebody_elses_descriptor_is_left_alone(folder: Path) -> None:
    made = RunDir.create()
    assert made._lock is not None  # pyright: ignore[reportPrivateUsage]
    number = made._lock._descriptor  # pyright: ignore[reportPrivateUsage]
    other = os.open(folder, os.O_RDONLY)
    os.dup2(other, number)  # as after os.closerange() and an open()

    made.remove()

    assert os.path.samestat(os.fstat(number), folder.stat())
    os.close(number)
    os.close(other)


def test_a_removed_directory_leaves_no_descriptor_open(folder: Path) -> None:
    before = os.open(folder, os.O_RDONLY)
    os.close(before)
    RunDir.create().remove()
    sweep([folder])
    after = os.open(folder, os.O_RDONLY)
    os.close(after)

    assert after == before


def test_many_may_sweep_and_make_at_once(folder: Path) -> None:
    made = list[RunDir]()

    def work() -> None:
        for _ in range(6):
            made.append(RunDir.create())
            sweep([folder])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 24
    assert all(each.path.exists() for each in made)
    for each in made:
        each.remove()
    assert list(folder.iterdir()) == []

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fchains import Volume
from fchains.errors import DeployError
from fchains_local.volumes import place

MODELS = Volume("models")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "volumes"


@contextmanager
def refused(*texts: str) -> Generator[None]:
    """The chain is not deployed, and the message names chainlet and volume, and says all of that."""
    with pytest.raises(DeployError) as raised:
        yield
    for text in ("transcribe: Volume('models')", *texts):
        assert text in str(raised.value)


def test_what_is_written_at_the_path_is_kept_in_the_volume(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "deep" / "cache"

    place("transcribe", {str(path): MODELS}, root.parent)

    (path / "weights").write_text("1")
    assert (root / "models" / "weights").read_text() == "1"
    assert path.readlink() == root / "models"


def test_volumes_of_one_name_are_one_volume(tmp_path: Path, root: Path) -> None:
    place("transcribe", {str(tmp_path / "a"): MODELS, str(tmp_path / "b"): Volume("models")}, root.parent)
    place("embed", {str(tmp_path / "a"): Volume("models")}, root.parent)

    (tmp_path / "a" / "weights").write_text("1")
    assert (tmp_path / "b" / "weights").exists()


def test_a_relative_path_starts_at_the_working_directory(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")

    place("transcribe", {"cache": MODELS, "../other": Volume("other")}, root.parent)

    assert (tmp_path / "project" / "cache").samefile(root / "models")
    assert (tmp_path / "other").samefile(root / "other")


def test_a_volume_may_be_mounted_in_another_one(tmp_path: Path, root: Path) -> None:
    outer, inner = str(tmp_path / "data"), str(tmp_path / "data" / "models")

    for _ in range(2):
        place("transcribe", {inner: MODELS, outer: Volume("data")}, root.parent)

    assert Path(inner).samefile(root / "models")
    assert (root / "data" / "models").is_symlink()


def test_an_empty_folder_at_the_path_gives_way(tmp_path: Path, root: Path) -> None:
    (tmp_path / "cache").mkdir()

    place("transcribe", {str(tmp_path / "cache"): MODELS}, root.parent)

    assert (tmp_path / "cache").samefile(root / "models")


def test_the_folder_of_the_volume_itself_needs_no_link(root: Path) -> None:
    place("transcribe", {str(root / "models"): MODELS}, root.parent)

    assert not (root / "models").is_symlink()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    (path / "mine").write_text("1")

    with refused(str(path), "a folder that is not empty is there", "move it away", "choose another path"):
        place("transcribe", {str(path): MODELS}, root.parent)

    assert (path / "mine").read_text() == "1"


def test_a_file_is_left_alone(tmp_path: Path, root: Path) -> None:
    (tmp_path / "cache").write_text("1")

    with refused("a file is there", f'volumes={{"{Path.home()}/models": Volume("models")}}'):
        place("transcribe", {str(tmp_path / "cache"): MODELS}, root.parent)
    with refused(str(tmp_path / "cache" / "below")):
        place("transcribe", {str(tmp_path / "cache" / "below"): MODELS}, root.parent)

    assert (tmp_path / "cache").read_text() == "1"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_another_place_is_left_alone(tmp_path: Path, root: Path, there: bool) -> None:
    other = tmp_path / "other"
    if there:
        other.mkdir()
    (tmp_path / "cache").symlink_to(other)

    with refused(f"a link to {other} is there", "remove it"):
        place("transcribe", {str(tmp_path / "cache"): MODELS}, root.parent)

    assert (tmp_path / "cache").readlink() == other


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_mounted_file_system_is_left_alone(root: Path) -> None:
    with refused("cannot be mounted at /proc"):
        place("transcribe", {"/proc": MODELS}, root.parent)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("method", ["mkdir", "symlink_to"])
def test_a_path_that_may_not_be_written_is_an_error_that_says_what_to_do(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, method: str
) -> None:
    (root / "models").mkdir(parents=True)
    path, original = tmp_path / "deep" / "cache", getattr(Path, method)

    def refuse(self: Path, *args: object, **options: object) -> None:
        if self.is_relative_to(tmp_path / "deep"):
            raise OSError(code, os.strerror(code), str(self))
        original(self, *args, **options)

    monkeypatch.setattr(Path, method, refuse)

    by_hand = f'ln -s "{root / "models"}" "{path}", or ' if code != errno.EROFS else "system; choose"
    with refused(os.strerror(code), by_hand, "choose another path: volumes={"):
        place("transcribe", {str(path): MODELS}, root.parent)


def test_an_empty_folder_that_may_not_be_removed_is_an_error(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()

    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rmdir", refuse)

    with refused("Permission denied", "ln -s"):
        place("transcribe", {str(tmp_path / "cache"): MODELS}, root.parent)


def test_a_home_that_may_not_be_written_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")

    with refused(str(tmp_path / "home"), "set FCHAINS_HOME"):
        place("transcribe", {str(tmp_path / "cache"): MODELS}, tmp_path / "home")

    assert not (tmp_path / "cache").exists()


def test_many_may_place_the_same_volume_at_once(tmp_path: Path, root: Path) -> None:
    faults = list[BaseException]()
    for number in range(20):
        path = tmp_path / f"cache-{number}"
        if number % 2:
            path.mkdir()
        start = threading.Barrier(4)

        def work(path: Path = path, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                place("transcribe", {str(path): MODELS}, root.parent)
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert path.samefile(root / "models")

    assert faults == []


def test_a_home_that_is_not_absolute_is_an_error() -> None:
    with refused("set FCHAINS_HOME to an absolute path"):
        place("transcribe", {"/nonexistent/cache": MODELS}, Path("kept"))

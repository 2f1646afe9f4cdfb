"""The private directory of a running chain: its sockets and its load board.

Its maker holds a lock on the directory itself, so that `sweep()` can tell which ones are left over:

- The lock is a flock. A process id would mislead processes of another container that share the folder,
  and a POSIX lock is lost as soon as anybody in the process opens and closes what is locked.
- A flock belongs to the open file, which forked children share: they close it at once. One that is
  forked behind Python's back keeps a left-over directory from being swept, which harms nobody.
- It is held on the directory, not on a file in it: systemd leaves a locked directory in /tmp alone,
  however old it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from fchains.errors import DeployError

# An address of 104 bytes on macOS, 108 on Linux, with a zero at its end.
LONGEST_ADDRESS = 100
# With the 22 bytes of the directory's name this leaves 50 for the folder: macOS makes ones of 48.
LONGEST_NAME = 26
_TRIES = 5
_NAME = re.compile(r"fchains-([0-9a-f]{6})[0-9a-f]{8}")


class RunDir:
    """A directory that only this user can enter, with a path short enough for sockets.

    Args:
        path: the directory.
        lock: what `create` holds; None where another process made it.
    """

    def __init__(self, path: Path, lock: _Lock | None = None) -> None:
        self.path = path
        self._lock = lock
        self._maker = None if lock is None else os.getpid()

    @classmethod
    def create(cls) -> RunDir:
        """A new directory; those that dead processes left behind are removed on the way.

        Raises:
            DeployError: there is no folder for it.
        """
        folders = tuple(_folders())
        _sweep_once(folders)
        for folder in folders:
            for _ in range(_TRIES):  # another process may sweep it before it is locked
                made = _make(folder)
                if made is not None:
                    return made
        longest = LONGEST_ADDRESS - LONGEST_NAME - 24
        raise DeployError(
            f"there is no folder for the sockets of a chain: neither {' nor '.join(map(str, folders))} "
            f"will do; set TMPDIR to a folder that can be written, with a path of at most {longest} bytes"
        )

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> RunDir:
        """The directory that another process made."""
        return cls(Path(path))

    def socket(self, name: str) -> Path:
        """The address of a socket; a long name is shortened, to the same one each time."""
        return self.path / _short(_checked(name))

    def file(self, name: str) -> Path:
        """The path of a file."""
        return self.path / _checked(name)

    def remove(self) -> None:
        """Remove it with all it contains; nothing happens where that was done, or in a forked child."""
        if self._maker not in (None, os.getpid()):
            return
        _remove(self.path)
        if self._lock is not None:
            self._lock.release()


def sweep(folders: Iterable[Path] | None = None) -> None:
    """Remove the directories of dead processes, where they belong to this user and this machine.

    Args:
        folders: where to look; all those that `RunDir.create` uses, unless given.
    """
    for folder in _folders() if folders is None else folders:
        for path in _own(folder):
            lock = _Lock.take(path)
            if lock is not None:
                _remove(path)
                lock.release()


class _Lock:
    """A lock on a directory, held by this process until it ends."""

    _held: ClassVar[set[_Lock]] = set()  # those of this process, which its forked children must let go of
    _follows_forks: ClassVar = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._status = os.fstat(descriptor)

    @classmethod
    def take(cls, path: Path) -> _Lock | None:
        """The lock, unless another process has it or the directory is gone."""
        try:
            lock = cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except OSError:
            return None
        if not cls._follows_forks:
            cls._follows_forks = True
            os.register_at_fork(after_in_child=cls._leave_to_parent)
        cls._held.add(lock)
        with contextlib.suppress(OSError):
            fcntl.flock(lock._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(lock._status, path.lstat()):  # nobody removed it in between
                return lock
        lock.release()
        return None

    def release(self) -> None:
        if self not in self._held:
            return
        self._held.discard(self)
        with contextlib.suppress(OSError):
            # Somebody may have closed all descriptors of this process, and have got this number for his own.
            if os.path.samestat(self._status, os.fstat(self._descriptor)):
                os.close(self._descriptor)

    @classmethod
    def _leave_to_parent(cls) -> None:
        for lock in tuple(cls._held):
            lock.release()


def _make(folder: Path) -> RunDir | None:
    path = folder / f"fchains-{_machine()}{secrets.token_hex(4)}"
    try:
        path.mkdir(0o700)
    except OSError:
        return None
    lock = _Lock.take(path)
    if lock is None:
        with contextlib.suppress(OSError):
            path.rmdir()
        return None
    return RunDir(path, lock)


def _folders() -> Iterator[Path]:
    """Where a directory may be made, the best place first.

    Not in XDG_RUNTIME_DIR: that goes when its user logs out, under chains that were left running.
    """
    candidates: list[Path] = []
    with contextlib.suppress(OSError):
        candidates.append(Path(tempfile.gettempdir()))
    candidates.append(Path("/tmp"))  # noqa: S108 - what is made there is private and has a random name
    for folder in dict.fromkeys(candidates):
        room = LONGEST_ADDRESS - len(os.fsencode(folder)) - len("/fchains-00000000000000/")
        if room >= LONGEST_NAME:
            yield folder


def _machine() -> str:
    """Six digits that stand for this machine: locks are not seen by others that share the folder."""
    return hashlib.sha256(os.fsencode(os.uname().nodename)).hexdigest()[:6]


def _own(folder: Path) -> Iterator[Path]:
    """Directories of this user and machine, of living and dead processes."""
    machine = _machine()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or match[1] != machine:
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                    yield Path(entry.path)


_swept = False


def _sweep_once(folders: Iterable[Path]) -> None:
    global _swept  # noqa: PLW0603 - what is left over is looked for once per process
    if not _swept:
        _swept = True
        sweep(folders)


def _remove(path: Path) -> None:
    for _ in range(_TRIES):  # a process that still lives may make another file meanwhile
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return


def _checked(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file")
    return name


def _short(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f"{os.fsdecode(encoded[: LONGEST_NAME - 13])}-{digest}"

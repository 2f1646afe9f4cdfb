"""Volumes as directories of this machine, which appear where the chainlet mounts them.

A volume is a folder below FCHAINS_HOME, and a symbolic link leads to it from the path where it is mounted.
The link stays when the chain ends, as do folders made on the way to it: the next run finds it as it is.

Mounting the folder in a namespace of the workers alone would leave nothing behind, but it takes root, or
user namespaces, which Ubuntu and most containers forbid, and macOS has nothing of the kind. Nor would the
user's own process see it, where a chainlet may also be called as a plain function. Other tools that run
functions locally leave volumes out, which breaks the code that relies on them.

Where somebody may not write to the path's folder (`/cache` without root), the error says how to make the
link once, so that one path serves this machine, Docker and AWS.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from fchains.errors import DeployError
from fchains.packaging.volume import Volume

# Each further try follows a change that another process made in between.
_TRIES = 10
_OCCUPIED = {
    errno.ENOTEMPTY: "a folder that is not empty",
    errno.EEXIST: "a folder that is not empty",
    errno.EBUSY: "a mounted file system",
    errno.ENOTDIR: "a file",
}


def place(chainlet: str, volumes: Mapping[str, Volume], home: Path) -> None:
    """Make the directories of volumes, and links to them where they are mounted.

    Args:
        chainlet: whose they are, for messages.
        volumes: volumes by the path they are mounted at; a relative one starts at the working directory.
        home: `Settings.home`; volumes are in `volumes/` there.

    Raises:
        DeployError: a directory or link cannot be made, or something else is at the path.
    """
    for path, volume in sorted(volumes.items()):  # a volume in a volume comes second
        folder = home / "volumes" / volume.name
        where = f"{chainlet}: Volume({volume.name!r})"
        if not home.is_absolute():
            raise DeployError(f"{where} cannot be kept in {folder}: set FCHAINS_HOME to an absolute path")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "set FCHAINS_HOME to a folder that can be written"
            raise DeployError(f"{where} cannot be kept in {folder}: {error.strerror}; {hint}") from error
        try:
            _link(Path(os.path.abspath(path)), folder)  # noqa: PTH100 - links on the way are meant
        except _Occupied as error:
            raise DeployError(
                f"{where} cannot be mounted at {path}: {error} is there; {_move(error)}, or {_other(volume)}"
            ) from error
        except OSError as error:
            raise DeployError(
                f"{where} cannot be mounted at {path}: {error.strerror}; {_by_hand(error, path, folder)}"
                f"{_other(volume)}"
            ) from error


class _Occupied(Exception):
    """Raised when something else is where a link should be; the text says what."""


def _link(path: Path, folder: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        try:
            path.symlink_to(folder, target_is_directory=True)
        except FileExistsError:
            is_link = path.is_symlink()  # asked first: another process may make the right link at any time
            if _is_same(path, folder):
                return
            if is_link:
                raise _Occupied(f"a link to {_target(path)}") from None
            _clear(path)
        else:
            return
    raise _Occupied("something that others keep changing")


def _is_same(path: Path, folder: Path) -> bool:
    try:
        return path.samefile(folder)
    except OSError:
        return False


def _clear(path: Path) -> None:
    """Remove an empty directory; what changed in between is looked at again."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ENOTDIR and path.is_symlink():
            return
        if error.errno in _OCCUPIED:
            raise _Occupied(_OCCUPIED[error.errno]) from error
        raise


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "somewhere else"


def _move(error: _Occupied) -> str:
    return "remove it" if str(error).startswith("a link") else "move it away"


def _by_hand(error: OSError, path: str, folder: Path) -> str:
    """What somebody with more rights could do."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return ""
    return f'make the link once, as an administrator: ln -s "{folder}" "{path}", or '


def _other(volume: Volume) -> str:
    path = os.path.expanduser(f"~/{volume.name}")  # noqa: PTH111 - never fails
    return f'choose another path: volumes={{"{path}": Volume("{volume.name}")}}'

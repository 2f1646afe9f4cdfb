"""How a program of this package is started: by this interpreter, and not from the user's module path."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import fchains


def program(module: str, *arguments: str) -> list[str]:
    """The command that runs `main()` of a module of this package.

    Both packages are found where they were found here, also in a checkout; what else is on the
    path stays behind what the interpreter has there itself.
    """
    folders = dict.fromkeys(str(Path(file).parents[1]) for file in (fchains.__file__, __file__))
    code = f"import sys; sys.path += {list(folders)!r}; from {module} import main; main(sys.argv[1:])"
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list[str])()
    safe = [] if "-P" in flags else ["-P"]
    return [sys.executable, *flags, *safe, "-c", code, *arguments]


def output(stream: TextIO | None) -> int | None:
    """What it gets as stdout or stderr: this process's own, or nothing where that was started without.

    Then anything else may have that number here.
    """
    return subprocess.DEVNULL if stream is None else None


def connection() -> tuple[socket.socket, socket.socket]:
    """A connection to it, and its end of that, whose number is none of a standard stream."""
    ours, theirs = socket.socketpair()
    with theirs:
        return ours, socket.socket(fileno=fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3))

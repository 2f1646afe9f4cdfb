"""Programs as users run them, and all the processes that come from them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

from tests.local.journal import PATIENCE, VARIABLE

ROOT = Path(__file__).resolve().parents[2]
PYTHON_PATH = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "runners"), os.environ.get("PYTHONPATH")]))
_MARK = "FCHAINS_TEST_PROGRAM"


class Program:
    """A program in a session of its own.

    Args:
        folder: where it runs.
        command: what is started.
        variables: added to the environment.
        typed: its standard input.
    """

    def __init__(
        self, folder: Path, command: list[str], variables: Mapping[str, str], typed: str = ""
    ) -> None:
        self._folder = folder
        # Short, so that the private directory is made in it, and seen.
        self._temporary = Path(tempfile.mkdtemp(prefix="fct-", dir="/tmp"))
        self._mark = f"{_MARK}={self._temporary}".encode()
        self._journal = self._temporary / "journal"
        (self._temporary / "in").write_text(typed)
        environment = {
            **os.environ,
            "PYTHONPATH": PYTHON_PATH,
            "FCHAINS_RUNNER": "local",
            "FCHAINS_HOME": str(folder / "home"),
            "TMPDIR": str(self._temporary),
            VARIABLE: str(self._journal),
            _MARK: str(self._temporary),
            **variables,
        }
        with (
            (self._temporary / "in").open() as stdin,
            (self._temporary / "out").open("w") as stdout,
            (self._temporary / "err").open("w") as stderr,
        ):
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """What it has printed."""
        return (self._temporary / "out").read_text()

    @property
    def err(self) -> str:
        """What it has printed to stderr."""
        return (self._temporary / "err").read_text()

    @property
    def said(self) -> list[str]:
        """The lines of its journal."""
        return self._journal.read_text().splitlines() if self._journal.exists() else []

    def say(self, line: str) -> None:
        """Add a line to its journal."""
        with self._journal.open("a") as file:
            file.write(f"{line}\n")

    def until(self, *lines: str) -> None:
        """Wait until its journal has these lines."""
        self._until(lambda: set(lines) <= set(self.said), f"{lines} in its journal")

    def until_err(self, text: str) -> None:
        """Wait until it has printed a text to stderr."""
        self._until(lambda: text in self.err, f"{text!r} in its stderr")

    def ends(self, patience: float = 3 * PATIENCE) -> int:
        """Wait for its end, and give its exit code."""
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end\n{self._story()}") from None

    def ends_well(self) -> None:
        """Wait for its end, which is that of a program without faults, and leaves nothing."""
        code = self.ends()
        assert code == 0, self._story()
        assert self.left() == []

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait()

    def interrupt(self) -> None:
        """What Ctrl-C in a terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def supervisor(self) -> int:
        """The process id of its one supervisor."""
        return self._child_of(self._process.pid)

    def seed(self) -> int:
        """That of the process that forks the templates."""
        return self._child_of(self.supervisor())

    def template(self) -> int:
        """That of its one template."""
        return self._child_of(self.seed())

    def processes(self) -> list[int]:
        """All that run and come from it, itself included."""
        pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
        return [pid for pid in pids if self._mark in _bytes(pid, "environ").split(b"\0")]

    def left(self, within: float = 5.0, *, expected: int = 0) -> list[str]:
        """What is left of it so many seconds later: processes, private directories, shared memory."""
        end = time.monotonic() + within
        while len(self._left()) > expected and time.monotonic() < end:
            time.sleep(0.01)
        return self._left()

    def discard(self) -> None:
        """End all of it."""
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
        self._process.wait()
        shutil.rmtree(self._temporary)

    def _child_of(self, parent: int) -> int:
        (found,) = (pid for pid in self.processes() if _parent(pid) == parent)
        return found

    def _left(self) -> list[str]:
        processes = [f"{pid} {_command(pid)}" for pid in self.processes()]
        files = [*self._temporary.glob("fchains-*"), *Path("/dev/shm").glob("*fchains*")]
        return [*processes, *map(str, files)]

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            ended = self._process.poll() is not None and not condition()
            assert not ended, f"it ended without {what}\n{self._story()}"
            assert time.monotonic() < end, f"there is no {what}\n{self._story()}"
            time.sleep(0.005)

    def _story(self) -> str:
        running = [f"{pid} {_command(pid)[-120:]}" for pid in self.processes()]
        parts = {"code": self._process.poll(), "out": self.out, "err": self.err, "said": self.said}
        return "\n".join(f"{name}: {part}" for name, part in {**parts, "running": running}.items())


class Programs:
    """Starts programs in one folder.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[Program] = []

    def module(self, name: str, source: str) -> None:
        """Write a module that the scripts can import."""
        (self.folder / f"{name}.py").write_text(dedent(source))

    def script(self, source: str, *arguments: str, **variables: str) -> Program:
        """Write a script, and start it."""
        self.module("app", source)
        return self.again(*arguments, **variables)

    def again(self, *arguments: str, **variables: str) -> Program:
        """Start the script that was written last."""
        return self.python("app.py", *arguments, **variables)

    def python(self, *arguments: str, typed: str = "", **variables: str) -> Program:
        """Start this Python."""
        return self.command(sys.executable, *arguments, typed=typed, **variables)

    def command(self, *command: str, typed: str = "", **variables: str) -> Program:
        """Start anything."""
        program = Program(self.folder, list(command), variables, typed)
        self._started.append(program)
        return program

    def discard(self) -> None:
        """End them all."""
        for program in self._started:
            program.discard()


def _bytes(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return b""


def _command(pid: int) -> str:
    return _bytes(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def _parent(pid: int) -> int:
    found = re.search(rb"^PPid:\s+(\d+)", _bytes(pid, "status"), re.MULTILINE)
    return int(found[1]) if found else 0

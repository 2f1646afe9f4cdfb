"""Every program and command that the README shows is run, and shows what the README says."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks() -> list[Block]:
    text = README.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in BLOCK.finditer(text)]


def programs() -> list[tuple[Block, str]]:
    """The Python blocks that are no named file, with the output that follows, if one does."""
    shown = blocks()
    return [
        (block, after.text if after.language == "text" else "")
        for block, after in zip(shown, [*shown[1:], Block("", "", 0)], strict=True)
        if block.language == "python" and not FILE_NAME.match(block.text)
    ]


def commands() -> list[tuple[str, str, int]]:
    """What stands after each `$`, with the output that follows."""
    return [
        (part.partition("\n")[0], part.partition("\n")[2], block.line)
        for block in blocks()
        if block.language == "console"
        for part in block.text.removeprefix("$ ").split("\n$ ")
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds the files that the README names in their first line."""
    for block in blocks():
        if block.language == "python" and (name := FILE_NAME.match(block.text)):
            (tmp_path / name[1]).write_text(block.text.removeprefix(name[0]), encoding="utf-8")
    return tmp_path


def run(folder: Path, *command: str) -> str:
    path = os.pathsep.join([str(README.parent), str(README.parent / "runners")])
    environment = os.environ | {
        "PYTHONPATH": path,
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("block", "output"), [pytest.param(*p, id=f"line {p[0].line}") for p in programs()])
def test_a_program_prints_what_the_readme_shows(block: Block, output: str, folder: Path) -> None:
    program = folder / "program.py"
    program.write_text(block.text, encoding="utf-8")

    assert run(folder, sys.executable, program.name) == output


@pytest.mark.parametrize(("command", "output"), [pytest.param(*c[:2], id=f"line {c[2]}") for c in commands()])
def test_a_command_prints_what_the_readme_shows(command: str, output: str, folder: Path) -> None:
    tool, *arguments = shlex.split(command)
    modules = {
        "fchains": ["-c", "from fchains.cli import main; main()"],
        "pytest": ["-m", "pytest"],
        "python": [],
    }

    shown = run(folder, sys.executable, *modules[tool], *arguments)

    assert re.sub(r"in \d+\.\d+s", "in 0.01s", shown) == output


def test_every_named_file_that_is_right_can_be_imported(folder: Path) -> None:
    names = {path.stem for path in folder.glob("*.py")} - {"wrong"}

    assert run(folder, sys.executable, "-c", f"import {', '.join(sorted(names))}") == ""

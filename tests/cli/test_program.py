"""What holds for all commands, and the program as its users start it."""

import subprocess
from pathlib import Path

import pytest

import fchains
from tests.cli.conftest import Cli, Program

CHAIN = """\
from collections.abc import Iterator
from fchains import chainlet

@chainlet
def count(upto: int) -> Iterator[int]:
    yield from range(upto)

@chainlet
def chatty(lines: int) -> int:
    for number in range(lines):
        print("line", number)
    return 1

@chainlet
def child() -> int:
    import os
    return os.system("echo from a child")
"""


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"fchains {fchains.__version__}\n"


def test_help_lists_the_commands_with_examples_and_the_exit_codes(cli: Cli) -> None:
    done = cli("--help")

    assert done.code == 0
    for text in ("run ", "check ", "graph ", "package ", "runners ", "doctor ", "--install-completion"):
        assert text in done.out
    for text in ("Examples:", "  0  fine", "  3  errors in definitions", "130  interrupted"):
        assert text in done.out


@pytest.mark.parametrize("command", ["run", "check", "graph", "package", "runners", "doctor"])
def test_the_help_of_each_command_has_examples(cli: Cli, command: str) -> None:
    done = cli(command, "--help")

    assert done.code == 0
    assert f"    fchains {command}" in done.out


def test_a_misspelt_command_gets_a_close_match(cli: Cli) -> None:
    done = cli("chek")

    assert done.code == 2
    assert "check" in done.err


def test_no_arguments_show_the_help(cli: Cli) -> None:
    done = cli()

    assert "Commands:" in done.out + done.err


@pytest.fixture
def chain(folder: Path) -> str:
    (folder / "chain.py").write_text(CHAIN)
    return "chain.py"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["count --upto 100000", "chatty --lines 100000"])
def test_a_reader_that_goes_away_ends_it_quietly(program: Program, chain: str, target: str) -> None:
    process = program("run", "-q", *f"{chain}::{target}".split())
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.readline()
    process.stdout.close()

    assert process.wait(30) == 141
    assert process.stderr.read() == ""


@pytest.mark.slow
def test_with_json_what_child_processes_print_goes_to_standard_error(program: Program, chain: str) -> None:
    out, err = program("run", f"{chain}::child", "--json").communicate()

    assert (out, err) == ("0\n", "from a child\n")


@pytest.mark.slow
def test_without_a_terminal_there_is_no_colour(program: Program, chain: str) -> None:
    process = program("run", f"{chain}::count", "--upto", "2", FORCE_COLOR="", TERM="xterm-256color")
    out, err = process.communicate()

    assert out == "0\n1\n"
    assert "\x1b" not in err


@pytest.mark.slow
def test_results_that_an_encoding_lacks_are_escaped(program: Program, folder: Path) -> None:
    (folder / "accent.py").write_text(
        "from fchains import chainlet\n@chainlet\ndef f() -> str: return 'é'\n", encoding="utf-8"
    )

    process = program("run", "accent.py", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert process.communicate() == ("\\xe9\n", "")


@pytest.mark.slow
def test_starting_loads_no_runner_and_no_heavy_package(program: Program) -> None:
    import sys

    code = "import sys, fchains.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    heavy = {"aiohttp", "boto3", "cloudpickle", "numpy", "starlette", "uvicorn", "fchains.testing.inline"}
    assert heavy & set(loaded.split()) == set()

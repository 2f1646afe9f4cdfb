import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Program

CHAIN = """\
from fchains import chainlet, setup, use

@setup
def words() -> dict[str, str]: return {}

@chainlet
def greet(name: str, *, known: dict[str, str] = use(words)) -> str: return name

@chainlet(entrypoint=True)
async def hello(names: list[str]) -> list[str]: return await greet.map(names)
"""


@pytest.fixture
def chain(folder: Path) -> str:
    (folder / "hello.py").write_text(CHAIN)
    return "hello.py"


def test_a_tree_by_default(cli: Cli, chain: str) -> None:
    lines = cli("graph", chain).out.splitlines()

    assert lines[0].startswith("hello  entrypoint")
    assert lines[1].startswith("└── greet")
    assert lines[2] == "    └── ◇ words"


def test_only_what_a_named_chainlet_reaches(cli: Cli, chain: str) -> None:
    assert "hello" not in cli("graph", f"{chain}::greet").out
    assert "hello" not in cli("graph", "hello:greet").out


@pytest.mark.parametrize(
    ("option", "start"), [("--mermaid", "flowchart TD\n"), ("--dot", "digraph chain {\n")]
)
def test_other_languages(cli: Cli, chain: str, option: str, start: str) -> None:
    assert cli("graph", chain, option).out.startswith(start)


def test_json(cli: Cli, chain: str) -> None:
    drawn = json.loads(cli("graph", chain, "--json").out)

    assert drawn["entrypoint"] == "hello"
    assert drawn["edges"] == [{"from": "hello", "to": "greet"}]


def test_two_languages_at_once_are_wrong_usage(cli: Cli, chain: str) -> None:
    done = cli("graph", chain, "--dot", "--json")

    assert (done.code, done.err) == (2, "error: --mermaid, --dot and --json exclude each other\n")


def test_a_name_that_is_not_there(cli: Cli, chain: str) -> None:
    done = cli("graph", f"{chain}::gret")

    assert done.code == 2
    assert "Did you mean `greet`?" in done.err


def test_a_file_with_mistakes_is_not_drawn(cli: Cli, folder: Path) -> None:
    (folder / "a.py").write_text("from fchains import chainlet\n@chainlet\ndef f(x) -> int: ...\n")

    done = cli("graph", "a.py")

    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("1 problem\n")


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_plain_lines(chain: str, program: Program) -> None:
    out, _ = program("graph", chain, PYTHONIOENCODING="ascii").communicate()

    assert "`-- greet" in out

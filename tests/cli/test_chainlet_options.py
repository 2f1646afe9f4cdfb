"""The options that `fchains run` makes from a signature, and the values that their texts become."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Program

APP = '''\
import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple
from pydantic import BaseModel, Field
from fchains import chainlet

class Color(enum.Enum):
    RED = 1
    BLUE = 2

class Size(enum.Enum):
    S = "small"

class Options(BaseModel):
    depth: int

@dataclass
class Person:
    name: str

class Pair(NamedTuple):
    a: int
    b: str

@chainlet
def show(
    number: int | None = None,
    ratio: float | None = None,
    text: str | None = None,
    flag: bool | None = None,
    color: Color | None = None,
    size: Size | None = None,
    mode: Literal["fast", "slow", 3] | None = None,
    when: datetime | None = None,
    names: list[str] | None = None,
    matrix: list[list[int]] | None = None,
    ids: set[int] | None = None,
    point: tuple[int, str] | None = None,
    options: Options | None = None,
    person: Person | None = None,
    pair: Pair | None = None,
    table: dict[str, int] | None = None,
    data: bytes | None = None,
    parts: list[bytes] | None = None,
    either: int | str | None = None,
    small: Annotated[int, Field(lt=10)] | None = None,
    anything: Any = None,
) -> str:
    return repr({name: value for name, value in locals().items() if value is not None})

@chainlet
def needs(
    first_name: str, audio: bytes, tags: list[str], size: Size = Size.S, s: str = "x"
) -> str:
    """Say what it got.

    In some detail.
    """
    return f"{first_name} {len(audio)} {tags} {s}"

@chainlet
def greedy(timeout: int, json: bool = False) -> str: return f"{timeout} {json}"
'''


@pytest.fixture(autouse=True)
def app(folder: Path) -> None:
    (folder / "app.py").write_text(APP)
    (folder / "data.bin").write_bytes(b"ab")
    (folder / "table.json").write_text('{"a": 1}')


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--number", "5"], "{'number': 5}"),
        (["--number=-5"], "{'number': -5}"),
        (["--number", "-5"], "{'number': -5}"),
        (["--number", "1", "--number", "2"], "{'number': 2}"),
        (["--ratio", "1e3"], "{'ratio': 1000.0}"),
        (["--text", "5"], "{'text': '5'}"),
        (["--text", "null"], "{'text': 'null'}"),
        (["--text", "@ada"], "{'text': '@ada'}"),
        (["--text", "--flag"], "{'text': '--flag'}"),
        (["--text", ""], "{'text': ''}"),
        (["--flag"], "{'flag': True}"),
        (["--no-flag"], "{'flag': False}"),
        (["--color", "BLUE"], "{'color': <Color.BLUE: 2>}"),
        (["--color", "2"], "{'color': <Color.BLUE: 2>}"),
        (["--size", "small"], "{'size': <Size.S: 'small'>}"),
        (["--mode", "slow"], "{'mode': 'slow'}"),
        (["--mode", "3"], "{'mode': 3}"),
        (["--when", "2024-02-29T12:00:00"], "{'when': datetime.datetime(2024, 2, 29, 12, 0)}"),
        (["--names", '["a", "b"]'], "{'names': ['a', 'b']}"),
        (["--names", "a", "--names", "[b"], "{'names': ['a', '[b']}"),
        (["--names", "a"], "{'names': ['a']}"),
        (["--names", "5"], "{'names': ['5']}"),
        (["--matrix", "[[1], [2]]"], "{'matrix': [[1], [2]]}"),
        (["--matrix", "[1, 2]"], "{'matrix': [[1, 2]]}"),
        (["--matrix", "[1]", "--matrix", "[2]"], "{'matrix': [[1], [2]]}"),
        (["--ids", "1", "--ids", "2"], "{'ids': {1, 2}}"),
        (["--point", '[1, "x"]'], "{'point': (1, 'x')}"),
        (["--options", '{"depth": 2}'], "{'options': Options(depth=2)}"),
        (["--person", '{"name": "Ada"}'], "{'person': Person(name='Ada')}"),
        (["--pair", '{"a": 1, "b": "x"}'], "{'pair': Pair(a=1, b='x')}"),
        (["--table", "@table.json"], "{'table': {'a': 1}}"),
        (["--data", "data.bin"], "{'data': b'ab'}"),
        (["--data", "-"], "{'data': b'stdin'}"),
        (["--parts", "data.bin"], "{'parts': [b'ab']}"),
        (["--parts", "data.bin", "--parts", "-"], "{'parts': [b'ab', b'stdin']}"),
        (["--either", "5"], "{'either': 5}"),
        (["--either", "five"], "{'either': 'five'}"),
        (["--small", "9"], "{'small': 9}"),
        (["--anything", "[1, null]"], "{'anything': [1, None]}"),
        (["--anything", "word"], "{'anything': 'word'}"),
        (["--input", "-", "--number", "2"], "{'number': 2, 'text': 'x'}"),
    ],
)
def test_a_value(cli: Cli, arguments: list[str], value: str) -> None:
    stdin = '{"text": "x", "number": 1}' if "--input" in arguments else "stdin"

    done = cli("run", "app.py::show", *arguments, stdin=stdin)

    assert (done.err, done.out, done.code) == ("", f"{value}\n", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--number", "abc"], "error: `number`: Input should be a valid integer"),
        (["--options", '{"depth": "x"}'], "error: `options.depth`: Input should be a valid integer"),
        (["--options", '{"depth": '], "error: --options is no JSON: "),
        (["--names", "[a, b]"], "error: --names is no JSON: "),
        (["--table", "@gone.json"], "error: --table: cannot read 'gone.json': No such file or directory"),
        (["--table", "@data.bin"], "error: --table @data.bin is no JSON: "),
        (["--data", "gone.bin"], "error: --data: cannot read 'gone.bin': No such file or directory"),
        (["--data", "."], "error: --data: cannot read '.': Is a directory"),
        (["--data", "-", "--parts", "-"], "error: --parts: --data reads standard input already; name a file"),
        (["--mode", "medium"], "error: `mode`"),
        (["--color", "GREEN"], "error: `color`"),
        (["--small", "10"], "error: `small`"),
        (["--input", "-"], "error: `nmber` is not a parameter; did you mean `number`?"),
        (["--input", "data.bin"], "error: --input data.bin is no JSON: "),
    ],
)
def test_a_value_that_does_not_fit_is_named(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("run", "app.py::show", *arguments, stdin='{"nmber": 1}')

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)
    assert "Traceback" not in done.err


def test_an_input_that_is_no_object(cli: Cli) -> None:
    done = cli("run", "app.py::show", "--input", "-", stdin="[1]")

    assert (done.code, done.err) == (2, "error: --input - is no JSON object of the parameters\n")


def test_required_parameters_that_are_missing_are_told_with_the_signature_and_an_example(cli: Cli) -> None:
    done = cli("run", "app.py::needs", "--first-name", "Ada")

    assert done.code == 2
    assert done.err.splitlines() == [
        "error: needs needs --audio, --tags",
        "  needs(",
        "      first_name: str,",
        "      audio: bytes,",
        "      tags: list[str],",
        "      size: Size = Size.S,",
        "      s: str = 'x',",
        "  ) -> str",
        "  fchains run app.py::needs --first-name a --audio audio.bin --tags '[\"a\"]'",
    ]


def test_an_unknown_option_gets_a_close_match(cli: Cli) -> None:
    done = cli("run", "app.py::needs", "--frist-name", "Ada")

    assert done.code == 2
    assert "No such option: --frist-name" in done.err
    assert "--first-name" in done.err


def test_a_value_without_an_option_is_refused(cli: Cli) -> None:
    assert cli("run", "app.py::needs", "Ada").code == 2


def test_help_shows_the_docstring_the_signature_types_defaults_and_examples(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    done = cli("run", "app.py::needs", "--help")

    lines = [line.strip() for line in done.out.splitlines()]
    assert done.code == 0
    assert "Say what it got." in lines
    assert any(line.startswith("--first-name str") and line.endswith("required") for line in lines)
    assert any(line.startswith("--audio bytes") and "a file, or -" in line for line in lines)
    assert any(line.startswith("--tags list[str]") and "as JSON, or given several" in line for line in lines)
    assert any(line.startswith("--size Size") and "one of small; default Size.S" in line for line in lines)
    assert any(line.startswith("fchains run app.py::needs --first-name a") for line in lines)


@pytest.mark.slow
def test_no_line_of_the_help_is_wider_than_the_terminal(program: Program) -> None:
    out, _ = program("run", "app.py::show", "--help", COLUMNS="64").communicate()

    assert max(map(len, out.splitlines())) <= 64


def test_a_parameter_wins_over_an_option_of_ours_which_may_stand_before_the_reference(cli: Cli) -> None:
    assert cli("run", "app.py::greedy", "--timeout", "3", "--json").out == "3 True\n"
    assert cli("run", "--json", "--timeout", "9", "app.py::greedy", "--timeout", "3").out == '"3 False"\n'
    assert (
        "Written before app.py::greedy, --json and --timeout is that"
        in cli("run", "app.py::greedy", "-h").out
    )

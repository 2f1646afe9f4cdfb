"""`fchains run`: what is called, what is printed, and with which exit code it ends."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

APP = """\
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pydantic import BaseModel
from fchains import WorkerLost, batched, chainlet, setup, use

print("imported")

class Point(BaseModel):
    x: int
    label: str = "é"

@chainlet
def greet(name: str, language: str = "en") -> str:
    print("greeting", name)
    return f"{language} {name}"

@chainlet
def nothing() -> None: print("done")

@chainlet
def point(x: int) -> Point: return Point(x=x)

@chainlet
def points(x: int) -> list[Point]: return [Point(x=x)]

@chainlet
def numbers() -> list[float]: return [1, 0.5]

@chainlet
def day() -> date: return date(2024, 2, 29)

@chainlet
def backwards(data: bytes) -> bytes: return data[::-1]

@chainlet
async def count(upto: int, fail_at: int = -1) -> AsyncIterator[int]:
    for value in range(upto):
        if value == fail_at:
            raise ValueError("enough")
        yield value

@chainlet
async def pairs() -> AsyncIterator[Point]:
    yield Point(x=1)

@chainlet
async def total(values: AsyncIterator[int]) -> int: return sum([value async for value in values])

@chainlet
@batched(max_size=8, max_wait=0.01)
def lengths(texts: list[str]) -> list[int]: return [len(text) for text in texts]

def look_up(key: str) -> int:
    return {"a": 1}[key]

@chainlet
def broken(key: str) -> int: return look_up(key)

@chainlet
async def outer(key: str) -> int: return await broken.remote(key)

@chainlet
def lost() -> int: raise WorkerLost("mine")

@setup
def bad() -> int: return 1 // 0

@chainlet
def cannot_start(*, x: int = use(bad)) -> int: return x

@chainlet
async def forever() -> int:
    await asyncio.Event().wait()
    return 1

@chainlet
def lies() -> int: return "no"

@chainlet
async def misuses() -> int: return await broken.remote(1)

@chainlet
def leaves() -> int: sys.exit(7)
"""


@pytest.fixture
def app(folder: Path) -> Path:
    (folder / "app.py").write_text(APP, encoding="utf-8")
    return folder


def result(text: str) -> str:
    """What a command printed, without the line that the import prints."""
    assert text.startswith("imported\n")
    return text.removeprefix("imported\n")


@pytest.mark.usefixtures("app")
class TestResults:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("app.py::greet", "--name", "Ada"), "greeting Ada\nen Ada\n"),
            (("app:greet", "--name", "Ada"), "greeting Ada\nen Ada\n"),
            (("app.py::nothing",), "done\n"),
            (("app.py::point", "--x", "1"), '{\n  "x": 1,\n  "label": "é"\n}\n'),
            (("app.py::numbers",), "[1.0, 0.5]\n"),
            (("app.py::day",), "2024-02-29\n"),
            (("app.py::count", "--upto", "2", "-q"), "0\n1\n"),
            (("app.py::pairs", "-q"), '{"x": 1, "label": "é"}\n'),
            (("app.py::lengths", "--texts", "abc"), "3\n"),
        ],
    )
    def test_a_result_as_text(self, cli: Cli, arguments: tuple[str, ...], text: str) -> None:
        done = cli("run", *arguments)

        assert (done.code, result(done.out), done.err) == (0, text, "")

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("app.py::greet", "--name", "Ada"), '"en Ada"\n'),
            (("app.py::nothing",), "null\n"),
            (("app.py::points", "--x", "1"), '[{"x":1,"label":"é"}]\n'),
            (("app.py::count", "--upto", "2"), "0\n1\n"),
            (("app.py::backwards", "--data", "data.bin"), '"Y2Jh"\n'),
        ],
    )
    def test_with_json_standard_output_holds_the_result_and_nothing_else(
        self, cli: Cli, folder: Path, arguments: tuple[str, ...], text: str
    ) -> None:
        (folder / "data.bin").write_bytes(b"abc")

        done = cli("run", *arguments, "--json")

        assert (done.code, done.out) == (0, text)
        assert done.err.startswith("imported\n")

    def test_bytes_come_as_they_are(self, cli: Cli) -> None:
        assert cli("run", "app.py::backwards", "--data", "-", stdin=b"abc").out == "imported\ncba"

    def test_a_result_may_go_to_a_file(self, cli: Cli, folder: Path) -> None:
        done = cli("run", "app.py::backwards", "--data", "-", "-o", "out.bin", stdin=b"\x01\xff")

        assert (done.out, (folder / "out.bin").read_bytes()) == ("imported\n", b"\xff\x01")

    def test_json_may_go_to_a_file_while_prints_stay_on_standard_output(self, cli: Cli, folder: Path) -> None:
        done = cli("run", "app.py::greet", "--name", "é", "--json", "--output", "out.json")

        assert (folder / "out.json").read_text(encoding="utf-8") == '"en é"\n'
        assert done.out == "greeting é\n"

    def test_a_file_that_cannot_be_written_is_refused_before_the_call(self, cli: Cli) -> None:
        done = cli("run", "app.py::greet", "--name", "Ada", "-o", "nowhere/out")

        assert (done.code, result(done.out)) == (2, "")
        assert done.err == "error: --output: cannot write 'nowhere/out': No such file or directory\n"

    def test_the_number_of_items_is_told_on_standard_error(self, cli: Cli) -> None:
        assert cli("run", "app.py::count", "--upto", "3").err.startswith("3 items in 0.")


@pytest.mark.usefixtures("app")
class TestMap:
    def test_each_line_is_a_call_and_results_come_in_order(self, cli: Cli) -> None:
        done = cli("run", "app.py::lengths", "--map", "-", stdin='"abc"\n\n"a"\n"ab"')

        assert result(done.out) == "3\n1\n2\n"
        assert done.err.startswith("3 results in ")

    def test_other_parameters_are_the_same_for_all(self, cli: Cli, folder: Path) -> None:
        (folder / "names").write_text('"A"\n"B"\n')

        done = cli("run", "app.py::greet", "--map", "names", "--language", "fr", "--json", "-q")

        assert done.out == '"fr A"\n"fr B"\n'

    def test_a_bad_line_is_named_after_the_results_before_it(self, cli: Cli) -> None:
        done = cli("run", "app.py::lengths", "--map", "-", "-q", stdin='"abc"\n3\n')

        assert (done.code, result(done.out)) == (2, "3\n")
        assert done.err == "error: --map -, line 2: Input should be a valid string\n"

    def test_the_first_failure_ends_it(self, cli: Cli) -> None:
        done = cli("run", "app.py::broken", "--map", "-", "-q", stdin='"a"\n"b"\n')

        assert (done.code, result(done.out)) == (1, "1\n")
        assert done.err.endswith("KeyError: 'b'\n")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("app.py::count",), "--map needs a function, and count is a generator"),
            (("app.py::nothing",), "--map needs a first parameter to give the lines to: nothing()"),
            (("app.py::greet", "--name", "A"), "--map gives --name already"),
        ],
    )
    def test_what_cannot_be_mapped(self, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
        done = cli("run", *arguments, "--map", "-")

        assert (done.code, done.err) == (2, f"error: {message}\n")


@pytest.mark.usefixtures("app")
class TestStreamedParameters:
    def test_lines_of_json_become_items(self, cli: Cli, folder: Path) -> None:
        (folder / "values").write_text("1\n\n2\n")

        assert result(cli("run", "app.py::total", "--values", "values").out) == "3\n"
        assert cli("run", "app.py::total", "--values", "-", stdin="4\n5").out == "9\n"

    def test_a_bad_line_is_named(self, cli: Cli) -> None:
        done = cli("run", "app.py::total", "--values", "-", stdin="1\nx\n")

        assert done.code == 2
        assert done.err.startswith("error: --values -, line 2: Invalid JSON")

    def test_they_may_stand_in_the_input_object(self, cli: Cli) -> None:
        assert cli("run", "app.py::total", "--input", "-", "--json", stdin='{"values": [1, 2]}').out == "3\n"

    def test_the_input_object_must_hold_a_list_of_items_that_fit(self, cli: Cli) -> None:
        assert cli("run", "app.py::total", "--input", "-", stdin='{"values": 1}').code == 2
        assert cli("run", "app.py::total", "--input", "-", stdin='{"values": ["x"]}').code == 2


@pytest.mark.usefixtures("app")
class TestFailures:
    def test_a_traceback_of_user_code_has_no_frame_of_ours(self, cli: Cli, folder: Path) -> None:
        done = cli("run", "app.py::outer", "--key", "b")

        assert done.code == 1
        assert done.err.startswith("Traceback (most recent call last):\n")
        assert done.err.endswith("KeyError: 'b'\n")
        assert "in outer" in done.err
        assert "in look_up" in done.err
        assert f"fchains{'/'}" not in done.err.replace(str(folder), "")

    def test_every_frame_where_one_asks_for_it(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FCHAINS_TRACEBACK", "full")

        assert "fchains/cli/calling.py" in cli("run", "app.py::broken", "--key", "b").err

    def test_items_before_a_failure_are_printed(self, cli: Cli) -> None:
        done = cli("run", "app.py::count", "--upto", "9", "--fail-at", "2", "-q")

        assert (done.code, result(done.out)) == (1, "0\n1\n")
        assert done.err.endswith("ValueError: enough\n")

    def test_our_own_class_raised_by_user_code_is_a_failure_of_user_code(self, cli: Cli) -> None:
        done = cli("run", "app.py::lost")

        assert done.code == 1
        assert done.err.endswith("WorkerLost: mine\n")

    def test_a_program_that_exits_is_a_failure_of_user_code(self, cli: Cli) -> None:
        assert cli("run", "app.py::leaves").code == 1

    def test_a_failed_setup_shows_what_it_raised(self, cli: Cli) -> None:
        done = cli("run", "app.py::cannot_start")

        assert done.code == 4
        assert "in bad" in done.err
        assert "\nZeroDivisionError: " in done.err
        assert done.err.splitlines()[-1].startswith("error: SetupError: bad ")

    def test_a_timeout_is_a_failure_of_the_machinery(self, cli: Cli) -> None:
        done = cli("run", "app.py::forever", "--timeout", "0.05")

        assert done.code == 4
        assert done.err.startswith("error: CallTimeout: forever ")

    def test_a_result_of_the_wrong_type_is_told_without_a_traceback(self, cli: Cli) -> None:
        done = cli("run", "app.py::lies")

        assert done.code == 4
        assert done.err.startswith("error: InvalidResult: the result of lies")
        assert done.err.endswith("got 'no' (str)\n")

    def test_an_error_of_ours_names_the_callee_and_the_line_of_the_call(self, cli: Cli, app: Path) -> None:
        done = cli("run", "app.py::misuses")

        line = (app / "app.py").read_text().split("broken.remote(1)")[0].count("\n") + 1
        assert done.code == 4
        assert done.err.startswith("error: InvalidArguments: broken: `key`: ")
        assert done.err.endswith(f"/app.py:{line}, in misuses\n")

    def test_an_unknown_runner(self, cli: Cli) -> None:
        done = cli("run", "app.py::nothing", "--runner", "inlin")

        assert done.code == 4
        assert "Did you mean 'inline'?" in done.err

    def test_a_timeout_that_is_none(self, cli: Cli) -> None:
        done = cli("run", "app.py::nothing", "--timeout", "0")

        assert (done.code, done.err) == (2, "error: --timeout is a number of seconds above 0, not 0\n")


def test_mistakes_in_definitions_are_told_before_anything_runs(cli: Cli, folder: Path) -> None:
    (folder / "app.py").write_text(
        "from fchains import chainlet\n@chainlet\ndef f() -> None: print('ran')\n"
        "@chainlet\ndef g(x) -> int: ...\n@chainlet(gpu='A10')\ndef h() -> int: ...\n"
    )

    done = cli("run", "app.py::f")

    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("2 problems\n")


@pytest.mark.usefixtures("app")
def test_several_candidates_for_the_entrypoint_are_listed(cli: Cli) -> None:
    done = cli("run", "app.py")

    assert done.code == 2
    assert done.err.startswith("error: app.py has several chainlets and no marked entrypoint; name one:\n")
    assert "  fchains run app.py::greet\n" in done.err
    assert "::broken" not in done.err  # it is called by another


@pytest.mark.usefixtures("app")
def test_a_name_that_is_not_there_gets_a_close_match(cli: Cli) -> None:
    done = cli("run", "app.py::gret", "--name", "Ada")

    assert done.code == 2
    assert "Did you mean `greet`?" in done.err


def test_the_entrypoint_needs_no_name(cli: Cli, folder: Path) -> None:
    (folder / "app.py").write_text(
        "from fchains import chainlet\n@chainlet\ndef f() -> int: return 1\n"
        "@chainlet\nasync def main() -> int: return await f.remote()\n"
    )

    assert json.loads(cli("run", "app.py", "--json").out) == 1

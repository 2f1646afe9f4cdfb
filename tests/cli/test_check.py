import json
from pathlib import Path

from tests.cli.conftest import Cli

WRONG = """\
from __future__ import annotations
from threading import Lock
from fchains import chainlet, use

@chainlet(gpu="A10")
def gpu(x: int) -> int: ...

@chainlet(memroy="8GiB")
def misspelt(x: int) -> int: ...

@chainlet
def bare(x) -> int: ...

@chainlet
def without_result(x: int): ...

@chainlet
def locked(x: Lock) -> int: ...

@chainlet
def default(x: int = "a") -> int: ...

@chainlet(timeout=-1)
def timeout(x: int) -> int: ...

@chainlet
def injected(x: int, *, model: int = use(print)) -> int: ...

@chainlet
def unknown(x: Nope) -> int: ...

@chainlet(name="gpu")
def same_name(x: int) -> int: ...
"""
RIGHT = """\
from fchains import chainlet, setup, use

@setup
def one() -> int: return 1

@setup
def two(*, first: int = use(one)) -> int: return 2

@chainlet
def f(x: int, *, n: int = use(two)) -> int: return x + n

@chainlet
def g(x: int, *, n: int = use(two)) -> int: return f(x)
"""


def test_all_problems_of_a_file_are_reported_at_once_each_with_its_place(cli: Cli, folder: Path) -> None:
    (folder / "wrong.py").write_text(WRONG)

    done = cli("check", "wrong.py")

    assert done.code == 3
    places = [line.split(": ")[0] for line in done.out.splitlines() if line.startswith("wrong.py:")]
    assert [int(place.split(":")[1]) for place in places] == [6, 9, 12, 15, 18, 21, 24, 27, 30, 33]
    assert "Did you mean 'A10G'?" in done.out
    assert done.out.endswith("10 problems in 1 file\n")


def test_problems_of_several_files_come_together(cli: Cli, folder: Path) -> None:
    (folder / "a.py").write_text("from fchains import chainlet\n@chainlet\ndef f(x) -> int: ...\n")
    (folder / "b.py").write_text("def f(:\n")

    done = cli("check", "a.py", "b.py")

    assert (done.code, done.out.splitlines()[-1]) == (3, "2 problems in 2 files")
    assert "a.py:3: f: `x` has no annotation\n    write" in done.out
    assert "b.py:1: `def f(:` does not parse" in done.out


def test_a_file_without_mistakes_is_counted(cli: Cli, folder: Path) -> None:
    (folder / "right.py").write_text(RIGHT)

    assert cli("check", "right.py").out == "ok: 2 chainlets, 2 resources\n"
    assert cli("check", "right.py", "right.py").code == 0


def test_problems_as_json(cli: Cli, folder: Path) -> None:
    (folder / "a.py").write_text("from fchains import chainlet\n@chainlet\ndef f(x) -> int: ...\n")

    done = cli("check", "a.py", "--json")

    assert done.code == 3
    report = json.loads(done.out)
    assert report["chainlets"] == 1
    [problem] = report["problems"]
    assert (problem["line"], problem["subject"]) == (3, "f")
    assert problem["hint"].startswith("write")


def test_no_problems_as_json(cli: Cli, folder: Path) -> None:
    (folder / "right.py").write_text(RIGHT)

    assert json.loads(cli("check", "right.py", "--json").out) == {
        "problems": [],
        "chainlets": 2,
        "resources": 2,
    }


def test_an_unknown_file_is_wrong_usage_with_a_close_match(cli: Cli, folder: Path) -> None:
    (folder / "right.py").write_text(RIGHT)

    done = cli("check", "rihgt.py")

    assert (done.code, done.out) == (2, "")
    assert done.err == "error: no such file: rihgt.py\n    did you mean right.py?\n"


def test_an_import_that_fails_is_a_problem_and_no_traceback(cli: Cli, folder: Path) -> None:
    (folder / "fails.py").write_text("x = 1\nx / 0\n")

    done = cli("check", "fails.py")

    assert done.code == 3
    assert done.out.startswith("fails.py:2: `x / 0` raised ZeroDivisionError")
    assert "Traceback" not in done.out + done.err


def test_a_missing_sibling_is_found_inside_functions_too(cli: Cli, folder: Path) -> None:
    (folder / "pyproject.toml").touch()
    (folder / "helper.py").touch()
    (folder / "lazy.py").write_text(
        "from fchains import chainlet\n@chainlet\ndef f() -> int:\n    import helpr\n    return 1\n"
    )

    done = cli("check", "lazy.py")

    assert done.code == 3
    assert "lazy.py:4:" in done.out
    assert "'helper'" in done.out

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import pytest

from fchains.definition.problems import (
    BadValue,
    Problem,
    caller_place,
    close_match,
    collecting,
    did_you_mean,
    parse_each,
    place_of,
    report,
    shown,
)
from fchains.errors import DefinitionError


def decorated(*_: object) -> Callable[[Callable[..., object]], Callable[..., object]]:
    return lambda function: function


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def inner(*args: object) -> object:
        return function(*args)

    return inner


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.strip().startswith(text)]
    return number


@decorated()
@decorated(
    "several",
    "lines",
)
def multiplied(x: int) -> int:
    return x


@decorated()
async def awaited() -> None: ...


@wrapped
def disguised() -> None: ...


@decorated()
class Model:
    def __init__(self) -> None: ...


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


ONE = Problem("is wrong", "write it right", "app.py", 3, "f")


def test_a_problem_reads_as_place_subject_message_and_an_indented_hint() -> None:
    assert str(ONE) == "app.py:3: f: is wrong\n    write it right"
    assert str(Problem("is wrong", "two\nlines")) == "is wrong\n    two\n    lines"
    assert str(Problem("is wrong", file="app.py")) == "app.py: is wrong"


def test_a_file_below_the_working_directory_is_shown_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Problem("x", file=str(tmp_path / "src" / "a.py"), line=1)) == "src/a.py:1: x"
    assert str(Problem("x", file=str(tmp_path.parent / "a.py"), line=1)) == f"{tmp_path.parent}/a.py:1: x"
    assert str(Problem("x", file="<ipython-input-1>", line=1)) == "<ipython-input-1>:1: x"


def test_report_raises_all_problems_at_once() -> None:
    with pytest.raises(DefinitionError, match=r"(?s)app\.py:3: f: is wrong.*also wrong") as raised:
        report([ONE, Problem("also wrong")])
    assert raised.value.problems == (ONE, Problem("also wrong"))


def test_report_of_no_problem_does_nothing() -> None:
    report([])


def test_collected_problems_are_not_raised() -> None:
    with collecting() as problems:
        report([ONE])
        report([Problem("also wrong")])
    assert problems == [ONE, Problem("also wrong")]


def test_nested_collections_are_separate_and_end_with_their_blocks() -> None:
    with collecting() as outer:
        with collecting() as inner:
            report([ONE])
        assert (inner, outer) == ([ONE], [])
    with pytest.raises(DefinitionError):
        report([ONE])


def test_a_collection_ends_also_when_its_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), collecting():
        raise ZeroDivisionError
    with pytest.raises(DefinitionError):
        report([ONE])


def test_another_thread_does_not_collect() -> None:
    raised: list[DefinitionError] = []

    def declare() -> None:
        try:
            report([ONE])
        except DefinitionError as error:
            raised.append(error)

    with collecting() as problems:
        thread = threading.Thread(target=declare)
        thread.start()
        thread.join()
    assert problems == []
    assert len(raised) == 1


@pytest.mark.parametrize(
    ("thing", "head"),
    [
        (multiplied, "def multiplied"),
        (awaited, "async def awaited"),
        (disguised, "def disguised"),
        (functools.partial(multiplied, 1), "def multiplied"),
        (Model, "class Model"),
        (Model.__init__, "def __init__"),
    ],
)
def test_the_place_of_a_function_is_its_def(thing: Callable[..., object], head: str) -> None:
    assert place_of(thing) == (__file__, line_of(head))


def test_the_place_of_a_lambda_is_its_line() -> None:
    assert place_of(lambda: 1) == (__file__, line_of("assert place_of(lambda: 1)"))


def test_what_has_no_source_has_no_place() -> None:
    typed_in = FunctionType(multiplied.__code__.replace(co_filename="<stdin>"), {})
    for thing in (len, typed_in, int, functools.partial(len)):
        assert place_of(thing) == ("<unknown>", 0)


def test_the_callers_place_is_the_first_frame_outside_fchains() -> None:
    frame = inspect.currentframe()
    assert frame is not None
    assert caller_place() == (__file__, frame.f_lineno)


@pytest.mark.parametrize(
    ("word", "match"),
    [("memroy", "memory"), ("GPUS", "gpu"), ("retrys", "retries"), ("banana", None), ("", None)],
)
def test_close_matches_ignore_case(word: str, match: str | None) -> None:
    assert close_match(word, ["memory", "gpu", "retries"]) == match


def test_did_you_mean_is_a_sentence_or_nothing() -> None:
    assert did_you_mean("a10", ["A10G", "T4"], quote="'") == ". Did you mean 'A10G'?"
    assert did_you_mean("banana", ["A10G"]) == ""


def test_parse_each_names_every_faulty_item() -> None:
    def number(value: object) -> int:
        if not isinstance(value, int):
            raise BadValue(f"is {value}")
        return value

    assert parse_each(number, [1, 2]) == (1, 2)
    with pytest.raises(ExceptionGroup) as raised:
        parse_each(number, ["a", 1, "b"])
    assert [str(fault) for fault in raised.value.exceptions] == ["is a", "is b"]


def test_a_value_is_shown_short_even_if_its_repr_fails() -> None:
    assert shown("x") == "'x'"
    assert len(shown("x" * 1000)) == 80
    assert "Broken" in shown(Broken())

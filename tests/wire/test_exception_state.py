from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace
from typing import Annotated

import pydantic
import pytest
from pydantic_core import PydanticCustomError

from fchains.definition.problems import Problem
from fchains.errors import (
    CallTimeout,
    DefinitionError,
    HTTPError,
    InvalidArguments,
    Overloaded,
    WorkerLost,
)
from fchains.wire.failures import Failure, exception_of, failure_of
from tests.wire.raisers import (
    LOOKUP,
    Base,
    Both,
    Comparable,
    Counting,
    Elsewhere,
    Frozen,
    Mixed,
    Named,
    Page,
    Parametrised,
    Several,
    Silent,
    Slotted,
    raised_by,
    remote,
    travel,
    travel_as,
)


def test_an_exception_whose_init_takes_other_arguments_arrives_whole() -> None:
    arrived = travel_as(Several("a.txt", line=3))
    assert (arrived.path, arrived.line) == ("a.txt", 3)
    assert travel_as(Silent(7)).code == 7


def test_no_init_of_a_user_runs_again() -> None:
    error = Counting()
    before = Counting.made
    travel_as(error)
    assert Counting.made == before


def test_slots_arrive_and_empty_ones_stay_empty() -> None:
    arrived = travel_as(Slotted([1]))
    assert (arrived.shown, arrived.none, arrived.hidden) == ([1], None, 3)
    assert not hasattr(arrived, "empty")


def test_dataclass_exceptions_arrive_frozen_or_not() -> None:
    assert travel_as(Comparable(3)) == Comparable(3)
    arrived = travel(Frozen(3, [Page(number=1)]))
    assert isinstance(arrived, Frozen)
    assert (arrived.code, arrived.pages) == (3, [Page(number=1)])


def test_generic_exceptions_and_several_bases_arrive() -> None:
    travel_as(Parametrised[int]("x"))
    travel_as(Mixed("x"))
    travel_as(Both("missing"))
    travel_as(Base("x"))
    assert isinstance(travel_as(CallTimeout("late")), TimeoutError)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("name"),
        IndexError(),
        ZeroDivisionError("x"),
        WorkerLost("killed by SIGKILL"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        UnicodeEncodeError("ascii", "é", 0, 1, "no"),
        OSError("only text"),
        BlockingIOError(11, "busy", 5),
        json.JSONDecodeError("bad", "{", 1),
        subprocess.CalledProcessError(2, ["ls"], b"out", b"err"),
        asyncio.IncompleteReadError(b"ab", 5),
        SyntaxError("bad", ("f.py", 1, 2, "x =", 1, 3)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_standard_library_arrive_whole(error: Exception) -> None:
    assert vars(travel_as(error)) == vars(error)


def test_an_os_error_keeps_its_number_and_files() -> None:
    error = OSError(2, "No such file", "/a", None, "/b")
    arrived = travel_as(error)
    assert type(arrived) is FileNotFoundError
    assert (arrived.errno, arrived.strerror, arrived.filename, arrived.filename2) == (
        2,
        "No such file",
        "/a",
        "/b",
    )
    assert travel_as(BlockingIOError(11, "busy", 5)).characters_written == 5


def test_a_file_name_that_is_not_unicode_arrives() -> None:
    assert travel_as(FileNotFoundError(2, "No such file", "/x/\udcff")).filename == "/x/\udcff"
    travel_as(ValueError("half a character: \ud800"))


def test_the_fields_of_other_built_in_classes_arrive() -> None:
    imported = travel_as(ImportError("x", name="a.b", path="/p"))
    assert (imported.name, imported.path) == ("a.b", "/p")
    assert travel_as(AttributeError("x", name="y", obj=object())).name == "y"
    named = travel_as(Named("a.txt", UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "bad")))
    assert (named.path, named.start, named.object) == ("a.txt", 2, b"ab\xff")


def test_the_message_of_a_key_error_is_quoted_once() -> None:
    assert str(travel(KeyError("name"))) == "'name'"
    assert str(travel(Both("name"), Elsewhere(Both))) == "'name'"


def test_fchains_own_errors_arrive_with_their_attributes() -> None:
    status = travel_as(HTTPError(404, "no such page"))
    assert (status.status, status.detail) == (404, "no such page")
    assert travel_as(Overloaded("full", 2.5)).retry_after == 2.5
    problem = Problem("wrong", "write this", "a.py", 3, "f")
    assert travel_as(DefinitionError(problems=[problem])).problems == (problem,)
    errors: list[dict[str, object]] = [{"loc": ("x", 0), "ctx": {"error": ValueError("bad")}}]
    arrived = travel_as(InvalidArguments("no", errors))
    assert isinstance(arrived.errors[0]["ctx"], dict)
    assert repr(arrived.errors) == repr(errors)


class Form(pydantic.BaseModel):
    number: int
    items: list[int] = []
    code: int = 0
    word: str = ""

    @pydantic.field_validator("code")
    @classmethod
    def _check(cls, value: int) -> int:
        if value > 1:
            raise ValueError("must be {small}")
        if value:
            raise PydanticCustomError("too_{much}", "it is {n} {{times}} too much", {"n": value})
        return value

    @pydantic.field_validator("word")
    @classmethod
    def _check_word(cls, value: str) -> str:
        assert value != "no", "not no"
        return value


class Hidden(Form):
    model_config = pydantic.ConfigDict(hide_input_in_errors=True)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"number": "x", "items": [1, null], "code": 1, "word": "no"}',
        '{"number": 1, "items": {}, "code": 2}',
    ],
)
@pytest.mark.parametrize("model", [Form, Hidden])
def test_a_validation_error_arrives_whole(model: type[Form], text: str) -> None:
    for error in (
        raised_by(lambda: model.model_validate_json(text)),
        raised_by(lambda: model.model_validate(json.loads(text))),
    ):
        assert isinstance(error, pydantic.ValidationError)
        arrived = travel_as(error)
        assert repr(arrived.errors()) == repr(error.errors())
        assert arrived.title == error.title


def test_a_validation_error_that_cannot_be_made_again_arrives_as_a_remote_error() -> None:
    error = raised_by(lambda: Form.model_validate({}))
    failure = failure_of(error)
    record = failure.exceptions[0]
    reworded = replace(record, values=record.values.replace('"msg":"', '"msg":"other '))
    arrived = remote(exception_of(Failure((reworded,)), LOOKUP))
    assert arrived.type_name == "pydantic_core._pydantic_core:ValidationError"
    assert str(arrived) == str(error)


def test_a_validation_error_with_a_context_that_cannot_be_listed_arrives_with_its_text() -> None:
    class Odd:
        def __deepcopy__(self, _memo: object) -> object:
            raise TypeError("no copies")

    def fail(_value: object) -> object:
        raise PydanticCustomError("odd", "it is {value}", {"value": Odd()})

    checked = Annotated[int, pydantic.AfterValidator(fail)]
    adapter: pydantic.TypeAdapter[int] = pydantic.TypeAdapter(checked)
    error = raised_by(lambda: adapter.validate_python(3))
    assert str(travel(error)).splitlines()[0] == str(error).splitlines()[0]

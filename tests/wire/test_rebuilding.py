from __future__ import annotations

import asyncio
import types

import numpy as np
import pytest

from fchains.errors import (
    RemoteError,
)
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import ExceptionRecord, Failure, exception_of, failure_of
from tests.wire.raisers import (
    HERE,
    LOOKUP,
    Elsewhere,
    MyGroup,
    Page,
    Refusing,
    Several,
    Silent,
    members_of,
    remote,
    travel,
    travel_as,
)


def test_a_member_that_is_control_flow_arrives_as_a_remote_error() -> None:
    arrived = travel(BaseExceptionGroup("g", [KeyboardInterrupt(), ValueError(1)]))
    assert [type(each) for each in members_of(arrived)] == [RemoteError, ValueError]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (SystemExit(3), "builtins:SystemExit"),
        (KeyboardInterrupt(), "builtins:KeyboardInterrupt"),
        (GeneratorExit(), "builtins:GeneratorExit"),
        (StopIteration(3), "builtins:StopIteration"),
        (StopAsyncIteration(), "builtins:StopAsyncIteration"),
        (asyncio.CancelledError("why"), "asyncio.exceptions:CancelledError"),
    ],
)
def test_control_flow_arrives_as_a_remote_error(error: BaseException, name: str) -> None:
    arrived = remote(travel(error))
    assert arrived.type_name == name
    assert str(arrived) == str(error)
    assert remote(travel(arrived)).type_name == name


def test_a_class_unknown_here_arrives_as_a_remote_error() -> None:
    error = Several("a", line=1)
    error.__cause__ = KeyError("b")
    error.add_note("n")
    arrived = remote(travel(error, Elsewhere(Several)))
    assert arrived.type_name == f"{HERE}:Several"
    assert arrived.args == ("a is wrong in line 1",)
    assert arrived.__notes__ == ["n", f"raised as {HERE}.Several"]
    assert isinstance(arrived.__cause__, KeyError)


def test_only_exception_classes_are_made() -> None:
    for name in (
        "subprocess:Popen",
        f"{HERE}:NotAnError",
        f"{HERE}:travel",
        "os",
        "",
        "a:b:c",
        "no:No",
    ):
        arrived = exception_of(Failure((ExceptionRecord(name, "text"),)), LOOKUP)
        assert remote(arrived).type_name == name
        assert str(arrived) == "text"


def test_a_remote_error_passes_the_original_on_over_further_hops() -> None:
    error = MyGroup("g", [Several("a", line=1)])
    error.data = np.arange(3)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    error.__cause__ = Silent(4)
    lacking = Elsewhere(MyGroup, Several, Silent)
    second = remote(travel(remote(travel(error, lacking)), lacking))
    second.add_note("seen")
    assert second.type_name == f"{HERE}:MyGroup"
    arrived = travel(second)
    assert isinstance(arrived, MyGroup)
    assert arrived.__notes__ == ["seen"]
    (member,) = arrived.exceptions
    assert isinstance(member, Several)
    assert (member.path, member.line) == ("a", 1)
    assert vars(arrived)["data"].tolist() == [0, 1, 2]
    assert isinstance(arrived.__cause__, Silent)
    assert arrived.__cause__.code == 4


def test_a_remote_error_that_a_user_raised_is_one() -> None:
    assert travel_as(RemoteError("x", "a:B")).type_name == "a:B"


def test_a_class_that_cannot_be_made_arrives_as_a_remote_error() -> None:
    arrived = travel(types.new_class("Refused", (Exception,))("x"))
    assert remote(arrived).type_name.endswith(":Refused")


def test_a_constructor_of_the_class_does_not_run() -> None:
    error = Refusing("x")
    Refusing.closed = True
    try:
        assert type(travel(error)) is Refusing
    finally:
        Refusing.closed = False


def test_a_value_whose_class_is_unknown_here_becomes_a_text() -> None:
    arrived = travel(ValueError(Page(number=1), "fine"), Elsewhere(Page))
    assert arrived.args == (f"<{HERE}:Page, which this process does not know>", "fine")


def test_a_class_defined_in_a_function_arrives_where_it_is_known() -> None:
    class Local(Exception):
        pass

    assert isinstance(travel(Local("x"), ClassLookup([Local])), Local)
    assert remote(travel(Local("x"))).type_name.endswith("<locals>.Local")


def test_each_caller_gets_an_exception_of_its_own() -> None:
    failure = failure_of(Several("a", line=1))
    first, second = exception_of(failure, LOOKUP), exception_of(failure, LOOKUP)
    assert first is not second
    first.add_note("x")
    assert not hasattr(second, "__notes__")


@pytest.mark.parametrize(
    "values",
    [
        "",
        "3",
        "[]",
        '{"args":3,"state":{}}',
        '{"args":[{"$":"exception","v":9}],"state":{}}',
        '{"args":[{"$":"exception"}],"state":{}}',
        '{"args":[{"$":"model","c":"os:system","v":{}}],"state":{"__class__":3,"__dict__":4}}',
        '{"args":[{"$":"surrogates","v":"x"}],"state":{"args":3,"__cause__":3}}',
    ],
)
@pytest.mark.parametrize(
    "name", ["builtins:OSError", "builtins:ExceptionGroup", "builtins:UnicodeDecodeError"]
)
def test_malformed_values_still_make_an_exception(values: str, name: str) -> None:
    arrived = exception_of(Failure((ExceptionRecord(name, "text", values),)), LOOKUP)
    assert isinstance(arrived, OSError | UnicodeDecodeError | RemoteError)


def test_a_group_that_contains_itself_becomes_a_remote_error() -> None:
    values = '{"args":[],"state":{"message":"g","exceptions":[{"$":"exception","v":0}]}}'
    record = ExceptionRecord("builtins:ExceptionGroup", "text", values, held=(0,))
    arrived = exception_of(Failure((record,)), LOOKUP)
    assert isinstance(arrived, ExceptionGroup | RemoteError)

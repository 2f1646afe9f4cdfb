from __future__ import annotations

from tests.wire.raisers import Color, MyGroup, Page, Several, Silent, members_of, travel, travel_as


def test_an_exception_keeps_its_class_args_and_attributes() -> None:
    error = ValueError("bad", 3, None, 2.5, {"a": [1, (2,)]}, b"\x00", Color.RED, Page(number=4))
    error.extra = {1, 2}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert vars(travel_as(error)) == {"extra": {1, 2}}


def test_exceptions_in_args_and_attributes_arrive_as_exceptions() -> None:
    inner = Several("a", line=1)
    error = Silent(2)
    error.causes = {"a": [inner, inner]}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    error.args = (inner,)
    arrived = travel(error)
    (one, same) = vars(arrived)["causes"]["a"]
    assert type(one) is Several
    assert one.path == "a"
    assert one is same is arrived.args[0]


def test_notes_cause_and_context_arrive() -> None:
    error, cause, context = ValueError("a"), KeyError("b"), OSError("c")
    error.__cause__, error.__context__ = cause, context
    error.add_note("first")
    error.add_note("second")
    context.__context__ = cause
    arrived = travel(error)
    assert arrived.__notes__ == ["first", "second"]
    assert repr(arrived.__cause__) == repr(cause)
    assert repr(arrived.__context__) == repr(context)
    assert arrived.__suppress_context__
    assert arrived.__context__ is not None
    assert arrived.__context__.__context__ is arrived.__cause__


def test_raise_from_none_stays_so() -> None:
    error = ValueError("a")
    error.__context__ = KeyError("b")
    error.__suppress_context__ = True
    arrived = travel(error)
    assert arrived.__cause__ is None
    assert isinstance(arrived.__context__, KeyError)
    assert arrived.__suppress_context__


def test_cycles_close_again() -> None:
    error, other = Silent(1), ValueError("b")
    error.__cause__, other.__context__ = other, error
    error.me = error  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    arrived = travel(error)
    assert arrived.__cause__ is not None
    assert arrived.__cause__.__context__ is arrived
    assert vars(arrived)["me"] is arrived


def test_groups_arrive_with_their_members() -> None:
    inner = MyGroup("inner", [KeyError("b")])
    inner.label = "x"
    all_of_them: list[Exception] = [Several("a", line=1), inner, ValueError(inner)]
    error = ExceptionGroup("outer", all_of_them)
    error.add_note("n")
    arrived = travel(error)
    assert type(arrived) is ExceptionGroup
    assert str(arrived) == "outer (3 sub-exceptions)"
    first, second, third = members_of(arrived)
    assert isinstance(first, Several)
    assert type(second) is MyGroup
    assert second.label == "x"
    assert repr(members_of(second)) == "(KeyError('b'),)"
    assert third.args == (second,)
    assert arrived.args == ("outer", [first, second, third])


def test_groups_nested_without_end_still_arrive() -> None:
    error: Exception = ValueError("core")
    for _ in range(250):
        members: list[Exception] = [error]
        error = ExceptionGroup("g", members)
    assert str(travel(error)) == "g (1 sub-exception)"

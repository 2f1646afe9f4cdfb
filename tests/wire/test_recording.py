from __future__ import annotations

import gc
import threading
import weakref

import numpy as np

from fchains.wire.failures import Failure, exception_of, failure_of
from tests.wire.raisers import (
    HERE,
    LOOKUP,
    Elsewhere,
    Guarded,
    Many,
    Mute,
    Page,
    Several,
    Silent,
    Text,
    members_of,
    travel,
)


def test_arrays_arrive_and_are_no_view_of_the_senders() -> None:
    error = Silent(1)
    array = error.mask = np.arange(4)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    failure = failure_of(error)
    array[0] = 9
    first, second = (vars(exception_of(failure, LOOKUP))["mask"] for _ in range(2))
    first[1] = 9
    assert second.tolist() == [0, 1, 2, 3]


def test_a_chain_of_causes_is_bounded() -> None:
    error = last = ValueError(0)
    for number in range(1, 5000):
        last.__cause__ = last = ValueError(number)
    arrived: BaseException | None = travel(error)
    length = 0
    while arrived is not None:
        arrived, length = arrived.__cause__, length + 1
    assert length == 256


def test_a_group_of_very_many_arrives_with_some_of_them() -> None:
    arrived = travel(ExceptionGroup("g", [ValueError(number) for number in range(1000)]))
    *members, last = members_of(arrived)
    assert [each.args for each in members] == [(number,) for number in range(255)]
    assert str(last) == "745 more exceptions were left out"
    assert arrived.args[1] == [*members, last]


def test_args_that_cannot_travel_become_a_text_that_names_their_class() -> None:
    error = ValueError("a", threading.Lock(), [1, object()], Page, lambda: 0)
    error.lock = threading.Lock()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    arrived = travel(error)
    assert arrived.args == (
        "a",
        "<_thread.lock, which cannot travel>",
        [1, "<object, which cannot travel>"],
        f"<class '{HERE}.Page'>",
        "<function, which cannot travel>",
    )
    assert vars(arrived) == {"lock": "<_thread.lock, which cannot travel>"}


def test_values_of_derived_classes_arrive_as_plain_ones() -> None:
    arrived = travel(ValueError(Text("message"), Many(a=1)))
    assert arrived.args == ("message", {"a": 1})
    assert type(arrived.args[0]) is str


def test_values_beyond_all_bounds_become_a_text() -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: object = 0
    for _ in range(150):
        deep = (deep,)
    arrived = travel(ValueError(endless, 10**5000, deep, "fine"))
    assert arrived.args[3] == "fine"
    assert arrived.args[0] == "<list, which cannot travel>"


def test_a_huge_message_is_trimmed() -> None:
    arrived = travel(ValueError("x" * 100_000))
    assert str(arrived) == "x" * 65536 + "… (34464 more characters were cut off)"
    shown = travel(Several("x" * 100_000, line=1), Elsewhere(Several))
    assert len(str(shown)) < 66_000


def test_an_exception_that_resists_arrives_all_the_same() -> None:
    error = Guarded("a", 1)
    BaseException.__setattr__(error, "__cause__", Mute("b"))
    arrived = travel(error)
    assert type(arrived) is Guarded
    assert BaseException.__dict__["args"].__get__(arrived) == ("a", 1)
    assert type(arrived.__cause__) is Mute


def test_an_exception_without_a_text_says_so() -> None:
    assert failure_of(Mute("b")).message == f"<{HERE}.Mute, whose __str__ fails>"


def test_odd_attributes_do_not_stop_an_exception() -> None:
    error = ValueError("x")
    vars(error).update({"\ud800": 1, "__notes__": 3, "fine": 2})
    vars(error)[3] = 4  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    arrived = travel(error)
    assert vars(arrived) == {"\\ud800": 1, "fine": 2}
    error.__notes__ = ["a", 3, "\ud800"]  # type: ignore[list-item]  # pyright: ignore[reportAttributeAccessIssue]
    assert travel(error).__notes__ == ["a", "\\ud800"]


def test_no_frame_and_no_local_variable_is_kept() -> None:
    class Tensor:
        pass

    def fail() -> weakref.ref[Tensor]:
        tensor = Tensor()
        try:
            raise ValueError("x")
        except ValueError as exc:
            failures.append(failure_of(exc))
        return weakref.ref(tensor)

    failures: list[Failure] = []
    held = fail()
    exception_of(failures[0], LOOKUP)
    gc.collect()
    assert held() is None

from __future__ import annotations

import pytest

from fchains.calls.cell import Cell
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload

DONE = Success(Payload(b"1"))
FAILED = Failed(FailureKind.USER, failure_of(ValueError("no")))


def test_the_first_outcome_stays() -> None:
    cell = Cell()
    assert cell.settle(DONE)
    assert not cell.settle(FAILED)
    assert cell.outcome is DONE


def test_who_waits_is_woken_once_and_who_comes_late_at_once() -> None:
    cell, woken = Cell(), list[str]()
    cell.when_settled(lambda: woken.append("early"))
    assert woken == []
    cell.settle(DONE)
    cell.settle(DONE)
    cell.when_settled(lambda: woken.append("late"))
    assert woken == ["early", "late"]


def test_a_waiter_that_was_taken_back_is_not_woken() -> None:
    cell, woken = Cell(), list[int]()

    def wake() -> None:
        woken.append(1)

    cell.when_settled(wake)
    cell.forget(wake)
    cell.settle(DONE)
    assert woken == []


def test_a_waiter_that_raises_keeps_none_of_the_others_waiting(caplog: pytest.LogCaptureFixture) -> None:
    cell, woken = Cell(), list[int]()

    def broken() -> None:
        raise RuntimeError("its loop is closed")

    cell.when_settled(broken)
    cell.when_settled(lambda: woken.append(1))
    assert cell.settle(DONE)
    assert woken == [1]
    assert "could not be told" in caplog.text


@pytest.mark.parametrize("first", ["abandon", "settle"])
def test_a_failure_is_reported_whether_it_comes_before_or_after_the_last_holder_goes(first: str) -> None:
    cell, reported = Cell(), list[Failed]()
    if first == "abandon":
        cell.abandon(reported.append)
        cell.settle(FAILED)
    else:
        cell.settle(FAILED)
        cell.abandon(reported.append)
    assert reported == [FAILED]


def test_a_call_that_is_collected_while_its_cell_settles_does_not_lock_up() -> None:
    cell, reported = Cell(), list[Failed]()
    cell.when_settled(lambda: cell.abandon(reported.append))
    cell.settle(FAILED)
    assert reported == [FAILED]

from __future__ import annotations

from collections.abc import Callable

import pytest

from fchains.calls.waiting import Waiting


class Slot:
    """Notes what is done with it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def lend(self) -> None:
        self.log.append("lend")

    def take_back(self, resume: Callable[[], None]) -> None:
        self.log.append("take back")
        resume()

    def take_back_now(self) -> None:
        self.log.append("take back now")


def test_the_end_of_a_wait_takes_the_slot_back_before_the_code_goes_on() -> None:
    slot = Slot()
    Waiting(slot).end(lambda: slot.log.append("resume"))
    assert slot.log == ["take back", "resume"]


def test_a_wait_that_is_given_up_takes_the_slot_back_at_once() -> None:
    slot = Slot()
    Waiting(slot).abort()
    assert slot.log == ["take back now"]


@pytest.mark.parametrize("ends_first", [True, False])
def test_of_the_end_and_giving_up_only_the_first_takes_the_slot_back(ends_first: bool) -> None:
    slot, resumed = Slot(), list[int]()
    waiting = Waiting(slot)
    steps = [lambda: waiting.end(lambda: resumed.append(1)), waiting.abort]
    for step in steps if ends_first else reversed(steps):
        step()
    assert len(slot.log) == 1
    assert resumed == [1]


def test_outside_a_call_there_is_nothing_to_lend() -> None:
    resumed: list[int] = []
    waiting = Waiting.begin()
    waiting.end(lambda: resumed.append(1))
    waiting.abort()
    assert resumed == [1]

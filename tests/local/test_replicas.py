"""Replicas that come and go with the demand, or with their health, and calls that find no room."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains import Overloaded
from tests.local.blocks import Block, is_alive, local_block
from tests.local.victims import Marks, always_there, factorial, falls_ill, narrow, scales, until

pytestmark = pytest.mark.slow  # the first one pays for the start of the chain

LIMIT = 20.0
"""Seconds after which a call that should have ended has not."""
SOON = 5.0


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Marks:
    """What resources leave behind."""
    return Marks(tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module", autouse=True)
def block(life: Marks) -> Iterator[Block]:
    with local_block(Path(life.folder), health_interval=0.05) as block:
        yield block


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path)


def test_the_least_replicas_come_up_without_a_call_of_theirs(life: Marks) -> None:
    assert factorial.remote(1).result(timeout=LIMIT) == 1  # of the same chain
    until(lambda: len(life.lines("made")) == 2)
    made = {int(line) for line in life.lines("made")}
    assert all(map(is_alive, made))
    assert always_there.remote().result(timeout=LIMIT) in made
    assert len(life.lines("made")) == 2


def test_replicas_follow_the_demand_from_none_and_back(life: Marks, marks: Marks) -> None:
    first = scales.remote(marks.folder, "first")
    marks.wait("first")
    second = scales.remote(marks.folder, "second")
    third = scales.remote(marks.folder, "third")
    pids = {marks.number("first"), marks.number("second")}
    assert len(pids) == 2
    assert not marks.has("third")
    marks.put("go")
    assert {call.result(timeout=LIMIT) for call in (first, second, third)} == pids
    until(lambda: not any(map(is_alive, pids)), SOON)
    assert {int(line) for line in life.lines("torn down")} == pids
    assert scales.remote(marks.folder, "again").result(timeout=LIMIT) not in pids


def test_an_unhealthy_replica_finishes_what_it_has_and_is_replaced(marks: Marks) -> None:
    ill = falls_ill.remote(marks.folder, "ill")
    old = marks.number("ill began")
    until(lambda: falls_ill.remote(marks.folder, "next").result(timeout=LIMIT) != old, SOON)
    assert is_alive(old)
    marks.put("go")
    assert ill.result(timeout=LIMIT) == old
    until(lambda: not is_alive(old), SOON)


def test_a_call_that_finds_all_full_is_refused_at_once(marks: Marks) -> None:
    calls = [narrow.remote(marks.folder)]
    until(lambda: len(marks.lines("began")) == 1)
    calls.append(narrow.remote(marks.folder))
    start = time.monotonic()
    for _ in range(3):
        with pytest.raises(Overloaded, match="narrow: all replicas are busy and 1 calls wait already"):
            narrow.remote(marks.folder).result(timeout=LIMIT)
    assert time.monotonic() - start < SOON
    assert len(marks.lines("began")) == 1
    marks.put("go")
    assert len({call.result(timeout=LIMIT) for call in calls}) == 1
    assert narrow.remote(marks.folder).result(timeout=LIMIT)


def test_a_chainlet_with_one_slot_calls_itself() -> None:
    assert factorial.remote(20).result(timeout=LIMIT) == math.factorial(20)

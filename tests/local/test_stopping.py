"""Work that is out of time or unwanted: what stops, what is killed for it, and what goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains import CallCancelled, CallTimeout
from tests.local import victims
from tests.local.blocks import Block, is_alive, local_block
from tests.local.victims import (
    Marks,
    blocks_the_loop,
    killed_when_cancelled,
    loops,
    sleeps,
    stubborn,
    until,
)

pytestmark = pytest.mark.slow  # deadlines take their time

LIMIT = 20.0
"""Seconds after which a call that should have ended has not."""
SOON = 5.0
"""Seconds within which something happens that does not wait for sleeping code."""


@pytest.fixture(scope="module", autouse=True)
def block(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Block]:
    with local_block(tmp_path_factory.mktemp("marks")) as block:
        yield block


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path)


def line_of(text: str, after: str) -> str:
    """Where in the chainlets' file a text stands first, after another, as messages say it."""
    lines = Path(victims.__file__).read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if after in line)
    found = next(number for number, line in enumerate(lines) if number > begin and text in line)
    return f"victims.py:{found + 1} "


def test_code_out_of_time_frees_its_slot_and_disturbs_no_neighbour(marks: Marks) -> None:
    neighbour = loops.remote(marks.folder, "neighbour")
    pid = marks.number("neighbour began")
    late = loops.options(timeout=0.2).remote(marks.folder, "late")
    assert marks.number("late began") == pid
    waiting = loops.remote(marks.folder, "waiting")  # both slots are taken
    with pytest.raises(
        CallTimeout, match=r"loops passed its timeout of 0\.2 s at .*victims\.py:\d+ in loops"
    ):
        late.result(timeout=LIMIT)
    start = time.monotonic()
    assert marks.number("waiting began") == pid
    assert time.monotonic() - start < SOON
    assert marks.has("late ended")
    for name in ("neighbour", "waiting"):
        marks.put(f"{name} go")
    assert neighbour.result(timeout=LIMIT) == waiting.result(timeout=LIMIT) == pid


def test_code_blocked_in_c_gets_a_successor_and_its_neighbours_finish(marks: Marks) -> None:
    neighbour = sleeps.remote(marks.folder, "neighbour")
    pid = marks.number("neighbour began")
    deaf = sleeps.options(timeout=0.2).remote(marks.folder, "deaf")
    assert marks.number("deaf began") == pid
    start = time.monotonic()
    with pytest.raises(CallTimeout, match=line_of("time.sleep(30)", "def sleeps")):
        deaf.result(timeout=LIMIT)
    until(lambda: sleeps.remote(marks.folder, "next").result(timeout=LIMIT) != pid, SOON)
    print(f"the successor took over within {time.monotonic() - start:.3f} s")
    assert is_alive(pid)
    marks.put("go")
    assert neighbour.result(timeout=LIMIT) == pid
    until(lambda: not is_alive(pid), SOON)
    assert time.monotonic() - start < LIMIT


def test_a_blocked_event_loop_is_named_and_replaced(marks: Marks) -> None:
    deaf = blocks_the_loop.options(timeout=0.4).remote(marks.folder, "deaf")
    pid = marks.number("deaf began")
    with pytest.raises(CallTimeout, match=line_of("time.sleep(30)", "def blocks_the_loop")):
        deaf.result(timeout=LIMIT)
    after = blocks_the_loop.remote(marks.folder, "next")  # on its way to the blocked one, or held
    assert after.result(timeout=SOON) != pid
    until(lambda: not is_alive(pid), SOON)


def test_a_cancelled_call_is_killed_at_once_where_that_is_wanted(marks: Marks) -> None:
    deaf = killed_when_cancelled.remote(marks.folder, "deaf")
    pid = marks.number("deaf began")
    deaf.cancel()
    with pytest.raises(CallCancelled):
        deaf.result(timeout=LIMIT)
    until(lambda: not is_alive(pid), SOON)
    assert killed_when_cancelled.remote(marks.folder, "next").result(timeout=SOON) != pid


def test_sync_code_that_ignores_its_cancellation_keeps_its_slot_until_its_deadline(marks: Marks) -> None:
    start = time.monotonic()
    call = stubborn.options(timeout=1.0).remote(marks.folder, "stubborn")
    pid = marks.number("stubborn began")
    call.cancel()
    with pytest.raises(CallCancelled):
        call.result(timeout=LIMIT)
    after = stubborn.remote(marks.folder, "next")
    marks.wait("stubborn heard")
    marks.put("next go")
    assert after.result(timeout=LIMIT) != pid
    took = time.monotonic() - start
    assert 1.0 < took < 1.0 + SOON
    until(lambda: not is_alive(pid), SOON)


def test_sync_code_that_ends_after_its_cancellation_keeps_its_replica(marks: Marks) -> None:
    call = stubborn.remote(marks.folder, "stubborn")
    pid = marks.number("stubborn began")
    call.cancel()
    marks.wait("stubborn heard")
    after = stubborn.remote(marks.folder, "next")
    for name in ("stubborn", "next"):
        marks.put(f"{name} go")
    assert after.result(timeout=LIMIT) == pid

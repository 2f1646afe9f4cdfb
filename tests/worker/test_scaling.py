from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.worker.scaling import Bounds, Demand, Restarts, ScalingState, decide, pick, queue_share

WINDOW = 60.0


class Scaler:
    """Feeds loads to `decide` as a supervisor does."""

    def __init__(
        self, replicas: int = 0, *, least: int = 0, most: int = 10, each: int = 1, window: float = WINDOW
    ) -> None:
        self.replicas = replicas
        self.bounds = Bounds(least, most)
        self.each = each
        self.window = window
        self.state = ScalingState()

    def at(self, now: float, running: float, queued: float = 0) -> int:
        self.replicas, self.state = decide(
            self.state,
            Demand(running, queued),
            self.replicas,
            now,
            bounds=self.bounds,
            per_replica=self.each,
            scaledown_window=self.window,
        )
        return self.replicas


@pytest.mark.parametrize(
    ("running", "queued", "each", "expected"),
    [
        (0, 0, 1, 0),
        (0, 1, 1, 1),
        (0, 1, 100, 1),
        (2, 3, 1, 5),
        (4, 1, 2, 3),
        (50, 0, 1, 10),
        (6.04, 0, 2, 3),
        (6.2, 0, 2, 4),
        (0.01, 0, 100, 1),
    ],
)
def test_it_goes_up_at_once_also_from_zero_and_never_above_the_most(
    running: float, queued: float, each: int, expected: int
) -> None:
    assert Scaler(each=each).at(0.0, running, queued) == expected


def test_it_keeps_the_fewest_without_any_load() -> None:
    assert Scaler(least=2).at(0.0, 0) == 2


def test_it_goes_down_only_after_the_need_was_lower_for_the_whole_window() -> None:
    scaler = Scaler(4)
    assert [scaler.at(now, 1) for now in (0.0, 30.0, 59.9)] == [4, 4, 4]
    assert scaler.state.lower == ((1, 0.0),)
    assert scaler.at(60.0, 1) == 1


def test_a_short_return_of_the_load_starts_the_window_anew() -> None:
    scaler = Scaler(4)
    scaler.at(0.0, 1)
    scaler.at(50.0, 4)
    assert [scaler.at(now, 1) for now in (51.0, 110.0, 111.0)] == [4, 4, 1]


def test_it_goes_down_to_what_the_window_needed_and_each_step_in_its_own_time() -> None:
    scaler = Scaler(5)
    scaler.at(0.0, 2)
    scaler.at(30.0, 4)
    assert scaler.at(59.0, 0) == 5
    assert scaler.at(60.0, 0) == 4
    assert scaler.at(118.0, 0) == 4
    assert scaler.at(119.0, 0) == 0


def test_it_goes_to_zero_only_when_nothing_runs_or_waits() -> None:
    scaler = Scaler(1)
    assert [scaler.at(now, 0.001) for now in (0.0, 600.0, 1200.0)] == [1, 1, 1]
    assert [scaler.at(now, 0) for now in (1300.0, 1360.0)] == [1, 0]


def test_a_load_that_jitters_about_a_whole_number_changes_nothing() -> None:
    scaler = Scaler(3, each=2)
    assert {scaler.at(second, 6.0 + (second % 2) * 0.08) for second in range(200)} == {3}


def test_a_window_of_zero_follows_the_load_at_once() -> None:
    scaler = Scaler(5, window=0.0)
    assert [scaler.at(0.0, load) for load in (2, 3, 0)] == [2, 3, 0]


def test_new_bounds_hold_at_once() -> None:
    scaler = Scaler(8, most=3)
    assert scaler.at(0.0, 0) == 3
    scaler = Scaler(1, least=4)
    assert scaler.at(0.0, 0) == 4


def test_a_clock_that_goes_back_restarts_the_window_and_no_more() -> None:
    scaler = Scaler(2)
    scaler.at(1000.0, 1)
    assert [scaler.at(now, 1) for now in (10.0, 60.0, 70.0)] == [2, 2, 1]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(-5, 90), st.integers(0, 15)), max_size=40),
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_bounds_and_the_window_hold_for_any_load(
    loads: list[tuple[float, int]], least: int, each: int
) -> None:
    scaler = Scaler(least, least=least, most=6, each=each)
    now, history = 0.0, list[tuple[float, int]]()
    for pause, load in loads:
        now += pause
        before = scaler.replicas
        after = scaler.at(now, load)
        history.append((now, min(max(-(-load // each), least), 6)))
        assert least <= after <= 6
        assert after >= history[-1][1]
        if after < before:
            recent = [need for at, need in history if at > now - WINDOW]
            assert after >= max(recent, default=0)
        assert len(scaler.state.lower) <= 6


@pytest.mark.parametrize(("least", "most"), [(-1, 1), (3, 2), (0, 0)])
def test_impossible_bounds_are_refused_with_both_values(least: int, most: int) -> None:
    with pytest.raises(ValueError, match=rf"\({least}, {most}\)"):
        Bounds(least, most)


def test_restarts_back_off_and_stop_after_three_failures_until_the_code_changes() -> None:
    restarts = Restarts()
    assert restarts.delay(0.0) == 0.0
    restarts = restarts.failed(10.0)
    assert [restarts.delay(now) for now in (10.0, 10.25, 11.0)] == [0.5, 0.25, 0.0]
    restarts = restarts.failed(11.0)
    assert restarts.delay(11.0) == 1.0
    restarts = restarts.failed(13.0)
    assert restarts.stopped
    assert restarts.delay(1e9) is None
    assert restarts.reset().delay(13.0) == 0.0


def test_a_success_between_failures_counts_from_one_again() -> None:
    restarts = Restarts().failed(0.0).failed(1.0).reset().failed(2.0)
    assert not restarts.stopped
    assert restarts.delay(2.0) == 0.5


def test_a_clock_that_goes_back_never_makes_a_restart_wait_longer() -> None:
    assert Restarts().failed(1000.0).delay(0.0) == 0.5


@pytest.mark.parametrize(
    ("loads", "start", "expected"),
    [
        ([], 0, None),
        ([None, None], 0, None),
        ([3, 1, 2], 0, 1),
        ([None, 7], 0, 1),
        ([0, 0, 0], 0, 0),
        ([0, 0, 0], 2, 2),
        ([0, 0, 0], 3, 0),
        ([1, 0, 0], 2, 2),
        ([0, 5, None], 1, 0),
    ],
)
def test_the_least_loaded_replica_is_picked_and_ties_take_turns(
    loads: list[int | None], start: int, expected: int | None
) -> None:
    assert pick(loads, start) == expected


def test_equal_replicas_are_picked_in_turn() -> None:
    chosen, start = list[int](), 0
    for _ in range(6):
        index = pick([1, 1, None, 1], start)
        assert index is not None
        chosen.append(index)
        start = index + 1
    assert chosen == [0, 1, 3, 0, 1, 3]


@pytest.mark.parametrize(
    ("max_queue", "replicas", "share"), [(1000, 3, 334), (10, 10, 1), (1, 4, 1), (0, 2, 0), (7, 0, 7)]
)
def test_the_queue_is_shared_and_rounded_up(max_queue: int, replicas: int, share: int) -> None:
    assert queue_share(max_queue, replicas) == share

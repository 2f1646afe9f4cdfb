from __future__ import annotations

import random
from statistics import mean, quantiles
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.errors import InvalidResult
from fchains.worker.batcher import Batcher, Member, settle


def member(key: int, at: float, deadline: float | None = None) -> Member[str]:
    return Member(key, f"value {key}", at, deadline)


def keys(members: tuple[Member[str], ...]) -> list[object]:
    return [each.key for each in members]


def test_nothing_queued_needs_no_wake_up() -> None:
    step = Batcher[str](4, 1.0).next(0.0, slot_free=True)
    assert (step.expired, step.batch, step.wake_at) == ((), (), None)


def test_a_lone_member_waits_for_max_wait_and_no_longer() -> None:
    batcher = Batcher[str](4, 1.0)
    batcher.admit(member(1, at=10.0))
    assert batcher.next(10.5, slot_free=True).wake_at == 11.0
    assert keys(batcher.next(11.0, slot_free=True).batch) == [1]
    assert len(batcher) == 0


def test_a_full_batch_closes_at_once_and_the_rest_waits_its_own_time() -> None:
    batcher = Batcher[str](2, 1.0)
    for key in (1, 2, 3):
        batcher.admit(member(key, at=key / 10))
    assert keys(batcher.next(0.3, slot_free=True).batch) == [1, 2]
    step = batcher.next(0.3, slot_free=True)
    assert (step.batch, step.wake_at) == ((), 1.3)


def test_without_a_slot_nothing_closes_and_the_next_batch_fills() -> None:
    batcher = Batcher[str](3, 1.0)
    batcher.admit(member(1, at=0.0))
    step = batcher.next(50.0, slot_free=False)
    assert (step.batch, step.wake_at) == ((), None)
    batcher.admit(member(2, at=50.0))
    assert keys(batcher.next(50.0, slot_free=True).batch) == [1, 2]


def test_the_window_counts_from_the_oldest_member_that_is_still_there() -> None:
    batcher = Batcher[str](3, 1.0)
    batcher.admit(member(1, at=0.0))
    batcher.admit(member(2, at=0.5))
    assert batcher.drop(1)
    assert batcher.next(1.0, slot_free=True).wake_at == 1.5


def test_a_cancelled_member_is_dropped_once_and_never_run() -> None:
    batcher = Batcher[str](3, 0.0)
    batcher.admit(member(1, at=0.0))
    batcher.admit(member(2, at=0.0))
    assert batcher.drop(1)
    assert not batcher.drop(1)
    assert keys(batcher.next(0.0, slot_free=True).batch) == [2]
    assert not batcher.drop(2)


def test_a_member_past_its_deadline_is_reported_and_not_run() -> None:
    batcher = Batcher[str](3, 1.0)
    batcher.admit(member(1, at=0.0, deadline=5.0))
    batcher.admit(member(2, at=0.0))
    step = batcher.next(5.0, slot_free=True)
    assert (keys(step.expired), keys(step.batch)) == ([1], [2])


def test_a_deadline_is_a_reason_to_wake_up_with_and_without_a_slot() -> None:
    batcher = Batcher[str](3, 10.0)
    batcher.admit(member(1, at=0.0, deadline=5.0))
    assert batcher.next(0.0, slot_free=False).wake_at == 5.0
    assert batcher.next(0.0, slot_free=True).wake_at == 5.0
    assert keys(batcher.next(5.0, slot_free=False).expired) == [1]
    assert batcher.next(5.0, slot_free=False).wake_at is None


def test_expired_members_leave_no_batch_behind() -> None:
    batcher = Batcher[str](2, 1.0)
    batcher.admit(member(1, at=0.0, deadline=1.0))
    batcher.admit(member(2, at=0.0, deadline=2.0))
    step = batcher.next(3.0, slot_free=True)
    assert (keys(step.expired), step.batch) == ([1, 2], ())


def test_a_key_that_is_queued_cannot_be_admitted_again_but_later_it_can() -> None:
    batcher = Batcher[str](1, 0.0)
    batcher.admit(member(1, at=0.0, deadline=3.0))
    with pytest.raises(ValueError, match="1 is already queued"):
        batcher.admit(member(1, at=0.0))
    batcher.next(0.0, slot_free=True)
    batcher.admit(member(1, at=1.0, deadline=9.0))
    assert batcher.next(4.0, slot_free=False).expired == ()


def test_ten_thousand_members_with_deadlines_pass_and_leave_nothing() -> None:
    batcher = Batcher[str](32, 0.01)
    for key in range(10_000):
        batcher.admit(member(key, at=0.0, deadline=600.0 + key))
    batches = 0
    while batcher.next(1.0, slot_free=True).batch:
        batches += 1
    assert batches == 313
    assert vars(batcher)["_deadlines"] == []


def test_deadlines_of_members_that_left_do_not_pile_up_behind_earlier_ones() -> None:
    batcher = Batcher[str](2, 0.0)
    batcher.admit(member(0, at=0.0, deadline=10.0))
    for key in range(1, 2000, 2):
        # One is patient, the next one is not and stays until the next round.
        batcher.admit(member(key, at=0.0, deadline=1000.0))
        batcher.admit(member(key + 1, at=0.0, deadline=10.0))
        assert len(batcher.next(0.0, slot_free=True).batch) == 2
    assert len(vars(batcher)["_deadlines"]) < 50


def simulate(arrivals: list[float], max_size: int, max_wait: float) -> tuple[list[int], list[float]]:
    """Batch sizes and latencies of one slot whose batches take 100 ms and 1 ms per member."""
    batcher = Batcher[float](max_size, max_wait)
    sizes: list[int] = []
    latencies: list[float] = []
    running_until, wake_at = 0.0, float("inf")
    coming = list(reversed(arrivals))
    now = 0.0
    while coming or len(batcher):
        # A batch's end is an event only while one runs.
        ends = running_until if running_until > now else float("inf")
        now = min(coming[-1] if coming else float("inf"), ends, wake_at)
        while coming and coming[-1] <= now:
            batcher.admit(Member(len(coming), now, now))
            coming.pop()
        step = batcher.next(now, slot_free=running_until <= now)
        wake_at = step.wake_at or float("inf")
        if step.batch:
            running_until = now + 0.1 + 0.001 * len(step.batch)
            sizes.append(len(step.batch))
            latencies += [running_until - each.enqueued_at for each in step.batch]
    return sizes, latencies


def test_batches_are_large_and_latencies_small_under_poisson_load() -> None:
    chance = random.Random(1)
    now, arrivals = 0.0, list[float]()
    while now < 20.0:
        now += chance.expovariate(200.0)
        arrivals.append(now)
    sizes, latencies = simulate(arrivals, max_size=32, max_wait=0.01)
    assert len(latencies) == len(arrivals)
    assert mean(sizes) >= 20
    assert mean(sizes) >= 0.95 * 200 * (0.1 + 0.001 * mean(sizes))  # the arrivals during one execution
    assert quantiles(latencies, n=100)[98] <= 0.3


def test_a_low_rate_caller_pays_the_execution_and_max_wait() -> None:
    _, latencies = simulate([float(second) for second in range(1, 6)], max_size=32, max_wait=0.01)
    assert max(latencies) <= 0.101 + 0.01 + 1e-9


events = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.none() | st.floats(0, 3)),
        st.tuples(st.just("advance"), st.floats(0, 2)),
        st.tuples(st.just("drop"), st.integers(0, 40)),
        st.tuples(st.just("slot"), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(events, st.integers(1, 4), st.floats(0, 1))
def test_every_member_has_one_fate_in_order_and_in_time(
    happened: list[tuple[str, object]], max_size: int, max_wait: float
) -> None:
    batcher = Batcher[str](max_size, max_wait)
    waiting: dict[int, Member[str]] = {}
    now, slot, admitted = 0.0, True, 0
    ran: list[int] = []
    for kind, value in happened:
        if kind == "admit":
            lifetime = value if isinstance(value, float) else None
            waiting[admitted] = member(admitted, now, None if lifetime is None else now + lifetime)
            batcher.admit(waiting[admitted])
            admitted += 1
        elif kind == "advance":
            assert isinstance(value, float)
            now += value
        elif kind == "slot":
            slot = bool(value)
        else:
            assert isinstance(value, int)
            assert batcher.drop(value) == (waiting.pop(value, None) is not None)
        while True:
            step = batcher.next(now, slot)
            for gone in step.expired:
                assert gone.deadline is not None
                assert gone.deadline <= now
                del waiting[int(str(gone.key))]
            if not step.batch:
                break
            assert slot
            assert len(step.batch) <= max_size
            for chosen in step.batch:
                assert chosen.deadline is None or chosen.deadline > now
                assert waiting.pop(int(str(chosen.key))) is chosen
                ran.append(int(str(chosen.key)))
        assert len(batcher) == len(waiting)
        assert all(each.deadline is None or each.deadline > now for each in waiting.values())
        if slot and waiting:
            oldest = next(iter(waiting.values()))
            assert len(waiting) < max_size
            assert step.wake_at is not None
            assert now < step.wake_at <= oldest.enqueued_at + max_wait
    assert ran == sorted(set(ran))


class Rows(list[object]):
    pass


class Pair(NamedTuple):
    left: int
    right: int


def test_lists_tuples_and_subclasses_of_lists_settle() -> None:
    failure = ValueError("only mine")
    assert settle([1, failure], 2) == [1, failure]
    assert settle((1, 2), 2) == [1, 2]
    assert settle(Rows([1, None]), 2) == [1, None]
    assert settle([], 0) == []


def test_a_vector_settles_to_python_numbers_and_a_matrix_to_rows() -> None:
    vector = settle(np.array([1, 2], dtype=np.int64), 2)
    assert [type(item) for item in vector] == [int, int]
    rows = settle(np.eye(2), 2)
    assert all(isinstance(row, np.ndarray) for row in rows)


@pytest.mark.parametrize(
    ("results", "name"),
    [
        ({"a": 1, "b": 2}, "dict"),
        ({1, 2}, "set"),
        ("ab", "str"),
        (b"ab", "bytes"),
        ((item for item in (1, 2)), "generator"),
        (Pair(1, 2), "Pair"),
        (SimpleNamespace(), "SimpleNamespace"),
        (np.float64(1.0), "float64"),
        (np.array(1.0), "ndarray"),
        (None, "None"),
    ],
)
def test_what_is_no_list_is_refused_even_when_its_length_fits(results: object, name: str) -> None:
    with pytest.raises(InvalidResult, match=rf"one result per input, 2 here; this one returned .*\b{name}\b"):
        settle(results, 2)


@pytest.mark.parametrize("results", [[], [1], [1, 2, 3], np.zeros(3)])
def test_a_wrong_number_of_results_is_refused_with_both_counts(results: object) -> None:
    with pytest.raises(InvalidResult, match=r"returned \d for 2 inputs"):
        settle(results, 2)

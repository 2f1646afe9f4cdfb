from __future__ import annotations

from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.worker.fleet import Fleet, Phase, Plan, Start
from fchains.worker.scaling import Bounds, Demand, Restarts

WINDOW = 60.0


class Crew:
    """A fleet as its supervisor drives it."""

    def __init__(self, least: int = 0, most: int = 4, window: float = WINDOW) -> None:
        self.fleet = Fleet("asr", Bounds(least, most), window)

    def scale(self, load: float, now: float = 0.0, idle: Collection[str] | None = None) -> Plan:
        return self.fleet.scale(Demand(load, 0), list(self.fleet.phases) if idle is None else idle, now)

    def up(self, count: int, now: float = 0.0) -> list[str]:
        names = [start.name for start in self.scale(count, now).starts]
        for name in names:
            self.fleet.ready(name)
        return names

    def fail(self, now: float) -> list[Start]:
        starts = self.scale(1, now).starts
        for start in starts:
            self.fleet.failed(start.name, now)
        return list(starts)


def test_replicas_are_started_for_the_demand_and_numbered_from_nought() -> None:
    crew = Crew()
    assert crew.scale(2.5) == Plan((Start("asr-0", 0.0), Start("asr-1", 0.0), Start("asr-2", 0.0)))
    assert set(crew.fleet.phases.values()) == {Phase.STARTING}
    assert crew.scale(2.5) == Plan(), "those that are starting count"
    assert crew.fleet.alive == 3


def test_no_name_is_used_twice() -> None:
    crew = Crew(window=0.0)
    assert crew.up(1) == ["asr-0"]
    assert crew.scale(0).retire == ("asr-0",)
    crew.fleet.gone("asr-0")
    assert crew.up(1) == ["asr-1"]


def test_the_fewest_are_there_without_any_demand_and_never_more_than_the_most() -> None:
    crew = Crew(least=2, most=3)
    assert len(crew.scale(0).starts) == 2
    assert len(crew.scale(99).starts) == 1


def test_idle_replicas_stay_when_more_are_wanted() -> None:
    crew = Crew(window=0.0)
    crew.up(3)
    assert crew.scale(4) == Plan((Start("asr-3", 0.0),))


def test_held_calls_count_like_running_ones() -> None:
    assert len(Fleet("f", Bounds(0, 9), WINDOW).scale(Demand(0.4, 1.6), (), 0.0).starts) == 2


def test_idle_replicas_go_after_the_window_the_oldest_first() -> None:
    crew = Crew()
    crew.up(3)
    assert crew.scale(1, 0.0) == Plan()
    assert crew.scale(1, 59.0) == Plan()
    assert crew.scale(1, 60.0) == Plan(retire=("asr-0", "asr-1"))
    assert crew.fleet.phases["asr-0"] is Phase.RETIRED
    assert crew.fleet.alive == 1


def test_a_retired_replica_is_neither_counted_nor_retired_again() -> None:
    crew = Crew(least=1, window=0.0)
    crew.up(2)
    assert crew.scale(0).retire == ("asr-0",)
    assert crew.scale(0) == Plan()
    assert not crew.fleet.ended()
    assert [start.name for start in crew.scale(2).starts] == ["asr-2"]


def test_only_idle_replicas_that_are_ready_are_retired() -> None:
    crew = Crew(window=0.0)
    assert crew.up(2) == ["asr-0", "asr-1"]
    assert len(crew.scale(3).starts) == 1
    assert crew.scale(0, idle=["asr-1", "asr-2", "other"]).retire == ("asr-1",)
    assert crew.scale(0, idle=[]).retire == ()
    crew.fleet.ready("asr-2")
    assert crew.scale(0, idle=["asr-2"]).retire == ("asr-2",)


def test_a_replica_that_was_busy_at_the_end_of_the_window_goes_when_it_is_idle() -> None:
    crew = Crew()
    crew.up(3)
    assert crew.scale(1, 0.0) == Plan()
    assert crew.scale(1, 60.0, idle=["asr-2"]).retire == ("asr-2",)
    assert crew.scale(1, 61.0, idle=[]).retire == ()
    assert crew.scale(1, 62.0, idle=["asr-0", "asr-1"]).retire == ("asr-0",)


def test_a_need_that_came_back_while_all_were_busy_starts_the_window_anew() -> None:
    crew = Crew()
    crew.up(3)
    crew.scale(1, 0.0)
    assert crew.scale(1, 60.0, idle=[]).retire == ()
    crew.scale(3, 61.0)
    assert crew.scale(1, 62.0).retire == ()
    assert crew.scale(1, 122.0).retire == ("asr-0", "asr-1")


def test_a_failed_start_is_gone_and_the_next_one_waits_longer_each_time() -> None:
    crew = Crew()
    assert crew.fail(10.0) == [Start("asr-0", 0.0)]
    assert crew.fleet.ended()
    assert crew.fail(10.0) == [Start("asr-1", 0.5)]
    assert crew.scale(1, 10.25).starts == (Start("asr-2", 0.75),)


def test_three_failures_in_a_row_stop_it_until_the_code_changes() -> None:
    crew = Crew()
    crew.up(1)
    for name in [start.name for start in crew.scale(4).starts]:
        assert not crew.fleet.stopped
        crew.fleet.failed(name, 0.0)
    assert crew.fleet.stopped
    assert crew.scale(4, 1e9) == Plan()
    assert crew.fleet.phases == {"asr-0": Phase.READY}
    crew.fleet.forgive()
    assert not crew.fleet.stopped
    assert [start.delay for start in crew.scale(2, 1e9).starts] == [0.0]


def test_it_retires_what_is_idle_also_when_it_starts_nothing_any_more() -> None:
    crew = Crew(window=0.0)
    crew.up(1)
    for name in [start.name for start in crew.scale(4).starts]:
        crew.fleet.failed(name, 0.0)
    assert crew.scale(0).retire == ("asr-0",)


def test_a_success_forgives_earlier_failures() -> None:
    crew = Crew()
    crew.fail(0.0)
    crew.fail(1.0)
    assert crew.up(1, now=1.0) == ["asr-2"]
    assert [start.delay for start in crew.scale(2, 1.0).starts] == [0.0]


def test_other_limits_of_restarts_may_be_given() -> None:
    fleet = Fleet("f", Bounds(0, 1), WINDOW, Restarts(limit=1))
    for start in fleet.scale(Demand(0, 1), (), 0.0).starts:
        fleet.failed(start.name, 0.0)
    assert fleet.stopped


def test_a_stuck_replica_gets_a_successor_while_it_is_still_there() -> None:
    crew = Crew(least=1, most=1)
    crew.up(1)
    assert crew.fleet.retire("asr-0")
    assert not crew.fleet.retire("asr-0")
    assert crew.scale(0).starts == (Start("asr-1", 0.0),)
    assert list(crew.fleet.phases) == ["asr-0", "asr-1"]
    crew.fleet.gone("asr-0")
    assert not crew.fleet.retire("asr-0")


def test_a_retired_replica_that_says_it_is_ready_stays_retired() -> None:
    crew = Crew()
    (start,) = crew.scale(1).starts
    assert crew.fleet.retire(start.name)
    crew.fleet.ready(start.name)
    assert crew.fleet.phases == {start.name: Phase.RETIRED}


def test_a_retired_replica_whose_start_fails_counts_for_nothing() -> None:
    crew = Crew()
    for start in crew.scale(4).starts:
        crew.fleet.retire(start.name)
        crew.fleet.failed(start.name, 0.0)
    assert crew.fleet.ended()
    assert crew.scale(1).starts[0].delay == 0.0


def test_news_of_unknown_replicas_change_nothing() -> None:
    crew = Crew()
    for told in (crew.fleet.ready, crew.fleet.gone):
        told("other-7")
    crew.fleet.failed("other-7", 0.0)
    assert not crew.fleet.retire("other-7")
    assert crew.fleet.ended()
    assert crew.scale(1).starts[0].delay == 0.0


def test_a_replica_that_died_is_replaced_without_delay() -> None:
    crew = Crew(least=1)
    crew.up(1)
    crew.fleet.gone("asr-0")
    assert crew.scale(0).starts == (Start("asr-1", 0.0),)


def test_new_bounds_hold_at_once() -> None:
    crew = Crew(most=4)
    crew.up(4)
    crew.fleet.bounds = Bounds(0, 1)
    assert len(crew.scale(4, idle=["asr-1"]).retire) == 1
    assert len(crew.scale(4).retire) == 2


NEWS = st.lists(
    st.tuples(
        st.sampled_from(["scale", "ready", "failed", "retire", "gone", "forgive"]),
        st.integers(0, 6),
        st.floats(0, 50),
        st.sets(st.integers(0, 12)),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(NEWS, st.integers(0, 2))
def test_bounds_hold_whatever_happens(news: list[tuple[str, int, float, set[int]]], least: int) -> None:
    crew = Crew(least, most=4, window=30.0)
    fleet, now, seen = crew.fleet, 0.0, set[str]()
    for what, number, pause, idle in news:
        now += pause
        name = f"asr-{number}"
        if what == "scale":
            before = dict(fleet.phases)
            plan = crew.scale(number, now, {f"asr-{n}" for n in idle})
            names = {start.name for start in plan.starts}
            assert not names & seen, "a name is used once"
            seen |= names
            assert not (plan.starts and plan.retire)
            assert all(before[gone] is Phase.READY and int(gone[4:]) in idle for gone in plan.retire)
            assert fleet.alive <= 4
            assert fleet.stopped or fleet.alive >= max(least, min(number, 4))
            assert not plan.retire or fleet.alive >= max(least, min(number, 4))
            assert not (fleet.stopped and plan.starts)
        elif what == "ready":
            fleet.ready(name)
        elif what == "failed":
            fleet.failed(name, now)
        elif what == "retire":
            fleet.retire(name)
        elif what == "gone":
            fleet.gone(name)
        else:
            fleet.forgive()
        assert fleet.alive == sum(phase is not Phase.RETIRED for phase in fleet.phases.values())

from __future__ import annotations

import itertools

import pytest

from fchains.calls.states import SETTLED, TRANSITIONS, Event, ImpossibleTransition, State, advance


def test_every_pair_of_state_and_event_is_either_in_the_table_or_impossible() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in TRANSITIONS:
            assert advance(state, event) is TRANSITIONS[state, event]
        else:
            with pytest.raises(ImpossibleTransition, match=state.value):
                advance(state, event)


def test_a_settled_call_takes_no_event() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in SETTLED]


def test_every_state_that_is_not_settled_can_fail_and_be_cancelled() -> None:
    for state in State:
        if not state.settled:
            assert advance(state, Event.FAIL) is State.FAILED
            assert advance(state, Event.CANCEL) is State.CANCELLED


def test_every_state_can_be_reached_and_every_path_can_end() -> None:
    reached = {State.WAITING}
    for _ in State:
        reached |= {target for (source, _), target in TRANSITIONS.items() if source in reached}
    assert reached == set(State)


def test_only_a_call_that_was_sent_or_runs_can_be_tried_again() -> None:
    assert {state for (state, event) in TRANSITIONS if event is Event.RETRY} == {State.SENT, State.RUNNING}

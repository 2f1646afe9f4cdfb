from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.definition.problems import BadValue, collecting
from fchains.definition.retry import Retry, delay_before, parse_retries
from fchains.errors import CallCancelled, DefinitionError, InvalidArguments, RemoteError, SetupError

DELAYS = st.floats(0, 1e9)


def test_a_retry_has_sensible_defaults() -> None:
    retry = Retry()
    assert (retry.attempts, retry.backoff, retry.max_delay, retry.jitter, retry.on) == (
        3,
        1.0,
        60.0,
        True,
        (),
    )


def test_only_attempts_may_be_positional() -> None:
    unchecked: Any = Retry
    with pytest.raises(TypeError):
        unchecked(3, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attempts": 0}, "attempts must be an int of at least 1, not 0"),
        ({"attempts": True}, "attempts must be an int of at least 1, not True"),
        ({"attempts": 2.0}, "attempts must be an int of at least 1, not 2.0"),
        ({"backoff": -1}, "backoff must be a number of seconds, 0 or more, not -1"),
        ({"backoff": math.nan}, "backoff must be a number of seconds, 0 or more, not nan"),
        ({"max_delay": math.inf}, "max_delay must be a number of seconds, 0 or more, not inf"),
        ({"max_delay": "1"}, "max_delay must be a number of seconds, 0 or more, not '1'"),
        ({"jitter": 0.5}, "jitter must be True or False, not 0.5"),
        ({"on": "ValueError"}, "on= takes exception classes, not 'ValueError'"),
        ({"on": ValueError()}, "on= takes exception classes, not ValueError()"),
        ({"on": (ValueError, int)}, "on= takes exception classes, not <class 'int'>"),
        ({"on": None}, "on= takes exception classes, not None"),
        ({"on": asyncio.CancelledError}, "on= takes subclasses of Exception, not CancelledError"),
        ({"on": (SetupError,)}, "on= names SetupError, which is never retried"),
    ],
)
def test_a_faulty_value_is_refused_at_the_callers_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        Retry(**given)
    (problem,) = raised.value.problems
    assert problem.message == message
    assert problem.hint
    assert (problem.file, problem.subject) == (__file__, "Retry")
    assert problem.line > 0


def test_all_faulty_values_are_reported_and_replaced_where_problems_are_collected() -> None:
    with collecting() as problems:
        retry = Retry(-1, backoff=-1, max_delay=5)
    assert [problem.message.split()[0] for problem in problems] == ["attempts", "backoff"]
    assert retry == Retry(max_delay=5)


def test_a_retry_covers_its_classes_and_their_subclasses() -> None:
    retry = Retry(on=(OSError, RemoteError))
    assert retry.covers(OSError)
    assert retry.covers(ConnectionResetError)
    assert retry.covers(RemoteError)
    assert not retry.covers(ValueError)
    assert not Retry().covers(ValueError)
    assert Retry(on=ValueError) == Retry(on=(ValueError,))


@pytest.mark.parametrize("never", [SetupError, CallCancelled, InvalidArguments, asyncio.CancelledError])
def test_some_failures_are_never_covered(never: type[BaseException]) -> None:
    assert not Retry(on=Exception).covers(never)


def test_delays_double_up_to_the_longest() -> None:
    retry = Retry(backoff=0.5, max_delay=3, jitter=False)
    assert [delay_before(n, retry, random.random) for n in range(1, 7)] == [0, 0.5, 1, 2, 3, 3]


def test_jitter_waits_a_random_part_of_the_delay() -> None:
    assert delay_before(3, Retry(backoff=2), lambda: 0.25) == 1.0


@given(st.integers(0, 10**9), DELAYS, DELAYS, st.booleans(), st.floats(0, 1))
def test_a_delay_lies_between_zero_and_the_longest(
    attempt: int, backoff: float, max_delay: float, jitter: bool, part: float
) -> None:
    retry = Retry(backoff=backoff, max_delay=max_delay, jitter=jitter)
    assert 0 <= delay_before(attempt, retry, lambda: part) <= max_delay


@pytest.mark.parametrize(("written", "attempts"), [(0, 1), (2, 3), (np.int32(1), 2), (Retry(attempts=5), 5)])
def test_retries_are_attempts_after_the_first(written: object, attempts: int) -> None:
    assert parse_retries(written).attempts == attempts


@pytest.mark.parametrize("written", [True, -1, 1.0, "2", None, Retry])
def test_other_retries_are_refused_with_the_two_ways_to_count(written: object) -> None:
    with pytest.raises(BadValue) as raised:
        parse_retries(written)
    assert "two more attempts after the first" in raised.value.hint
    assert "Retry(attempts=3) in total" in raised.value.hint

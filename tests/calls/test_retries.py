from __future__ import annotations

import pytest

from fchains import Retry
from fchains.calls.invocation import Failed, FailureKind
from fchains.calls.retries import NEVER, RETRIED, next_delay
from fchains.wire.failures import failure_of


class Flaky(Exception):
    pass


class VeryFlaky(Flaky):
    pass


def delay(
    kind: FailureKind,
    retry: Retry | None = None,
    error: type[BaseException] = Exception,
    *,
    attempt: int = 1,
    accepted: bool = True,
    streamed: bool = False,
    remaining: float | None = None,
) -> float | None:
    return next_delay(
        retry or Retry(attempts=3, jitter=False),
        Failed(kind, failure_of(RuntimeError("x"))),
        error,
        attempt=attempt,
        accepted=accepted,
        streamed=streamed,
        remaining=remaining,
        random=lambda: 1.0,
    )


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind in RETRIED])
def test_failures_of_the_machinery_are_retried_without_being_named(kind: FailureKind) -> None:
    assert delay(kind) is not None


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind in NEVER])
def test_what_another_attempt_cannot_change_is_never_retried(kind: FailureKind) -> None:
    assert delay(kind) is None


def test_attempts_are_counted_in_total() -> None:
    assert delay(FailureKind.LOST, attempt=2) is not None
    assert delay(FailureKind.LOST, attempt=3) is None


def test_user_errors_are_retried_only_when_named_subclasses_included() -> None:
    retry = Retry(attempts=2, on=(Flaky,))
    assert delay(FailureKind.USER, retry, VeryFlaky) is not None
    assert delay(FailureKind.USER, retry, ValueError) is None
    assert delay(FailureKind.USER, Retry(attempts=2), Flaky) is None


def test_a_lost_call_that_was_never_acknowledged_goes_elsewhere_at_once_and_freely() -> None:
    assert delay(FailureKind.LOST, Retry(attempts=1), accepted=False) == 0.0
    assert delay(FailureKind.LOST, Retry(attempts=1), accepted=True) is None


def test_a_stream_that_has_yielded_is_not_retried() -> None:
    assert delay(FailureKind.LOST, streamed=True) is None
    assert delay(FailureKind.LOST, accepted=False, streamed=True) is None


def test_no_attempt_starts_after_the_callers_deadline() -> None:
    retry = Retry(attempts=5, backoff=1.0, jitter=False)
    assert delay(FailureKind.TIMEOUT, retry, remaining=5.0) == 1.0
    assert delay(FailureKind.TIMEOUT, retry, remaining=0.5) is None


def test_delays_double_up_to_the_longest() -> None:
    retry = Retry(attempts=10, backoff=1.0, max_delay=3.0, jitter=False)
    assert [delay(FailureKind.LOST, retry, attempt=n) for n in (1, 2, 3, 4)] == [1.0, 2.0, 3.0, 3.0]

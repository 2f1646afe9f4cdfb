"""Which failures are tried again, and when: a pure function of what happened."""

from __future__ import annotations

from collections.abc import Callable

from fchains.calls.invocation import Failed, FailureKind
from fchains.definition.retry import Retry, delay_before

RETRIED = frozenset({FailureKind.LOST, FailureKind.TIMEOUT, FailureKind.OVERLOADED})
NEVER = frozenset({FailureKind.SETUP, FailureKind.CANCELLED, FailureKind.INVALID, FailureKind.NOT_DEPLOYED})


def next_delay(
    retry: Retry,
    failed: Failed,
    error: type[BaseException],
    *,
    attempt: int,
    accepted: bool,
    streamed: bool,
    remaining: float | None,
    random: Callable[[], float],
) -> float | None:
    """Seconds to wait before the next attempt, or None when this failure is the outcome.

    Args:
        retry: the schedule of the call.
        failed: the failure of the attempt.
        error: the class that the caller would get.
        attempt: number of the attempt that failed, from 1.
        accepted: whether user code may have started in it.
        streamed: whether a stream item has passed, either way.
        remaining: seconds until the caller's deadline, None without one.
        random: gives numbers in [0, 1), which spread the delays.
    """
    if streamed or failed.kind in NEVER:
        return None
    if failed.kind is FailureKind.LOST and not accepted:
        return 0.0
    if attempt >= retry.attempts:
        return None
    if failed.kind is FailureKind.USER and not retry.covers(error):
        return None
    delay = delay_before(attempt + 1, retry, random)
    if remaining is not None and delay >= remaining:
        return None
    return delay

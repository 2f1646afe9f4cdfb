"""The life of a call, as a table.

Rule 1: every change of state happens through `TRANSITIONS`; what is not in it is a bug.
Rule 2: a settled call hears nothing more: late events of its attempts are dropped by its owner.

                 SEND            ACCEPT             SUCCEED
    WAITING ───────────▶ SENT ───────────▶ RUNNING ─────────▶ SUCCEEDED
       ▲                  │                   │
       └────── RETRY ─────┴───────────────────┘      FAIL ──▶ FAILED     CANCEL ──▶ CANCELLED
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a call is in its life."""

    WAITING = "waiting"
    """Made, or waiting between two attempts."""
    SENT = "sent"
    """Given to a channel; user code has not started, it may go elsewhere freely."""
    RUNNING = "running"
    """Acknowledged: user code may have started, it runs at most once unless retries allow more."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def settled(self) -> bool:
        return self in SETTLED


class Event(enum.Enum):
    """What can happen to a call."""

    SEND = "send"
    ACCEPT = "accept"
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY = "retry"
    CANCEL = "cancel"


SETTLED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.WAITING, Event.SEND): State.SENT,
    (State.WAITING, Event.FAIL): State.FAILED,
    (State.WAITING, Event.CANCEL): State.CANCELLED,
    (State.SENT, Event.ACCEPT): State.RUNNING,
    (State.SENT, Event.SUCCEED): State.SUCCEEDED,
    (State.SENT, Event.FAIL): State.FAILED,
    (State.SENT, Event.RETRY): State.WAITING,
    (State.SENT, Event.CANCEL): State.CANCELLED,
    (State.RUNNING, Event.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, Event.FAIL): State.FAILED,
    (State.RUNNING, Event.RETRY): State.WAITING,
    (State.RUNNING, Event.CANCEL): State.CANCELLED,
}


class ImpossibleTransition(RuntimeError):
    """Raised when an event comes in a state that cannot take it: a bug in the caller."""


def advance(state: State, event: Event) -> State:
    """The state after an event.

    Raises:
        ImpossibleTransition: the table has no such transition.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ImpossibleTransition(f"a {state.value} call cannot {event.value}") from None

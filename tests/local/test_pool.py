"""Where calls go from here: held, handed out, refused, taken back."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from fchains import chainlet
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.errors import SetupError
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload
from fchains_local import pool as pools
from fchains_local.control import Message, Released, Waiting
from fchains_local.pool import Failing, Pool
from fchains_local.remote import Remote


@chainlet(concurrency=1, max_queue=4)
def work(n: int) -> int:
    return n


class Sent:
    """A call in a replica of the test."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.accepted = False
        self.finished = False
        self.recalled = False

    def accept(self) -> None:
        self.accepted = True
        self.reply.accepted()

    def finish(self) -> None:
        self.finished = True
        self.reply.finish(Success(Payload(b"1")))

    def recall(self) -> None:
        self.recalled = True

    def cancel(self, *, timed_out: bool = False) -> None: ...


class Replica:
    """Stands for a replica; the test says what becomes of its calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.retired = False
        self.given_up = False
        self.calls: list[Sent] = []
        self.ids: list[str] = []

    @property
    def open(self) -> bool:
        return not self.retired

    def load(self, chainlet: str) -> int:
        return sum(not sent.finished for sent in self.calls)

    def send(self, invocation: Invocation, reply: Any) -> Sent:
        self.ids.append(invocation.id)
        self.calls.append(Sent(reply))
        return self.calls[-1]

    def gone(self, why: str) -> None: ...


class Caller:
    """The reply to one call."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None

    def accepted(self) -> None: ...

    def item(self, payload: Payload) -> None: ...

    def consumed(self, stream: str, items: int, size: int) -> None: ...

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome

    @property
    def failed(self) -> FailureKind | None:
        return self.outcome.kind if isinstance(self.outcome, Failed) else None


class Desk:
    """A pool, and what it tells the supervisor."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.pool = Pool("work", {"work": work.definition}, asyncio.get_running_loop(), self.told.append)
        self._number = 0

    def call(self) -> Caller:
        self._number += 1
        caller = Caller()
        self.pool.send(Invocation(f"c{self._number}", "chain", "work", Payload(b"{}")), caller)
        return caller

    def open(self, name: str) -> Replica:
        replica = Replica(name)
        self.pool.opened(cast("Remote", replica))
        return replica


async def turn() -> None:
    """Let what was put off until the end of this turn of the loop happen."""
    await asyncio.sleep(0)


async def test_calls_are_held_until_a_replica_opens_and_the_supervisor_knows_how_many() -> None:
    desk = Desk()
    desk.call()
    desk.call()
    await turn()
    assert desk.told == [Waiting("work", 2.0)]
    replica = desk.open("work-0")
    await turn()
    assert len(replica.calls) == 2
    assert desk.told[-1] == Waiting("work", 0.0)


async def test_a_call_that_would_queue_is_held_while_another_replica_may_come() -> None:
    desk = Desk()
    desk.pool.bound(0, 2)
    first = desk.open("work-0")
    desk.call()
    desk.call()
    assert len(first.calls) == 1
    second = desk.open("work-1")
    assert len(second.calls) == 1


async def test_what_waits_in_a_busy_replica_is_shared_with_a_new_one() -> None:
    desk = Desk()
    busy = desk.open("work-0")
    for _ in range(3):
        desk.call()
    busy.calls[0].accept()
    desk.pool.bound(0, 2)
    newcomer = desk.open("work-1")
    taken_back = [sent for sent in busy.calls if sent.recalled]
    assert len(taken_back) == 1
    assert not busy.calls[0].recalled
    busy.calls.remove(taken_back[0])
    taken_back[0].reply.refused()
    assert len(newcomer.calls) == 1


async def test_a_stuck_replica_is_released_although_it_cannot_give_back_what_it_has_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "RECALL_SECONDS", 0.0)
    desk = Desk()
    stuck = desk.open("work-0")
    desk.call()
    desk.call()
    stuck.calls[0].accept()
    desk.pool.retired("work-0", stuck=True)
    assert stuck.calls[1].recalled
    await asyncio.sleep(0.001)
    assert Released("work-0") not in desk.told
    stuck.calls[0].finish()
    assert Released("work-0") in desk.told


async def test_a_replica_that_is_no_longer_needed_is_released_after_all_its_calls() -> None:
    desk = Desk()
    replica = desk.open("work-0")
    desk.call()
    desk.call()
    desk.pool.retired("work-0", stuck=False)
    replica.calls[0].accept()
    replica.calls[0].finish()
    assert Released("work-0") not in desk.told
    replica.calls[1].accept()
    replica.calls[1].finish()
    assert Released("work-0") in desk.told


async def test_a_call_that_every_replica_refuses_is_refused_and_one_that_was_taken_back_is_not() -> None:
    desk = Desk()
    replica = desk.open("work-0")
    caller = desk.call()
    for _ in range(3):
        assert caller.outcome is None
        replica.calls.pop().reply.refused()
    replica.calls.pop().reply.refused()
    assert caller.failed is FailureKind.OVERLOADED

    patient = desk.call()
    for _ in range(8):
        (transfer,) = desk.pool._transfers  # pyright: ignore[reportPrivateUsage]
        transfer.recall()
        replica.calls.pop().reply.refused()
    assert patient.outcome is None


async def test_when_all_is_full_calls_are_refused_at_once() -> None:
    desk = Desk()
    desk.open("work-0")
    callers = [desk.call() for _ in range(6)]
    await turn()
    assert [caller.failed for caller in callers] == [None] * 5 + [FailureKind.OVERLOADED]


async def test_calls_that_wait_hear_why_no_replica_comes_up() -> None:
    desk = Desk()
    desk.pool.coming("work-0")
    waiting = desk.call()
    failing = Failing(failure_of(SetupError("no weights")), stopped=True)
    desk.pool.start_failed("work-0", failing)
    assert waiting.failed is FailureKind.SETUP
    late = desk.call()
    await turn()
    assert late.failed is FailureKind.SETUP


async def test_a_closed_pool_refuses_what_waits_and_what_comes() -> None:
    desk = Desk()
    waiting = desk.call()
    desk.pool.close()
    late = desk.call()
    await turn()
    assert waiting.failed is late.failed is FailureKind.NOT_DEPLOYED
    await desk.pool.drained()


async def test_calls_that_a_stuck_replica_gives_back_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recalled: list[Sent] = []

    def recall(sent: Sent) -> None:
        recalled.append(sent)

    monkeypatch.setattr(Sent, "recall", recall)
    desk = Desk()
    desk.pool.bound(1, 1)
    stuck = desk.open("work-0")
    for _ in range(5):
        desk.call()
    stuck.calls[0].accept()
    desk.pool.retired("work-0", stuck=True)
    for sent in recalled:
        if not sent.accepted:
            sent.reply.refused()
    assert desk.open("work-1").ids == ["c2", "c3", "c4", "c5"]


async def test_calls_that_wait_behind_the_last_replica_hear_why_no_other_follows() -> None:
    desk = Desk()
    desk.pool.bound(0, 2)
    desk.open("work-0")
    callers = [desk.call() for _ in range(6)]
    desk.pool.start_failed("work-1", Failing(failure_of(SetupError("no weights")), stopped=True))
    assert not any(caller.failed for caller in callers)
    desk.pool.gone("work-0", "was killed")
    assert [caller.failed for caller in callers] == [None] * 3 + [FailureKind.SETUP] * 3


async def test_who_waits_for_a_pool_to_drain_hears_that_another_took_its_calls() -> None:
    desk, next_desk = Desk(), Desk()
    desk.call()
    draining = asyncio.ensure_future(desk.pool.drained())
    await turn()
    next_desk.pool.adopt(desk.pool.take_held())
    await asyncio.wait_for(draining, 1)
    assert desk.pool.idle
    assert not next_desk.pool.idle

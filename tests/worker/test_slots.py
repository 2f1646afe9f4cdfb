from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from fchains.worker.slots import Lease, Slots


def starter(log: list[str], name: str) -> Callable[[], None]:
    return lambda: log.append(name)


def test_executions_wait_in_order_for_a_slot() -> None:
    log: list[str] = []
    slots = Slots(1)
    for name in "abc":
        slots.acquire(name, starter(log, name))
    assert log == ["a"]
    slots.release()
    slots.release()
    assert log == ["a", "b", "c"]


def test_one_that_was_withdrawn_never_starts() -> None:
    log: list[str] = []
    slots = Slots(1)
    slots.acquire("a", starter(log, "a"))
    slots.acquire("b", starter(log, "b"))
    assert slots.withdraw("b")
    assert not slots.withdraw("a")
    slots.release()
    assert log == ["a"]
    assert slots.free


async def test_a_lent_slot_runs_the_next_and_comes_back_before_those_that_have_not_started() -> None:
    log: list[str] = []
    slots = Slots(1)
    slots.acquire("outer", starter(log, "outer"))
    lease = Lease(slots, asyncio.get_running_loop())
    slots.acquire("child", starter(log, "child"))
    slots.acquire("stranger", starter(log, "stranger"))
    lease.lend()
    assert log == ["outer", "child"]
    lease.take_back(starter(log, "outer goes on"))
    slots.release()
    assert log == ["outer", "child", "outer goes on"]
    lease.end()
    assert log[-1] == "stranger"


async def test_two_waits_at_once_lend_the_slot_until_both_have_ended() -> None:
    log: list[str] = []
    slots = Slots(1)
    slots.take()
    lease = Lease(slots, asyncio.get_running_loop())
    lease.lend()
    lease.lend()
    lease.take_back(starter(log, "first"))
    assert log == ["first"]
    assert slots.free, "the second child still needs it"
    lease.take_back(starter(log, "second"))
    assert log == ["first", "second"]
    assert not slots.free
    lease.end()
    assert slots.free


async def test_an_execution_that_ends_while_it_waits_gives_nothing_back_twice() -> None:
    log: list[str] = []
    slots = Slots(1)
    slots.take()
    lease = Lease(slots, asyncio.get_running_loop())
    lease.lend()
    lease.end()
    lease.take_back(starter(log, "late"))
    assert log == ["late"]
    assert slots.used == 0


async def test_a_wait_that_was_given_up_takes_one_slot_too_many_rather_than_none() -> None:
    slots = Slots(1)
    slots.take()
    lease = Lease(slots, asyncio.get_running_loop())
    lease.lend()
    slots.acquire("other", lambda: None)
    lease.take_back_now()
    assert slots.used == 2
    lease.end()
    slots.release()
    assert slots.used == 0


async def test_taking_back_waits_for_a_free_slot_and_survives_the_end_of_the_execution() -> None:
    log: list[str] = []
    slots = Slots(1)
    slots.take()
    lease = Lease(slots, asyncio.get_running_loop())
    lease.lend()
    slots.acquire("other", starter(log, "other"))
    lease.take_back(starter(log, "resumed"))
    assert log == ["other"]
    lease.end()
    slots.release()
    assert log == ["other", "resumed"]
    assert slots.used == 0


def test_a_slot_of_a_replica_that_is_gone_holds_nobody_up() -> None:
    loop = asyncio.new_event_loop()
    made: list[Lease] = []
    thread = threading.Thread(target=lambda: made.append(Lease(Slots(1), loop)))
    thread.start()
    thread.join()
    loop.close()
    log: list[str] = []
    made[0].lend()
    made[0].take_back(starter(log, "resumed"))
    made[0].take_back_now()
    assert log == ["resumed"]

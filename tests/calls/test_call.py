from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from fchains import CallTimeout
from fchains.calls.call import Call
from fchains.calls.cell import Cell
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload

DONE = Success(Payload(b"done"))


def failed(kind: FailureKind = FailureKind.USER) -> Failed:
    return Failed(kind, failure_of(ValueError("no")))


class Opener:
    """Values are their bytes; each error is a new one."""

    def value(self, payload: Payload) -> bytes:
        return bytes(payload.body)

    def error(self, failed: Failed) -> BaseException:
        return ValueError("no")


class Work:
    """Counts how often it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


def made() -> tuple[Call[Any], Cell, Work]:
    cell, work = Cell(), Work()
    return Call("1", "f", cell, Opener(), work), cell, work


async def test_it_is_awaited_before_and_after_its_end_and_more_than_once() -> None:
    call, cell, _ = made()
    waiting = asyncio.ensure_future(_await(call))
    await asyncio.sleep(0)
    cell.settle(DONE)
    assert await waiting == b"done"
    assert await call == b"done"


async def test_a_failure_is_raised_anew_each_time() -> None:
    call, cell, _ = made()
    cell.settle(failed())
    errors: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(ValueError, match="no") as caught:
            await call
        errors.append(caught.value)
    assert errors[0] is not errors[1]


async def test_cancelling_the_task_that_waits_cancels_the_work() -> None:
    call, cell, work = made()
    waiting = asyncio.ensure_future(_await(call))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled == 1
    cell.settle(failed(FailureKind.CANCELLED))


def test_an_outcome_for_a_loop_that_is_closed_is_kept_for_others() -> None:
    call, cell, _ = made()

    async def give_up() -> None:
        waiting = asyncio.ensure_future(_await(call))
        await asyncio.sleep(0)
        waiting.get_loop().call_soon(waiting.get_loop().stop)
        await waiting

    loop = asyncio.new_event_loop()
    work = loop.create_task(give_up())
    loop.run_forever()
    cell.settle(DONE)
    assert call.result(10) == b"done"
    work.cancel()
    loop.run_until_complete(asyncio.gather(work, return_exceptions=True))
    loop.close()


def test_sync_code_waits_for_the_result_from_another_thread() -> None:
    call, cell, _ = made()
    threading.Thread(target=cell.settle, args=(DONE,)).start()
    assert call.result(10) == b"done"
    assert call.exception() is None


def test_waiting_that_takes_too_long_leaves_the_call_alone() -> None:
    call, cell, work = made()
    with pytest.raises(CallTimeout, match="not done after 0 s; the call goes on"):
        call.result(timeout=0)
    assert work.cancelled == 0
    cell.settle(DONE)
    assert call.done()
    assert not call.cancel()


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_failure_that_nobody_asks_for_is_logged_once(
    settled_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    call, cell, _ = made()
    if settled_first:
        cell.settle(failed())
    del call
    gc.collect()
    cell.settle(failed())
    assert caplog.text.count("nobody asked for its result") == 1


def test_a_failure_that_was_asked_for_or_forgotten_or_cancelled_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked, forgotten, cancelled = made(), made(), made()
    asked[1].settle(failed())
    assert isinstance(asked[0].exception(), ValueError)
    forgotten[0].forget()
    forgotten[1].settle(failed())
    cancelled[1].settle(failed(FailureKind.CANCELLED))
    del asked, forgotten, cancelled
    gc.collect()
    assert caplog.text == ""


def test_a_forgotten_call_can_still_be_asked() -> None:
    call, cell, _ = made()
    call.forget()
    threading.Thread(target=cell.settle, args=(DONE,)).start()
    assert call.result(10) == b"done"


async def _await(call: Call[Any]) -> Any:
    return await call

from __future__ import annotations

import asyncio
import threading

import pytest

from fchains.calls.portal import Portal


def test_functions_run_in_the_order_they_were_posted_in_its_own_thread() -> None:
    portal, seen, over = Portal("test"), list[object](), threading.Event()
    for number in range(3):
        portal.post(seen.append, number)
    portal.post(lambda: seen.append(portal.here))
    portal.post(over.set)
    assert over.wait(10)
    assert seen == [0, 1, 2, True]
    assert not portal.here
    portal.close()


def test_its_end_cancels_what_runs_once_and_waits_for_it() -> None:
    portal, log, began = Portal("test"), list[str](), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            log.append("ended in peace")
            raise

    working = portal.submit(work())
    assert began.wait(10)
    working.cancel()
    portal.close()
    assert log == ["ended in peace"]
    assert portal.loop.is_closed()


def test_what_is_posted_after_its_end_is_dropped() -> None:
    portal = Portal("test")
    portal.close()
    portal.post(pytest.fail, "it ran")

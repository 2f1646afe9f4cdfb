"""Waiting for several calls: results in order, the first failure cancels the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, cast

import pytest

from fchains import NotSupported, gather


class Work:
    """Work whose end the test decides."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self.future.__await__()

    def cancel(self) -> bool:
        self.cancelled = self.cancelled or not self.future.done()
        return self.cancelled

    def end(self, result: object) -> Work:
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)
        return self


async def test_results_come_in_the_order_of_the_calls() -> None:
    first, second = Work(), Work()
    waiting = asyncio.ensure_future(gather(first, second))
    await asyncio.sleep(0)
    second.end("second")
    await asyncio.sleep(0)
    first.end("first")
    assert await waiting == ("first", "second")


async def test_no_calls_give_no_results() -> None:
    none: list[Work] = []
    assert await gather(*none) == ()


async def test_the_first_failure_cancels_what_is_not_done() -> None:
    done, failing, pending = Work(), Work(), Work()
    waiting = asyncio.ensure_future(gather(done, failing, pending))
    await asyncio.sleep(0)
    done.end(1)
    failing.end(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await waiting
    assert pending.cancelled
    assert not done.cancelled
    assert not failing.cancelled


async def test_of_failures_at_the_same_time_none_is_left_unretrieved() -> None:
    with pytest.raises(ValueError, match="first"):
        await gather(Work().end(ValueError("first")), Work().end(ValueError("second")))


async def test_cancelling_the_task_that_waits_cancels_all() -> None:
    works = [Work(), Work()]
    waiting = asyncio.ensure_future(gather(*works))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert all(work.cancelled for work in works)


async def test_a_list_of_calls_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"write gather\(\*calls\)"):
        await gather(cast("Any", [Work()]))


def test_sync_code_is_told_to_ask_for_results() -> None:
    with pytest.raises(NotSupported, match=r"a\.result\(\), b\.result\(\)"):
        asyncio.run(gather())

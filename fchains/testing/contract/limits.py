"""Deadlines, cancellation, retries, overload, and what is printed."""

from __future__ import annotations

import asyncio

import pytest

from fchains.calls.loglines import LogLine
from fchains.calls.runner import Capability
from fchains.errors import CallCancelled, CallTimeout, Overloaded
from fchains.testing.contract import chainlets as c
from fchains.testing.contract.base import ContractPart, LogBook, needs

PATIENCE = 20.0
"""Seconds after which a test that waits in vain fails."""


class LimitsContract(ContractPart):
    """Calls that must end before they are done."""

    async def test_a_call_past_its_timeout_fails_and_the_next_one_works(self) -> None:
        with pytest.raises(CallTimeout, match=r"0\.1 s"):
            await c.too_slow.remote()
        with pytest.raises(TimeoutError):
            await c.too_slow_sync.remote()

    async def test_the_timeout_can_be_set_for_a_handle(self) -> None:
        with pytest.raises(CallTimeout, match=r"0\.05 s"):
            await c.too_slow.options(timeout=0.05).remote()

    async def test_code_that_cannot_be_interrupted_gives_way_to_a_successor(self) -> None:
        with pytest.raises(CallTimeout):
            await c.blocked.remote(1.0)
        assert await c.blocked.remote(0.0) == "done"

    @needs(Capability.REPLICAS)
    async def test_the_message_of_a_timeout_names_the_line_where_the_code_was(self) -> None:
        with pytest.raises(CallTimeout, match=r"chainlets\.py:\d+ in blocked"):
            await c.blocked.remote(1.0)

    @needs(Capability.NESTING)
    async def test_a_callee_gets_what_its_callers_deadline_leaves(self) -> None:
        above = await c.remaining_below.options(timeout=5).remote()
        assert above is not None
        assert above <= 5

    @needs(Capability.REPLICAS, Capability.CANCELLATION)
    @pytest.mark.parametrize("kind", ["async", "sync"])
    async def test_cancelling_a_call_frees_the_caller_and_reaches_the_code(self, kind: str) -> None:
        wait, name = (c.wait_async, "cancel") if kind == "async" else (c.wait_sync, "cancel sync")
        call = wait.remote(name)
        await c.wait_for_note.remote(f"{name} began")
        assert call.cancel()
        with pytest.raises(CallCancelled):
            await call
        ending = "cancelled" if kind == "async" else "stopped by CallCancelled"
        await c.wait_for_note.remote(f"{name} {ending}")
        assert not call.cancel()

    @needs(Capability.REPLICAS, Capability.CANCELLATION)
    async def test_cancelling_the_task_that_awaits_cancels_the_call(self) -> None:
        async def wait() -> str:
            return await c.wait_async.remote("task")

        task = asyncio.create_task(wait())
        await c.wait_for_note.remote("task began")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await c.wait_for_note.remote("task cancelled")

    @needs(Capability.REPLICAS, Capability.CANCELLATION, Capability.NESTING)
    async def test_cancellation_goes_down_the_whole_chain(self) -> None:
        call = c.wait_below.remote("below")
        await c.wait_for_note.remote("below began")
        call.cancel()
        await c.wait_for_note.remote("below cancelled")

    @needs(Capability.REPLICAS, Capability.CANCELLATION, Capability.NESTING)
    async def test_calls_left_running_by_their_caller_are_cancelled(self) -> None:
        await c.leave_children.remote("orphan")
        await c.wait_for_note.remote("orphan cancelled")

    @needs(Capability.REPLICAS, Capability.CANCELLATION)
    async def test_an_innocent_call_in_the_same_replica_goes_on(self) -> None:
        innocent, guilty = c.wait_sync.remote("innocent"), c.wait_sync.remote("guilty")
        await c.wait_for_note.remote("innocent began")
        await c.wait_for_note.remote("guilty began")
        guilty.cancel()
        await c.wait_for_note.remote("guilty stopped by CallCancelled")
        await c.add_note.remote("go innocent")
        assert await innocent == "innocent"

    @needs(Capability.REPLICAS)
    async def test_named_user_errors_are_retried_until_they_pass(self) -> None:
        assert await c.attempts.options(retries=c.RETRY_CONNECTION).remote("passes", 3) == 3

    @needs(Capability.REPLICAS)
    async def test_attempts_are_counted_in_total_and_the_last_error_is_raised(self) -> None:
        with pytest.raises(ConnectionError, match="attempt 3"):
            await c.attempts.options(retries=c.RETRY_CONNECTION).remote("fails", 9)
        notes = await c.read_journal.remote()
        assert len([note for note in notes if note.startswith("fails attempt")]) == 3

    @needs(Capability.REPLICAS)
    async def test_user_errors_that_are_not_named_are_not_retried(self) -> None:
        with pytest.raises(ConnectionError, match="attempt 1"):
            await c.attempts.options(retries=5).remote("unnamed", 9)

    @needs(Capability.REPLICAS, Capability.NESTING)
    async def test_a_full_queue_refuses_at_once_and_the_accepted_calls_finish(self) -> None:
        first, second = c.narrow.remote("first"), c.narrow.remote("second")
        third = c.narrow.remote("third")
        with pytest.raises(Overloaded, match="1 call"):
            await third
        for name in ("first", "second"):
            await c.add_note.remote(f"go {name}")
        assert (await first, await second) == ("first", "second")


class LogsContract(ContractPart):
    """What user code prints and logs."""

    @needs(Capability.LOGS)
    async def test_prints_and_logs_arrive_line_by_line_with_chainlet_and_replica(
        self, log_book: LogBook
    ) -> None:
        await c.speak.remote("hello")
        expected = {("stdout", "said hello"), ("stderr", "shouted hello"), ("WARNING", "logged hello")}

        def spoken() -> list[LogLine]:
            return [line for line in log_book.lines if line.chainlet == "speak"]

        # A line may come later than the result: they take different ways.
        async with asyncio.timeout(PATIENCE):
            while not expected <= {(line.stream, line.text) for line in spoken()}:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert all(line.replica and line.call_id for line in spoken())

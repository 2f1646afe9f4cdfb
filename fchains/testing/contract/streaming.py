"""Streams of items, both ways."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest

from fchains.calls.runner import Capability
from fchains.errors import FchainsError
from fchains.testing.contract import chainlets as c
from fchains.testing.contract.base import ContractPart, needs

WINDOW = 16


async def numbers(to: int, fail_at: int = -1) -> AsyncIterator[int]:
    for number in range(to):
        if number == fail_at:
            raise LookupError("the source failed")
        yield number


class StreamingContract(ContractPart):
    """Generators, and streamed parameters."""

    @needs(Capability.STREAMS)
    async def test_items_arrive_in_order_and_none_is_missing(self) -> None:
        assert [item async for item in c.count.remote(100)] == list(range(100))
        assert [item async for item in c.count_sync.remote(100)] == list(range(100))

    @needs(Capability.STREAMS)
    async def test_awaiting_a_stream_collects_it(self) -> None:
        assert await c.count.remote(3) == [0, 1, 2]
        stream = c.count.remote(3)
        assert await anext(stream) == 0
        with pytest.raises(FchainsError, match="read from already"):
            await stream

    @needs(Capability.STREAMS)
    def test_sync_code_reads_with_for(self) -> None:
        assert list(c.count.remote(40)) == list(range(40))

    @needs(Capability.STREAMS)
    async def test_an_empty_stream_ends_at_once(self) -> None:
        assert await c.count.remote(0) == []

    @needs(Capability.STREAMS)
    @pytest.mark.parametrize("kind", ["async", "sync"])
    async def test_an_exception_comes_after_the_items_before_it(self, kind: str) -> None:
        generator = c.count if kind == "async" else c.count_sync
        seen: list[int] = []
        with pytest.raises(RuntimeError, match="failed at 20"):
            async for item in generator.remote(50, fail_at=20):
                seen.append(item)
        assert seen == list(range(20))

    @needs(Capability.STREAMS, Capability.NESTING)
    async def test_streams_pass_through_two_hops(self) -> None:
        assert await c.double_all.remote(50) == [2 * number for number in range(50)]

    @needs(Capability.REPLICAS, Capability.STREAMS)
    @pytest.mark.parametrize("kind", ["async", "sync"])
    async def test_a_slow_reader_pauses_the_writer(self, kind: str) -> None:
        generator, name = (c.endless, "paused") if kind == "async" else (c.endless_sync, "paused sync")
        async with generator.remote(name) as stream:
            assert await anext(stream) == 0
            await c.wait_for_note.remote(f"{name} made {WINDOW - 1}")
            made = len([note for note in await c.read_journal.remote() if note.startswith(f"{name} made")])
            assert made <= WINDOW + 1
            # It goes on once items are taken.
            for _ in range(WINDOW):
                await anext(stream)
            await c.wait_for_note.remote(f"{name} made {WINDOW + 2}")

    @needs(Capability.REPLICAS, Capability.STREAMS, Capability.CANCELLATION)
    @pytest.mark.parametrize("kind", ["async", "sync"])
    @pytest.mark.parametrize("how", ["aclose", "with", "cancel", "forget"])
    async def test_a_stream_left_early_reaches_the_generators_finally(self, how: str, kind: str) -> None:
        generator = c.endless if kind == "async" else c.endless_sync
        name = f"{how} {kind}"
        stream = generator.remote(name)
        assert await anext(stream) == 0
        match how:
            case "aclose":
                await stream.aclose()
            case "with":
                async with stream:
                    pass
            case "cancel":
                stream.cancel()
            case _:
                del stream
                gc.collect()
        await c.wait_for_note.remote(f"{name} left")

    @needs(Capability.STREAMS, Capability.CANCELLATION)
    async def test_a_stream_that_was_left_gives_nothing_more(self) -> None:
        stream = c.count.remote(10)
        assert await anext(stream) == 0
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    @needs(Capability.STREAMS)
    async def test_a_streamed_parameter_is_read_by_the_callee(self) -> None:
        assert await c.total.remote(numbers(100)) == 4950

    @needs(Capability.STREAMS)
    async def test_streams_go_both_ways_at_once(self) -> None:
        assert await c.running_total.remote(numbers(40)) == [n * (n + 1) // 2 for n in range(40)]

    @needs(Capability.STREAMS)
    async def test_a_failing_source_reaches_the_callee_and_comes_back(self) -> None:
        with pytest.raises(LookupError, match="the source failed"):
            await c.total.remote(numbers(10, fail_at=5))

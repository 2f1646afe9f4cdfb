"""A function over many items."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fchains.calls.runner import Capability
from fchains.errors import FchainsError, InvalidArguments
from fchains.testing.contract import chainlets as c
from fchains.testing.contract.base import ContractPart, needs


async def arriving(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


class MappingContract(ContractPart):
    """`.map()` and `.starmap()`."""

    async def test_results_come_in_the_order_of_the_items(self) -> None:
        assert await c.add.map(range(200)) == list(range(1, 201))

    def test_sync_code_maps_with_for(self) -> None:
        assert list(c.add.map(range(5))) == [1, 2, 3, 4, 5]

    async def test_no_items_give_no_results(self) -> None:
        assert await c.add.map([]) == []

    async def test_items_may_come_from_an_async_iterator(self) -> None:
        assert await c.add.map(arriving(100)) == list(range(1, 101))

    def test_sync_code_may_map_an_async_iterator(self) -> None:
        assert list(c.add.map(arriving(10))) == list(range(1, 11))

    async def test_shared_arguments_and_tuples_of_arguments(self) -> None:
        assert await c.add.map([1, 2], kwargs={"b": 10}) == [11, 12]
        assert await c.add.starmap([(1, 2), (3, 4)]) == [3, 7]

    async def test_unordered_results_are_complete(self) -> None:
        assert sorted(await c.add.map(range(100), ordered=False)) == list(range(1, 101))

    async def test_an_infinite_iterator_is_read_only_as_far_as_the_window(self) -> None:
        counter = itertools.count()
        async with c.add.map(counter, max_in_flight=4) as results:
            assert [await anext(results) for _ in range(10)] == list(range(1, 11))
        assert next(counter) <= 16

    async def test_the_first_failure_in_order_comes_after_the_results_before_it(self) -> None:
        seen: list[int] = []
        with pytest.raises(InvalidArguments):
            async for result in c.add.map([1, 2, "x", 4]):  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
                seen.append(result)
        assert seen == [2, 3]

    async def test_failures_can_be_returned_in_place(self) -> None:
        items: list[Any] = [1, "x", 3]
        results = await c.add.map(items, return_exceptions=True)
        assert results[::2] == [2, 4]
        assert isinstance(results[1], InvalidArguments)

    async def test_a_failure_of_the_items_iterator_propagates_after_the_results_before_it(self) -> None:
        def failing() -> Iterator[int]:
            yield 1
            raise LookupError("no more")

        seen: list[int] = []
        with pytest.raises(LookupError, match="no more"):
            async for result in c.add.map(failing()):
                seen.append(result)
        assert seen == [2]

    async def test_a_map_narrows_its_window_instead_of_failing_with_overloaded(self) -> None:
        assert await c.narrow_map.map(range(60)) == list(range(1, 61))


class BatchingContract(ContractPart):
    """`@batched` functions, called one item at a time."""

    async def test_each_caller_gets_the_result_of_its_item(self) -> None:
        assert await c.square.map(range(12)) == [n * n for n in range(12)]

    @needs(Capability.BATCHING)
    async def test_concurrent_calls_share_executions(self) -> None:
        assert max(await c.batch_sizes.map(range(16))) > 1

    async def test_a_failed_item_and_a_bad_item_fail_alone(self) -> None:
        items: list[Any] = [1, 13, "x", 3]
        results = await c.square.map(items, return_exceptions=True)
        assert results[0] == 1
        assert results[3] == 9
        assert isinstance(results[1], ValueError)
        assert isinstance(results[2], InvalidArguments)

    async def test_a_wrong_number_of_results_fails_the_batch_with_both_numbers(self) -> None:
        with pytest.raises(FchainsError, match="0 for 1"):
            await c.short_batch.remote(1)

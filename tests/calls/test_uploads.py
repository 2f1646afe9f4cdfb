from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fchains import chainlet

Floats = npt.NDArray[np.float64]


@chainlet
async def smallest_and_largest(arrays: AsyncIterator[Floats]) -> list[tuple[float, float]]:
    return [(float(array.min()), float(array.max())) async for array in arrays]


def filled_again(times: int) -> Iterator[Floats]:
    array = np.zeros(10_000)
    for value in range(times):
        array[:] = value
        yield array


async def filled_again_at_once(times: int) -> AsyncIterator[Floats]:
    for array in filled_again(times):
        yield array


@pytest.mark.usefixtures("fchains_inline")
@pytest.mark.parametrize("source", [filled_again, filled_again_at_once], ids=["sync", "async"])
async def test_a_source_may_use_one_array_for_all_of_its_items(
    source: Callable[[int], Any],
) -> None:
    seen = await smallest_and_largest.remote(source(40))
    assert seen == [(value, value) for value in range(40)]

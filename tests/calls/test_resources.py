from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import Chainlet, SetupError, chainlet, setup, use

NOTHING: list[int] = []


@setup
def yields_nothing() -> Iterator[int]:
    yield from NOTHING


@setup
async def yields_nothing_async() -> AsyncIterator[int]:
    for item in NOTHING:
        yield item


@setup
def stops() -> int:
    return next(iter(NOTHING))


@chainlet
def of_nothing(*, value: int = use(yields_nothing)) -> int:
    return value


@chainlet
def of_nothing_async(*, value: int = use(yields_nothing_async)) -> int:
    return value


@chainlet
def of_stop(*, value: int = use(stops)) -> int:
    return value


@pytest.mark.parametrize(
    ("function", "reason"),
    [(of_nothing, "ended without"), (of_nothing_async, "ended without"), (of_stop, "StopIteration")],
    ids=["generator", "async generator", "function"],
)
def test_a_setup_that_makes_nothing_fails_and_says_why(
    fchains_inline: object, function: Chainlet[..., int, [], int], reason: str
) -> None:
    with pytest.raises(SetupError, match=reason):
        function.remote().result(timeout=10)

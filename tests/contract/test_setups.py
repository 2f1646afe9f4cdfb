"""Resources: made once, torn down in reverse, and failures that reach those who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import SetupError, chainlet, gather, setup, use, use_runner

notes: list[str] = []


@setup
def engine() -> Iterator[str]:
    notes.append("engine made")
    yield "engine"
    notes.append("engine torn down")


@setup
async def model(*, engine: str = use(engine)) -> AsyncIterator[str]:
    notes.append("model made")
    await asyncio.sleep(0)
    yield f"model on {engine}"
    notes.append("model torn down")


@setup
def broken_after_engine(*, engine: str = use(engine)) -> str:
    raise LookupError(f"no weights for {engine}")


@setup
def fails_when_torn_down() -> Iterator[int]:
    yield 1
    raise ValueError("could not be torn down")


@chainlet(replicas=1, concurrency=8)
def answer(question: str, *, model: str = use(model)) -> str:
    if question == "bad":
        raise KeyError(question)
    return f"{model}: {question}"


@chainlet(replicas=1)
def never_ready(*, weights: str = use(broken_after_engine)) -> str:
    return weights


@chainlet(replicas=1)
def tidies_badly(*, number: int = use(fails_when_torn_down)) -> int:
    return number


@pytest.fixture(autouse=True)
def fresh() -> None:
    notes.clear()


async def test_a_resource_is_made_once_for_calls_at_the_same_time_and_torn_down_in_reverse() -> None:
    async with use_runner("inline"):
        answers = await gather(*(answer.remote(f"{number}") for number in range(20)))
        with pytest.raises(KeyError):
            await answer.remote("bad")
        assert notes == ["engine made", "model made"]
    assert answers == tuple(f"model on engine: {number}" for number in range(20))
    assert notes == ["engine made", "model made", "model torn down", "engine torn down"]


async def test_everybody_who_waits_hears_of_a_failed_setup_promptly_with_its_cause() -> None:
    async with use_runner("inline"):
        began = time.monotonic()
        calls = [never_ready.remote() for _ in range(5)]
        for call in calls:
            with pytest.raises(SetupError, match=r"broken_after_engine.*no weights for engine") as caught:
                await call
            assert isinstance(caught.value.__cause__, LookupError)
        assert time.monotonic() - began < 5
    assert notes[:2] == ["engine made", "engine torn down"]


@pytest.mark.slow
async def test_a_setup_that_goes_on_failing_is_not_tried_without_end() -> None:
    async with use_runner("inline"):
        for _ in range(6):
            with pytest.raises(SetupError):
                await never_ready.remote()
    assert notes.count("engine made") <= 3


async def test_a_teardown_that_fails_is_told_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with use_runner("inline"):
        assert await tidies_badly.remote() == 1
        assert await answer.remote("still") == "model on engine: still"
    assert "model torn down" in notes
    assert "could not be torn down" in caplog.text

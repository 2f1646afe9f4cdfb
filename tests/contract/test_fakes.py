from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fchains import DefinitionError, use_runner
from fchains.testing.contract import chainlets as c
from fchains.testing.recording import RecordingRunner


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


async def test_a_fake_runs_in_place_of_the_chainlet_and_may_record() -> None:
    seen: list[int] = []

    def fake(a: int, b: int = 1) -> int:
        seen.append(a)
        return 100 + a + b

    with c.add.override(fake):
        assert await c.add.remote(1) == 102
        assert await c.fan_out.remote([1, 2]) == [102, 103]
    assert sorted(seen) == [1, 1, 2]
    assert await c.add.remote(1) == 2


async def test_a_fake_may_be_async_and_its_result_is_checked_like_the_originals() -> None:
    async def fake(a: int, b: int = 1) -> int:
        return a * b

    def wrong(a: int, b: int = 1) -> int:
        return "text"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    with c.add.override(fake):
        assert await c.add.remote(3, 4) == 12
    with c.add.override(wrong), pytest.raises(Exception, match="result of add"):
        await c.add.remote(1)


async def test_a_fake_that_cannot_be_called_as_the_original_is_refused_with_its_place() -> None:
    def fake(z: int) -> int:
        return z

    with pytest.raises(DefinitionError, match=r"test_fakes\.py:\d+.*fake of add"):
        c.add.override(fake)


async def test_a_fake_may_leave_out_the_injected_parameters() -> None:
    with c.times_made.override(lambda: 42):
        assert await c.times_made.remote() == 42


async def test_a_generator_is_faked_by_a_generator_of_either_kind() -> None:
    async def fake(to: int, fail_at: int = -1) -> AsyncIterator[int]:
        for number in range(to):
            yield -number

    with c.count.override(fake):
        assert await c.count.remote(3) == [0, -1, -2]
    with pytest.raises(DefinitionError, match="generator"):
        c.count.override(c.add.__wrapped__)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def test_a_batched_chainlet_is_faked_one_item_at_a_time() -> None:
    with c.square.override(lambda one: -one):
        assert await c.square.map([1, 2]) == [-1, -2]


async def test_a_resource_is_replaced_for_the_length_of_the_block() -> None:
    mine = [0, 0]
    with c.tally.override(mine):
        assert await c.times_made.remote() == 3
        assert c.times_made() == 4
    assert mine == [0, 0, 1, 1]
    assert await c.times_made.remote() == 1


async def test_a_resource_that_cannot_be_made_is_never_made_when_it_is_replaced() -> None:
    with c.broken.override(7):
        assert await c.needs_broken.remote() == 7


async def test_overrides_nest_and_end_in_order() -> None:
    with c.broken.override(1):
        with c.broken.override(2):
            assert await c.needs_broken.remote() == 2
        assert await c.needs_broken.remote() == 1


async def test_a_recording_runner_keeps_calls_with_their_outcomes() -> None:
    runner = RecordingRunner()
    async with use_runner(runner):
        await c.fan_out.remote([1, 2])
        with pytest.raises(KeyError):
            await c.fail.remote("key")
        assert await c.count.remote(2) == [0, 1]
    assert [call.chainlet for call in runner.calls] == ["fan_out", "add", "add", "fail", "count"]
    added = runner.of("add")[0]
    assert added.arguments == {"a": 1}
    assert (added.caller, added.result, added.done) == ("fan_out", 2, True)
    assert isinstance(runner.of("fail")[0].error, KeyError)
    assert runner.of("count")[0].items == [0, 1]

import asyncio
from collections.abc import AsyncIterator

import pytest

import tokens
from fchains import use_runner

LOUD = "THE ANSWER TO THAT IS STREAMING : NOBODY WAITS FOR THE END OF THE STORY"


def test_fillers_are_left_out_and_the_rest_is_in_capitals() -> None:
    with use_runner("inline"):
        assert list(tokens.loud.remote(0.0)) == LOUD.split()


def test_the_program_prints_the_tokens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TEXT", "well this um works")

    tokens.main()

    assert capsys.readouterr().out == "THIS WORKS \n"


async def test_a_token_arrives_before_the_next_one_is_made() -> None:
    go_on = asyncio.Event()

    async def slow(pause: float) -> AsyncIterator[str]:
        yield "first"
        await go_on.wait()
        yield "second"

    with tokens.tokens.override(slow):
        async with use_runner("inline"):
            stream = tokens.loud.remote(0.0)
            assert await anext(stream) == "FIRST"
            go_on.set()
            assert [token async for token in stream] == ["SECOND"]


async def test_a_reader_who_leaves_stops_the_generator_at_the_far_end() -> None:
    stopped = asyncio.Event()

    async def endless(pause: float) -> AsyncIterator[str]:
        try:
            while True:
                yield "again"
                await asyncio.sleep(0)
        finally:
            stopped.set()

    with tokens.tokens.override(endless):
        async with use_runner("inline"), tokens.loud.remote(0.0) as stream:
            assert await anext(stream) == "AGAIN"
            await stream.aclose()
            await asyncio.wait_for(stopped.wait(), timeout=5)

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import ClassVar

import pytest

from fchains import CallTimeout, NotSupported, Volume, chainlet, setup, use, use_runner
from fchains.testing.inline import InlineRunner


class Model:
    """A model that can go bad."""

    made = 0

    def __init__(self) -> None:
        Model.made += 1
        self.number = Model.made
        self.well = True


@setup
def model() -> Model:
    return Model()


def is_well(*, loaded: Model = use(model)) -> bool:
    return loaded.well


@chainlet(replicas=1, health=is_well)
def spoil(*, loaded: Model = use(model)) -> int:
    loaded.well = False
    return loaded.number


@chainlet(env={"FCHAINS_TEST_COLOR": "blue"})
def color() -> str:
    return os.environ["FCHAINS_TEST_COLOR"]


@chainlet(volumes={"/somewhere": Volume("data")})
def look() -> bool:
    return True


async def test_a_replica_whose_health_function_says_no_gets_a_successor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with use_runner(InlineRunner(health_interval=0.001)):
        first = await spoil.remote()
        while await spoil.remote() == first:
            pass
    assert "its health function says no" in caplog.text


async def test_the_environment_of_a_chainlet_is_there_while_it_runs_and_gone_afterwards() -> None:
    async with use_runner("inline"):
        assert await color.options(timeout=5).remote() == "blue"
    assert "FCHAINS_TEST_COLOR" not in os.environ


async def test_chainlets_that_want_different_values_of_a_variable_cannot_share_this_process() -> None:
    @chainlet(env={"FCHAINS_TEST_COLOR": "red"})
    async def colors() -> list[str]:
        return [os.environ["FCHAINS_TEST_COLOR"], await color.remote()]

    async with use_runner("inline"):
        with pytest.raises(NotSupported, match="FCHAINS_TEST_COLOR"):
            await colors.remote()


async def test_volumes_are_not_mounted_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with use_runner("inline"):
            assert await look.remote()
    assert "mounts no volumes; /somewhere" in caplog.text


class Gate:
    """What the test and the code under test share, in this one process."""

    began = threading.Event()
    leave = threading.Event()
    runs: ClassVar[list[str]] = []


@chainlet(replicas=1, timeout=0.1, grace=0.05)
def deaf(name: str) -> str:
    Gate.runs.append(name)
    if name == "stuck":
        Gate.began.set()
        Gate.leave.wait()
    return name


async def test_a_call_that_waits_in_a_stuck_replica_goes_to_the_successor_and_runs_once() -> None:
    async with use_runner("inline"):
        stuck = deaf.remote("stuck")
        await asyncio.to_thread(Gate.began.wait)
        waiting = deaf.remote("waiting")
        try:
            with pytest.raises(CallTimeout):
                await stuck
            assert await waiting == "waiting"
        finally:
            Gate.leave.set()
    assert Gate.runs == ["stuck", "waiting"]

"""Ctrl-C at a real process."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Program

pytestmark = pytest.mark.slow

CHAIN = """\
import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from fchains import chainlet, setup, use

@setup
def resource() -> Iterator[int]:
    yield 1
    print("torn down", flush=True)

@chainlet
async def waits(*, x: int = use(resource)) -> int:
    print("started", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)
    return 1

@chainlet
async def reads(values: AsyncIterator[int], *, x: int = use(resource)) -> int:
    print("started", flush=True)
    return sum([value async for value in values])

@chainlet
async def outer() -> int:
    return await waits.remote()

@setup
def slow_to_go() -> Iterator[int]:
    yield 1
    print("going", flush=True)
    threading.Event().wait()

@chainlet
def hangs(*, x: int = use(slow_to_go)) -> int:
    print("started", flush=True)
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def start(folder: Path, program: Program) -> Program:
    """Starts a chainlet, and waits until it runs."""
    (folder / "chain.py").write_text(CHAIN)

    def run(*arguments: str) -> "subprocess.Popen[str]":
        process = program("run", *arguments)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("target", ["waits", "outer"])
def test_the_first_one_cancels_the_call_and_tears_the_resources_down(start: Program, target: str) -> None:
    process = start(f"chain.py::{target}")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert out == "cancelled\ntorn down\n"
    assert err.strip().startswith("interrupted: ")
    assert "Traceback" not in err
    assert not alive(process.pid)


def test_standard_input_that_never_ends_does_not_keep_it(start: Program) -> None:
    process = start("chain.py::reads", "--values", "-")

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    assert process.stdout is not None
    assert process.stdout.read() == "torn down\n"


def test_the_second_one_ends_it_at_once(start: Program) -> None:
    process = start("chain.py::hangs")
    assert process.stdout is not None

    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "going\n"
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130

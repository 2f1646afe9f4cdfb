from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from collections.abc import AsyncIterator, Iterator
from fchains import chainlet, setup, use

@setup
async def client() -> AsyncIterator[int]:
    yield 1
    print("client down")

@setup
def model(client: int = use(client)) -> Iterator[int]:
    yield client + 1
    print("model down")

@chainlet
def scale(value: int, *, factor: int = use(model)) -> int:
    return value * factor

print(scale(2))
"""


OF_A_REPLICA = """
import asyncio
from collections.abc import AsyncIterator
from fchains import chainlet, setup, use

@setup
async def client() -> AsyncIterator[int]:
    yield 1
    await asyncio.to_thread(print, "client down")

@chainlet
def scale(value: int, *, factor: int = use(client)) -> int:
    return value * factor

print(scale.remote(2).result())
"""

WITH_A_THREAD = """
import threading
from collections.abc import Iterator
from fchains import chainlet, setup, use

@setup
def model() -> Iterator[int]:
    yield 1
    print("model down")

@chainlet
def scale(value: int, *, factor: int = use(model)) -> int:
    return value * factor

print(scale.remote(1).result())
main = threading.main_thread()
threading.Thread(target=lambda: (main.join(), print(scale.remote(2).result()))).start()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (SCRIPT, "4\nmodel down\nclient down\n"),
        (OF_A_REPLICA, "2\nclient down\n"),
        (WITH_A_THREAD, "1\n2\nmodel down\n"),
    ],
    ids=["plain call", "default runner", "a thread that goes on"],
)
def test_resources_are_torn_down_at_the_end_of_the_process(tmp_path: Path, source: str, printed: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(source)
    environment = {**os.environ, "FCHAINS_RUNNER": "inline"}
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment
    )
    assert (ended.stdout, ended.stderr) == (printed, "")

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fchains_local.spawning import Spawned, kill_all


def sleeper(ended: asyncio.Future[int]) -> Spawned:
    command = [sys.executable, "-S", "-c", "import time; time.sleep(1000)"]
    return Spawned(command, os.environ, [], ended.set_result)


def wait_for_zombie(pid: int) -> None:
    """Wait until a child has ended, without learning how."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        os.sched_yield()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
async def test_a_process_that_is_killed_when_it_has_just_ended_is_told_once() -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    process = Spawned([sys.executable, "-S", "-c", "raise SystemExit(3)"], os.environ, [], ended.set_result)
    wait_for_zombie(process.pid)  # the loop hears nothing meanwhile
    process.kill()
    async with asyncio.timeout(10):
        status = await ended

    assert os.waitstatus_to_exitcode(status) == 3
    process.kill()


async def test_the_signal_that_ended_a_process_is_told() -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    sleeper(ended).kill()
    async with asyncio.timeout(10):
        assert os.waitstatus_to_exitcode(await ended) == -signal.SIGKILL


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        Spawned(["/no/such/program"], os.environ, [], lambda _: None)


async def test_a_process_that_cannot_be_watched_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with pytest.raises(OSError, match="Too many open files"):
        sleeper(ended)


async def test_where_there_are_no_pidfds_a_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    sleeper(ended).kill()
    async with asyncio.timeout(10):
        assert os.waitstatus_to_exitcode(await ended) == -signal.SIGKILL


def test_killing_what_is_gone_does_nothing() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    kill_all(process.pid)

"""Large values on their way to replicas and back: all of them, unchanged, and their memory is given back."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from fchains import use_runner
from fchains_local.runner import LocalRunner
from tests.local.leftovers import become, folder, nothing_left, replicas, resident, segments, shared
from tests.local.workload import Bytes, digest_of, returned, trim, trimmed

__all__ = ["folder"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

MEGABYTE = 1 << 20


def _random(size: int, seed: int) -> Bytes:
    data = np.random.default_rng(seed).integers(0, 256, size // 100, dtype=np.uint8)
    return np.resize(data, size)  # of a length that pages do not have


async def _there_and_back(size: int, seed: int) -> int:
    data = _random(size, seed)
    digest = digest_of(data)
    back, seen, writable, pid = await returned.remote(data)
    assert seen == digest
    assert writable
    assert digest_of(back) == digest
    back[:] = 0  # writable here, too, and nobody else's
    assert digest_of(data) == digest
    return pid


async def _seen_by_both(size: int, least: int) -> set[int]:
    """Send values until two replicas have had some, two at once."""
    pids: set[int] = set()
    for seed in range(0, 100, 2):
        pids.update(await asyncio.gather(_there_and_back(size, seed), _there_and_back(size, seed + 1)))
        if len(pids) > 1 and seed >= least:
            break
    return pids


async def test_arrays_of_100_mb_go_to_two_replicas_and_back_and_leave_no_memory(folder: Path) -> None:
    gc.collect()
    gc.disable()  # memory must not wait for the cycle collector
    try:
        with nothing_left(folder):
            async with use_runner(LocalRunner()):
                await _there_and_back(MEGABYTE, 0)
                before = resident()
                assert len(await _seen_by_both(100 * 1000 * 1000, 2)) == 2
                assert segments() > 0, "large values go through shared memory"
                await become(
                    lambda: resident() - before < 30 * MEGABYTE, "the process lets go of their memory"
                )
                await become(
                    lambda: all(resident(pid) < 150 * MEGABYTE for pid in replicas()),
                    "the replicas let go of it",
                )
    finally:
        gc.enable()


async def test_shared_memory_that_is_idle_is_given_back_by_both_sides(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            pids = await _seen_by_both(20 * MEGABYTE, 2)
            assert len(pids) == 2
            assert shared() > 40 * MEGABYTE
            await become(lambda: trim() == 0, "nothing of this process is in use")
            left = set(pids)
            while left:
                pid, size = await trimmed.remote()
                if not size:
                    left.discard(pid)
            await become(lambda: shared() < MEGABYTE, "the memory is gone")
            assert await _there_and_back(20 * MEGABYTE, 1) in pids


async def test_many_values_of_a_megabyte_are_in_flight_at_once(folder: Path) -> None:
    with nothing_left(folder):
        async with use_runner(LocalRunner()):
            async with asyncio.timeout(60):
                pids = await asyncio.gather(*(_there_and_back(MEGABYTE, seed) for seed in range(150)))
            assert len(set(pids)) == 2
            gc.collect()
            # What was in flight at once fits into what the pool keeps for the next time.
            assert shared() <= 300 * MEGABYTE

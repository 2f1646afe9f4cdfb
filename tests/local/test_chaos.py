"""Replicas are killed all the time while many calls are under way: each has one outcome, and a right one."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from fchains import Call, CallCancelled, WorkerLost, use_runner
from fchains_local.runner import LocalRunner
from tests.local.leftovers import children, folder, nothing_left, replicas
from tests.local.workload import (
    CHAOS_RETRY,
    JOURNAL,
    inverted,
    mixed,
    nested,
    numbers,
    quick,
    tiny,
    total,
)

__all__ = ["folder"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

CALLS = 20_000
CALLERS = 64
KILL_SECONDS = 0.05
ALL_SECONDS = 4.0
"""Between two ends of all replicas at once: that of their template, then that of the supervisor."""

PATIENCE = 30.0
"""Seconds after which a call hangs."""

LARGE = np.arange(600_000, dtype=np.uint32).view(np.uint8)


class Killer:
    """Kills replicas one after another, and now and then what they come from, until it is told to end.

    Only replicas that have executed something: one that is killed while it starts has failed to
    start, and so has a template that imports.
    """

    def __init__(self, rng: random.Random, journal: Path) -> None:
        self.killed: collections.Counter[str] = collections.Counter()
        self._rng = rng
        self._journal = journal
        self._victims: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        stopped: list[tuple[float, int]] = []
        due = time.monotonic()
        all_at = due + ALL_SECONDS / 2
        while not self._over.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            due = max(due + KILL_SECONDS, now)
            while stopped and stopped[0][0] <= now:
                _signal(stopped.pop(0)[1], signal.SIGKILL)
            there = replicas()
            if now >= all_at:
                all_at = now + ALL_SECONDS
                if self.killed["template"] > self.killed["supervisor"]:
                    self._kill(children(os.getpid()), "supervisor")
                else:
                    self._kill([*there.values()], "template")
                continue
            up = [pid for pid in there if self._may_go(pid)]
            if self._rng.random() < 0.15:
                if pid := self._kill(up, "stopped", signal.SIGSTOP):
                    stopped.append((now + 0.1, pid))
            else:
                self._kill(up, "killed")
        for _, pid in stopped:
            _signal(pid, signal.SIGKILL)

    def _may_go(self, pid: int) -> bool:
        return pid not in self._victims and (self._journal / str(pid)).exists()

    def _kill(self, pids: list[int], kind: str, sign: signal.Signals = signal.SIGKILL) -> int:
        if not pids:
            return 0
        pid = self._rng.choice(pids)
        self._victims.add(pid)
        self.killed[kind] += 1
        _signal(pid, sign)
        return pid


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


class Callers:
    """Makes calls of all kinds, looks at every result, and counts the outcomes."""

    def __init__(self, rng: random.Random) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.once: set[str] = set()
        """Calls that may not be tried twice."""
        self.succeeded: set[str] = set()
        self.told: collections.Counter[str] = collections.Counter()
        """How often a call has said that it is done."""
        self.open: dict[int, tuple[str, float]] = {}
        """Since when calls are under way."""
        self.wrong: list[str] = []
        self.made = 0
        self._rng = rng
        self._kinds: list[Callable[[int], Awaitable[None]]] = [
            self._tiny,
            self._quick,
            self._once,
            self._map,
            self._nested,
            self._stream,
            self._upload,
            self._large,
            self._cancelled,
        ]
        self._weights = [60, 30, 10, 12, 3, 3, 3, 1, 2]

    async def work(self) -> None:
        """Make one call after another until all have been made."""
        while self.made < CALLS:
            number = self.made
            self.made += 1
            (kind,) = self._rng.choices(self._kinds, self._weights)
            self.open[number] = kind.__name__, time.monotonic()
            try:
                await kind(number)
                self.outcomes["ended well"] += 1
            except CallCancelled:
                self.outcomes["cancelled"] += 1
            except WorkerLost:
                self.outcomes[f"{kind.__name__} lost"] += 1
            except Exception as error:
                self.outcomes[type(error).__name__] += 1
                self.wrong.append(f"{kind.__name__}({number}): {error!r}")
            del self.open[number]

    def hanging(self) -> list[str]:
        """Calls that should have ended by now."""
        now = time.monotonic()
        late = {number: (kind, now - since) for number, (kind, since) in self.open.items()}
        return [f"{kind}({number}) for {age:.1f} s" for number, (kind, age) in late.items() if age > PATIENCE]

    async def _tiny(self, number: int) -> None:
        await self._one(tiny.options(retries=CHAOS_RETRY).remote(number), mixed(number))

    async def _quick(self, number: int) -> None:
        await self._one(quick.options(retries=CHAOS_RETRY).remote(number), mixed(number) ^ 1)

    async def _once(self, number: int) -> None:
        call = tiny.remote(number)
        self.once.add(call.id)
        await self._one(call, mixed(number))

    async def _nested(self, number: int) -> None:
        call = nested.options(retries=CHAOS_RETRY).remote(number)
        await self._one(call, mixed(number) + (mixed(number) ^ 1))

    async def _large(self, number: int) -> None:
        data = np.roll(LARGE, number)
        call = inverted.options(retries=CHAOS_RETRY).remote(data)
        self._watch(call)
        result = await call
        self._right(f"large {number}", bool(np.array_equal(255 - data, result)), True)

    async def _map(self, number: int) -> None:
        self.made += 9
        items = range(number, number + 10)
        results: list[int] = []
        async for result in tiny.options(retries=CHAOS_RETRY).map(items, max_in_flight=4):
            results.append(result)
            self._right(f"item {len(results)} of map {number}", result, mixed(items[len(results) - 1]))
        self._right(f"map {number}", len(results), 10)

    async def _stream(self, number: int) -> None:
        count = self._rng.randrange(25)
        wanted = number
        async for item in numbers.options(retries=CHAOS_RETRY).remote(number, count):
            self._right(f"item of stream {number}", item, wanted)
            wanted += 1
        self._right(f"stream {number}", wanted, number + count)

    async def _upload(self, number: int) -> None:
        count = self._rng.randrange(25)

        async def items() -> AsyncIterator[int]:
            for item in range(number, number + count):
                yield item

        call = total.options(retries=CHAOS_RETRY).remote(items())
        await self._one(call, sum(range(number, number + count)))

    async def _cancelled(self, number: int) -> None:
        call = quick.remote(number)
        self.once.add(call.id)
        self._watch(call)
        if self._rng.random() < 0.5:
            await asyncio.sleep(self._rng.random() * 0.005)
        call.cancel()
        self._right(f"quick {number}", await call, mixed(number) ^ 1)

    async def _one(self, call: Call[int], wanted: int) -> None:
        self._watch(call)
        result = await call
        self.succeeded.add(call.id)
        self._right(repr(call), result, wanted)

    def _watch(self, call: Call[Any]) -> None:
        call.when_done(lambda: self.told.update([call.id]))

    def _right(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self.wrong.append(f"{what}: {got!r}, not {wanted!r}")


class Executions:
    """What the replicas have noted down."""

    def __init__(self, journal: Path) -> None:
        lines = [line for file in journal.iterdir() for line in file.read_text().splitlines()]
        self.attempts = collections.Counter(lines)
        self.calls = collections.Counter(line.partition(" ")[0] for line in lines)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal"
    path.mkdir()
    monkeypatch.setenv(JOURNAL, str(path))
    return path


def test_whatever_is_killed_each_call_has_one_outcome_and_a_right_one(folder: Path, journal: Path) -> None:
    seed = int(os.environ.get("FCHAINS_CHAOS_SEED") or random.randrange(1 << 32))
    print(f"FCHAINS_CHAOS_SEED={seed}")
    rng = random.Random(seed)
    callers = Callers(rng)
    killer = Killer(random.Random(seed), journal)
    began = time.monotonic()
    with nothing_left(folder):
        asyncio.run(_calls(callers, killer))
    seconds = time.monotonic() - began
    print(f"{seconds:.1f} s, {callers.made / seconds:.0f} calls a second")
    print(f"outcomes: {dict(callers.outcomes)}; ended: {dict(killer.killed)}")
    executions = Executions(journal)
    assert not callers.wrong, f"{len(callers.wrong)} of them: {callers.wrong[:20]}"
    assert {call for call, times in callers.told.items() if times != 1} == set()
    assert {attempt for attempt, times in executions.attempts.items() if times > 1} == set()
    assert {call for call in callers.once if executions.calls[call] > 1} == set()
    assert {call for call in callers.succeeded if not executions.calls[call]} == set()
    assert callers.outcomes["ended well"] > 0.95 * callers.outcomes.total(), "retries do not help"
    assert killer.killed["killed"] > 20


async def _calls(callers: Callers, killer: Killer) -> None:
    async with use_runner(LocalRunner()):
        await nested.remote(1)  # what is up is killed, not what comes up
        with killer:
            working = [asyncio.create_task(callers.work()) for _ in range(CALLERS)]
            left = set(working)
            while left and not callers.hanging():
                _, left = await asyncio.wait(left, timeout=0.5)
            hanging = callers.hanging()
        for task in left:
            task.cancel()
        assert not hanging, f"{len(callers.open)} calls are open, of which these hang: {hanging}"
        for task in working:
            task.result()

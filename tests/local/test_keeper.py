from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from fchains_local.control import Coming, Message
from fchains_local.keeper import SETTLE_SECONDS, GroupKeeper
from fchains_local.process import ReplicaProcess, Stage, Watcher
from fchains_local.spec import GroupSpec

SPEC = GroupSpec(
    label="f",
    members=("f",),
    executes=(1,),
    most=(1,),
    smallest=0,
    largest=4,
    scaledown_window=60.0,
    startup_timeout=60.0,
    grace=1.0,
    memory=0,
    gpus=0,
    wants_gpu=False,
    env={},
    watched=False,
)


class Ground:
    """A supervisor whose replicas start at once and whose clients are numbers."""

    def __init__(self) -> None:
        self.closing = False
        self.running = 0
        self.held = 0.0
        self.coming: list[str] = []
        self.launched = asyncio.Queue[ReplicaProcess]()
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, row: int, column: int) -> int:
        return self.running

    def waiting(self, label: str) -> float:
        return self.held

    def tell_all(self, message: Message) -> None:
        if isinstance(message, Coming):
            self.coming.append(message.replica)

    def prepare(self, keeper: GroupKeeper, name: str) -> ReplicaProcess:
        return ReplicaProcess(name, SPEC, 0, (), Path(name), cast("Watcher", self))

    async def launch(self, process: ReplicaProcess) -> None:
        process.stage = Stage.READY
        self.launched.put_nowait(process)

    def clear(self, process: ReplicaProcess) -> None: ...

    def await_release(self, process: ReplicaProcess) -> None: ...

    def notice(self, level: int, text: str) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work))


async def test_a_call_that_a_new_replica_has_just_got_starts_no_other() -> None:
    ground = Ground()
    keeper = GroupKeeper(SPEC, ground)
    ground.held = 1.0
    keeper.look()
    keeper.is_ready(await ground.launched.get())
    ground.running = 1  # and its client has not said yet that nothing waits any more
    keeper.look()
    ground.held = 0.0
    await asyncio.sleep(2 * SETTLE_SECONDS)
    keeper.look()
    assert ground.coming == ["f-0"]


async def test_calls_that_wait_on_after_a_replica_has_come_start_another() -> None:
    ground = Ground()
    keeper = GroupKeeper(SPEC, ground)
    ground.held = 1.0
    keeper.look()
    first = await ground.launched.get()
    ground.running, ground.held = 1, 1.0
    keeper.is_ready(first)
    async with asyncio.timeout(5):
        await ground.launched.get()
    assert ground.coming == ["f-0", "f-1"]

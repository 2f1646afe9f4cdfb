"""One replica of the inline runner."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING

from fchains.calls.portal import Portal
from fchains.errors import SetupError
from fchains.worker.fleet import Phase
from fchains.worker.logs import Owner
from fchains.worker.replica import Replica

if TYPE_CHECKING:
    from fchains.testing.inline_replicas import ReplicaSet
    from fchains.testing.inline_transfer import InlineTransfer

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 30.0
"""How long teardown may take before the replica's thread is left behind."""


class InlineReplica:
    """A replica with its own event loop in a thread."""

    def __init__(self, owner: ReplicaSet, name: str) -> None:
        self.name = name
        self.watch: asyncio.Task[None] | None = None
        self.transfers: weakref.WeakSet[InlineTransfer] = weakref.WeakSet()
        self.loads: dict[str, int] = dict.fromkeys(owner.members, 0)
        self.portal = Portal(f"fchains-{name}")
        self._owner = owner
        self._starting: asyncio.Future[None] | None = None
        self.replica = Replica(owner.chain, list(owner.members.values()), name, owner.session, self)

    @property
    def open(self) -> bool:
        """Whether it is ready and not retired."""
        return self._owner.phase(self) is Phase.READY

    @property
    def busy(self) -> bool:
        """Whether any input is in it."""
        return any(self.loads.values())

    def load(self, chainlet: str) -> int:
        """Inputs of a chainlet in it, running or waiting."""
        return self.loads[chainlet]

    def grace(self, chainlet: str) -> float:
        """Seconds that code of a chainlet gets to stop in."""
        return self._owner.members[chainlet].options.grace

    async def start(self) -> None:
        """Make its resources, within the shortest startup_timeout of its members."""
        limit = min(member.options.startup_timeout for member in self._owner.members.values())
        starting = self._starting = asyncio.wrap_future(self.portal.submit(self.replica.start()))
        done, _ = await asyncio.wait([starting], timeout=limit)
        if not done:
            starting.cancel()
            raise SetupError(f"{self.name} was not ready within its startup_timeout of {limit:g} s")
        starting.result()

    def give_up(self) -> None:
        """Stop making its resources: nobody waits for them any more."""
        if self._starting is not None:
            self._starting.cancel()

    async def aclose(self) -> None:
        """Tear down and end the thread; code that does not end keeps its thread."""
        if self.watch is not None and self.watch is not asyncio.current_task():
            self.watch.cancel()
        closing = asyncio.wrap_future(self.portal.submit(self.replica.aclose()))
        if not self.busy:  # else its code ignores that it was told to stop: nobody waits for that
            await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if closing.done() and not self.busy:
            closing.result()
            try:
                await asyncio.to_thread(self.portal.close)
            except RuntimeError:  # at the very end of the process executors take nothing more
                self.portal.close(wait=False)
        else:
            logger.warning("replica %s did not shut down; its thread is left behind", self.name)

    def ended(self, chainlet: str, call: str) -> None:
        self._owner.flush(Owner(chainlet, self.name, call))
        self._owner.portal.post(self._owner.input_ended, self, chainlet)

    def stuck(self, why: str) -> None:
        self._owner.portal.post(self._owner.replace, self, why)

    def blocking(self, where: str) -> None: ...  # whoever wants to know asks `blocked`, in this process

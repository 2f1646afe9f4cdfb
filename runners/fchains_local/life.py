"""A chain under one supervisor: the private directory, and the way to the replicas."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Mapping, Sequence

from fchains.definition.spec import Definition
from fchains_local.board import ROWS, Board
from fchains_local.client import Client
from fchains_local.control import Message, Stop
from fchains_local.overseer import Overseer
from fchains_local.rundir import RunDir
from fchains_local.segments import SegmentPool
from fchains_local.spec import Spec

STOP_SECONDS = 60.0
"""How long a supervisor gets to end its replicas before nobody waits for it any more."""


class Life:
    """Lives on the portal's loop, until the chain is closed or its supervisor has died.

    Args:
        overseer: the supervisor's process.
        groups: the chainlets of each group.
        on_message: told of what the supervisor says that concerns no call.
        on_lost: told that the supervisor has ended by itself.
    """

    def __init__(
        self,
        overseer: Overseer,
        groups: Mapping[str, Sequence[Definition]],
        segments: SegmentPool,
        on_message: Callable[[Message], None],
        on_lost: Callable[[Life], None],
    ) -> None:
        self.folder = RunDir.create()
        self.client = Client(groups, self.folder.file("board"), segments, on_message, self._lost)
        self._groups = groups
        self._on_lost = on_lost
        self._overseer = overseer
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, shipment: bytes, spec: Spec) -> None:
        """Hand the chain over to the supervisor; its replicas come up later.

        Args:
            shipment: the packed chain.
            spec: what the supervisor is told; this fills in the paths.
        """
        width = max(len(members) for members in self._groups.values())
        Board.create(self.folder.file("board"), ROWS, width).close()
        file = self.folder.file("shipment")
        file.touch(mode=0o600)
        file.write_bytes(shipment)
        sock = self._overseer.keep(spec)
        self._process = self._overseer.process
        await self.client.connect(sock)

    async def how_it_ended(self) -> str:
        """What became of the supervisor, which nobody asked to end."""
        return await self._overseer.how_it_ended(self._process)

    async def stop(self, *, cancel: bool, stopped: asyncio.Event) -> None:
        """End every replica, and leave nothing."""
        if self.client.connected:
            self.client.tell(Stop(cancel))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await stopped.wait()
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the supervisor, or what was one, and let go of the private directory."""
        await self.client.aclose()
        self.folder.remove()

    def _lost(self) -> None:
        self._on_lost(self)

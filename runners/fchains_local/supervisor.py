"""The supervisor: a process of its own that keeps the replicas of its parent's chains.

It imports nothing of the user's, and ends when its parent does. The runner starts it with one
connection; on that come the chains, for each a byte with two descriptors: a connection for it, and a
file with its spec.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

from fchains_local.chain_keeper import ChainKeeper
from fchains_local.seed import Seed, plant
from fchains_local.spec import Spec

logger = logging.getLogger(__name__)

_CHUNK = 64 * 1024
_MOST_FILES = 64


class Supervisor:
    """Takes chains over until its parent is gone, or wants no more; lives on one loop."""

    def __init__(self, sock: socket.socket, seed: Seed) -> None:
        self._seed = seed
        self._sock = sock
        self._sock.setblocking(False)
        self._files: list[int] = []
        self._chains: dict[asyncio.Task[None], socket.socket] = {}
        self._over = asyncio.Event()
        self._parent: int | None = None
        self._last = False

    async def run(self, parent: int) -> None:
        """Serve until the last chain has ended.

        Args:
            parent: its process id.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._abandon)
        loop.add_reader(self._sock, self._readable)
        if hasattr(os, "pidfd_open"):  # a forked child of the parent may hold the other ends of the sockets
            with contextlib.suppress(OSError):
                self._parent = os.pidfd_open(parent)
                loop.add_reader(self._parent, self._abandon)
        await self._over.wait()

    def _readable(self) -> None:
        try:
            data, files, _, _ = socket.recv_fds(self._sock, _CHUNK, _MOST_FILES)
        except BlockingIOError:
            return
        except OSError:
            data, files = b"", []
        self._files += files
        for file in files:
            os.set_inheritable(file, False)
        while len(self._files) > 1:
            sock = socket.socket(fileno=self._files.pop(0))
            with os.fdopen(self._files.pop(0), "rb") as spec:
                spec.seek(0)
                self._keep(Spec.from_json(spec.read()), sock)
        if not data:
            self._end()

    def _keep(self, spec: Spec, sock: socket.socket) -> None:
        keeper = ChainKeeper(spec, self._seed)
        task = asyncio.get_running_loop().create_task(keeper.run(sock.dup()))
        self._chains[task] = sock
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._chains.pop(task).close()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a chain cannot be kept any longer", exc_info=error)
        if self._last and not self._chains:
            self._over.set()

    def _abandon(self) -> None:
        """The parent is gone, whoever holds its ends of the connections."""
        if self._parent is not None:  # it stays readable: the loop would do nothing else
            asyncio.get_running_loop().remove_reader(self._parent)
        for sock in (self._sock, *self._chains.values()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._last = True
        if not self._chains:
            self._over.set()


async def _main(parent: int, sock: socket.socket, seed: tuple[int, socket.socket]) -> None:
    planted = Seed(*seed)
    await Supervisor(sock, planted).run(parent)
    planted.close()


def main(arguments: Sequence[str]) -> None:
    """The program.

    Args:
        arguments: process id of the parent, and descriptor of the connection to it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, file = arguments
    os.set_inheritable(int(file), False)
    seed = plant(int(file))
    asyncio.run(_main(int(parent), socket.socket(fileno=int(file)), seed))


if __name__ == "__main__":
    main(sys.argv[1:])

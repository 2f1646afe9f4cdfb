"""A template's process and the connection to it, as the supervisor has them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fchains_local.programs import program
from fchains_local.seed import Seed, Seedling
from fchains_local.spawning import Spawned
from fchains_local.templatewire import Fork, Inbox, Message, encode, send

_CHUNK = 64 * 1024


class TemplateProcess:
    """A process that forks; lives on the running loop.

    Args:
        shipment: file of the packed chain.
        environment: all environment variables.
        seed: forks it where that can be; otherwise it is a program of its own.
        folder: its working directory, by default this process's.
        bare: whether its children load the chain, and not the template.
        on_message: told what it says.
        on_unsent: told of a request that could not be sent, and why.
        on_ended: told its status, as `os.waitpid` gives it, after all that it said.

    Raises:
        OSError: the system does not start it.
    """

    def __init__(
        self,
        shipment: Path,
        environment: Mapping[str, str],
        seed: Seed | None,
        *,
        folder: str | None,
        bare: bool,
        on_message: Callable[[Message], None],
        on_unsent: Callable[[int, OSError], None],
        on_ended: Callable[[int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_unsent = on_unsent
        self._on_ended = on_ended
        self._inbox = Inbox()
        self._at_end = False
        self._unsent: deque[tuple[int, bytes, Sequence[int]]] = deque()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                if seed is not None and seed.suits(environment):
                    self._process: Spawned | Seedling = seed.grow(
                        shipment, environment, theirs.fileno(), folder, bare=bare, on_ended=self._ended
                    )
                else:
                    arguments = [str(os.getpid()), str(theirs.fileno()), str(shipment), *(["bare"] * bare)]
                    command = program("fchains_local.template", *arguments)
                    self._process = Spawned(command, environment, [theirs.fileno()], self._ended, folder)
        except OSError:
            ours.close()
            raise
        self._sock: socket.socket | None = ours
        self._loop.add_reader(ours, self._readable)

    @property
    def connected(self) -> bool:
        """Whether it can be asked for something."""
        return self._sock is not None

    def ask(self, message: Fork, files: Sequence[int]) -> None:
        """Send a request as soon as there is room; the descriptors stay open until it is answered."""
        self._unsent.append((message.number, encode(message), files))
        self._flush()

    def forget(self, number: int) -> bool:
        """Take a request back; False once some of it has left."""
        for position, (waiting, data, files) in enumerate(self._unsent):
            if waiting == number:
                is_whole = position > 0 or bool(files) or not data
                if is_whole:
                    del self._unsent[position]
                return is_whole
        return False

    def hang_up(self) -> None:
        """Let it kill its children and end."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def _readable(self) -> None:
        if not self._read() and self._at_end:
            self.hang_up()
            self.kill()  # it is of no use any more

    def _read(self) -> bool:
        """Hear what there is; False where there is nothing."""
        try:
            data = self._sock.recv(_CHUNK) if self._sock is not None else b""
        except BlockingIOError:
            return False
        except ConnectionError:
            data = b""
        self._at_end = not data
        for message in self._inbox.feed(data):
            self._on_message(message)
        return bool(data)

    def _flush(self) -> None:
        while self._unsent and self._sock is not None:
            number, data, files = self._unsent.popleft()
            try:
                sent = send(self._sock, data, files)
            except BlockingIOError:
                self._unsent.appendleft((number, data, files))
                self._loop.add_writer(self._sock, self._flush)
                return
            except OSError as error:
                self._on_unsent(number, error)
                continue
            if sent < len(data):
                self._unsent.appendleft((number, data[sent:], ()))
        if self._sock is not None:
            self._loop.remove_writer(self._sock)

    def _ended(self, status: int) -> None:
        while self._read():
            pass
        self.hang_up()
        self._on_ended(status)

"""What a template and its supervisor tell each other: JSON with its length ahead, on a Unix socket."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_FILES = 32
"""Descriptors that one request carries at most."""

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Fork:
    """To the template: fork a worker; its descriptors follow.

    Args:
        number: names the request in the answer.
        request: what the worker is asked for.
        files: how many descriptors there are.
    """

    number: int
    request: dict[str, Any]
    files: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """From the template: it has the chain, and can fork."""


@dataclass(frozen=True, slots=True)
class Unsafe:
    """From the template: it has the chain and must not fork, so it ends."""

    why: str


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """From the template: it cannot load the chain, so it ends.

    Args:
        failure: as `control.failure_text` gives it.
    """

    failure: str


@dataclass(frozen=True, slots=True)
class Forked:
    """From the template: a worker runs."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class Refused:
    """From the template: the system did not allow the fork.

    Args:
        number: of the request.
        code: an `errno`.
        why: its text.
    """

    number: int
    code: int
    why: str


@dataclass(frozen=True, slots=True)
class Exited:
    """From the template: a worker has ended.

    Args:
        pid: its process id.
        status: as `os.waitpid` gives it.
    """

    pid: int
    status: int


Message = Fork | Loaded | Unsafe | NotLoaded | Forked | Refused | Exited
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in Message.__args__}


def encode(message: Message) -> bytes:
    """The message with its length ahead."""
    body = json.dumps([type(message).__name__, asdict(message)]).encode()
    return _LENGTH.pack(len(body)) + body


class Inbox:
    """Puts messages together from what has arrived."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                return
            message = _decode(bytes(self._data[_LENGTH.size : end]))
            del self._data[:end]
            yield message


def receive(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """Wait for one whole message and its descriptors; None at the end of the connection."""
    head, files, _, _ = socket.recv_fds(sock, _LENGTH.size, MOST_FILES)
    for file in files:
        os.set_inheritable(file, False)
    head += _exactly(sock, _LENGTH.size - len(head)) if head else b""
    if len(head) < _LENGTH.size:
        return None
    size: int = _LENGTH.unpack(head)[0]
    body = _exactly(sock, size)
    return (_decode(body), files) if len(body) == size else None


def send(sock: socket.socket, data: bytes, files: Sequence[int]) -> int:
    """Send what there is room for; descriptors go with the first byte."""
    return socket.send_fds(sock, [data], files) if files else sock.send(data)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return bytes(data)


def _decode(body: bytes) -> Message:
    kind, fields = json.loads(body)
    return _KINDS[kind](**fields)

"""What the supervisor and its clients tell each other: one JSON object a line, on a Unix socket.

A client is a process that makes calls: the parent, and every worker for the calls of its own code.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from fchains.wire.failures import Failure
from fchains.wire.payload import Payload

logger = logging.getLogger(__name__)

LINE_LIMIT = 64 << 20
"""Bytes that one message has at most."""


@dataclass(frozen=True, slots=True)
class Group:
    """The replicas of a group of chainlets: how many there may be.

    Args:
        label: the group's name in replicas' names.
        members: its chainlets, in the order of their channels.
        smallest: fewest replicas.
        largest: most replicas.
    """

    label: str
    members: tuple[str, ...]
    smallest: int
    largest: int


@dataclass(frozen=True, slots=True)
class Welcome:
    """To a new client: the groups; what is known of their replicas follows."""

    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Coming:
    """To clients: a replica of the group is coming up, or will be tried again."""

    label: str
    replica: str


@dataclass(frozen=True, slots=True)
class Opened:
    """To clients: a replica is ready.

    Args:
        address: path of its socket.
        row: where the board has its loads, -1 for nowhere.
        pid: its process group, 0 if it is not the supervisor's.
    """

    label: str
    replica: str
    address: str
    row: int
    pid: int


@dataclass(frozen=True, slots=True)
class Retired:
    """To clients: send nothing more there, and say when nothing of yours is unfinished there.

    Args:
        stuck: its code does not stop: calls that it has not begun go elsewhere.
    """

    replica: str
    stuck: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """To clients: the process of a replica has ended, and how; links may still hold its last words."""

    replica: str
    why: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """To clients: a replica did not start; calls that wait for one fail.

    Args:
        failure: JSON of the failure.
        stopped: it is not tried again.
    """

    label: str
    replica: str
    failure: str
    stopped: bool


@dataclass(frozen=True, slots=True)
class Blocking:
    """From a worker, and on to clients: where its event loop is blocked, "" when it is no longer."""

    replica: str
    where: str


@dataclass(frozen=True, slots=True)
class Logged:
    """To the parent: what a replica's code printed or logged, as fragments."""

    fragments: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Noticed:
    """To the parent: something for its log, at a level of `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """To the parent: every replica has ended."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """To a worker: tear the resources down and end.

    Args:
        cancel: cancel what still runs first.
    """

    cancel: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """From a client: so many replicas' worth of calls wait for room in the group."""

    label: str
    demand: float


@dataclass(frozen=True, slots=True)
class Released:
    """From a client: nothing of its own is unfinished in a retired replica."""

    replica: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """From a worker or a client: code in the replica does not stop, or it does not answer."""

    replica: str
    why: str


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """From a worker: a health function says no, so a successor is to take over."""

    why: str


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: its resources are made, and its socket listens."""


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """From a worker: a setup function failed; the process ends."""

    failure: str


@dataclass(frozen=True, slots=True)
class Hosted:
    """From the parent: it serves this replica of a fake itself."""

    label: str
    replica: str
    address: str


@dataclass(frozen=True, slots=True)
class Stop:
    """From the parent: end everything.

    Args:
        cancel: cancel what still runs.
    """

    cancel: bool


Message = (
    Welcome
    | Coming
    | Opened
    | Retired
    | Gone
    | StartFailed
    | Blocking
    | Logged
    | Noticed
    | Stopped
    | Shutdown
    | Waiting
    | Released
    | Stuck
    | Unhealthy
    | Ready
    | SetupFailed
    | Hosted
    | Stop
)
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in Message.__args__}


def failure_text(failure: Failure) -> str:
    """A failure as a field of a message."""
    payload = failure.to_payload()
    buffers = [base64.b64encode(buffer).decode() for buffer in payload.buffers]
    return to_json([payload.body.decode(), buffers]).decode()


def failure_from(text: str) -> Failure:
    """The failure of `failure_text`."""
    body, buffers = from_json(text)
    return Failure.from_payload(Payload(body.encode(), tuple(base64.b64decode(one) for one in buffers)))


def encode(message: Message) -> bytes:
    """The message as a line."""
    values = [getattr(message, field.name) for field in fields(message)]
    return to_json([type(message).__name__, *values]) + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line.

    Raises:
        ValueError: it is none.
    """
    match from_json(line):
        case [str(name), *values] if name in _KINDS:
            kind = _KINDS[name]
            names = [field.name for field in fields(kind)]
            given: dict[str, Any] = dict(zip(names, values, strict=True))
            message: Message = _adapters()[name].validate_python(given)
            return message
        case _:
            raise ValueError(f"{line[:80]!r} is no control message")


def warm_up() -> None:
    """Make the validators now, for this process and those forked from it."""
    _adapters()


@functools.cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


class ControlLink(asyncio.Protocol):
    """One end of a control connection; lives on one loop.

    Args:
        on_message: told of each message, in order.
        on_closed: told once that the other side is gone.
    """

    def __init__(self, on_message: Callable[[Message], None], on_closed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    async def open(
        cls, sock: socket.socket, on_message: Callable[[Message], None], on_closed: Callable[[], None]
    ) -> ControlLink:
        """Take a connected socket over, on the running loop."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: cls(on_message, on_closed), sock=sock)
        return link

    def send(self, message: Message) -> None:
        """Say something; to a closed link it is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    async def drained(self) -> None:
        """Wait until the other side has taken most of what was said."""
        await self._writable.wait()

    def close(self) -> None:
        """Say what was said before, then end; `on_closed` follows."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (streams have those)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._on_closed()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        *lines, rest = (bytes(self._rest) + data if self._rest else data).split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > LINE_LIMIT:
            self._refuse(f"a message of more than {LINE_LIMIT} bytes")
            return
        for line in lines:
            try:
                message = decode(line)
            except (ValueError, ValidationError) as error:
                self._refuse(str(error))
                return
            try:
                self._on_message(message)
            except Exception:
                logger.exception("a control message could not be handled: %r", message)

    def _refuse(self, why: str) -> None:
        logger.error("a control connection is closed: %s", why)
        if self._transport is not None:
            self._transport.abort()

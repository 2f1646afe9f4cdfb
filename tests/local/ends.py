"""Ends of links: of real ones, and of a peer that says what a test tells it to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from fchains.wire.frames import Frame, FrameDecoder, Kind, encode, hello
from fchains.wire.payload import Buffer, Payload
from fchains_local.link import FrameLink
from fchains_local.segments import SegmentPool

PATIENCE = 30.0
S = TypeVar("S", bound=socket.socket)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    turns = 0
    async with asyncio.timeout(PATIENCE):
        while not condition():
            turns += 1
            await asyncio.sleep(0 if turns < 1000 else 0.002)


def frame(call: int, body: bytes = b"", *buffers: Buffer) -> Frame:
    """A frame to send."""
    return Frame(Kind.ITEM, call, 2, Payload(body, buffers))


class End:
    """A link, and what came on it."""

    def __init__(self, sock: socket.socket, segments: SegmentPool | None = None) -> None:
        self.frames: list[Frame] = []
        self.reasons: list[str] = []
        self.on_frame: Callable[[Frame], None] = self.frames.append
        self.link = FrameLink(
            sock,
            asyncio.get_running_loop(),
            self._take,
            self.reasons.append,
            segments=segments,
        )

    def _take(self, frame: Frame) -> None:
        self.on_frame(frame)

    @property
    def calls(self) -> list[int]:
        return [frame.call for frame in self.frames]

    async def has(self, count: int) -> None:
        await until(lambda: len(self.frames) >= count)

    async def lost(self) -> str:
        await until(lambda: self.reasons)
        (reason,) = self.reasons
        return reason


class Peer:
    """The other end of a link, as bytes; it never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []

    def say(self, *frames: Frame) -> None:
        self.sock.send(b"".join(bytes(piece) for frame in frames for piece in encode(frame)))

    def greet(self, segments: str = "null") -> None:
        self.say(hello(b'{"pid": 1, "segments": %b}' % segments.encode()))

    def read(self) -> int:
        """How many bytes are there; their frames are kept."""
        total = 0
        try:
            while data := self.sock.recv(1 << 20):
                total += len(data)
                self.frames += self.decoder.feed(data)
        except BlockingIOError:
            pass
        return total

    @property
    def calls(self) -> list[int]:
        return [frame.call for frame in self.frames if frame.kind is Kind.ITEM]

    async def has(self, kind: Kind, count: int = 1) -> list[Frame]:
        def found() -> list[Frame]:
            self.read()
            return [frame for frame in self.frames if frame.kind is kind]

        await until(lambda: len(found()) >= count)
        return found()

    def heard_end(self) -> bool:
        try:
            return not self.sock.recv(1 << 20)
        except ConnectionError:
            return True
        except BlockingIOError:
            return False


class Ends:
    """Closes what a test made."""

    def __init__(self) -> None:
        self._made: list[FrameLink | socket.socket | SegmentPool] = []

    def pool(self, limit: int | None = None, **options: Any) -> SegmentPool:
        pool = SegmentPool(limit, **options)
        self._made.append(pool)
        return pool

    def end(self, sock: socket.socket, segments: SegmentPool | None = None) -> End:
        end = End(sock, segments)
        self._made.append(end.link)
        return end

    def pair(self, one: SegmentPool | None = None, other: SegmentPool | None = None) -> tuple[End, End]:
        """Two links that are connected."""
        left, right = socket.socketpair()
        return self.end(left, one), self.end(right, other)

    async def sharing(self, one: SegmentPool, other: SegmentPool) -> tuple[End, End]:
        """Two links that know that they can share memory."""
        left, right = self.pair(one, other)
        await until(lambda: left.link.shares and right.link.shares)
        return left, right

    def peer(self, segments: SegmentPool | None = None) -> tuple[End, Peer]:
        """A link and a peer of it."""
        left, right = socket.socketpair()
        self._made.append(right)
        return self.end(left, segments), Peer(right)

    def peer_over(self, kind: Callable[[socket.socket], S]) -> tuple[End, Peer, S]:
        """A link over a socket of another kind, a peer of it, and the socket."""
        left, right = socket.socketpair()
        self._made.append(right)
        sock = kind(left)
        return self.end(sock), Peer(right), sock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in reversed(self._made):
            each.close()

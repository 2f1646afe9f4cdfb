"""Frames both ways over one connected socket.

A frame is never broken off by another: while one with a body of many megabytes is being written
(JSON, or buffers where memory cannot be shared), the frames behind it wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from fchains.wire.frames import FrameDecoder
from fchains.wire.layout import encode
from fchains.wire.messages import Frame, Kind, ProtocolError, hello
from fchains_local.lending import Lender
from fchains_local.outbox import Outbox
from fchains_local.segment_map import SegmentMap
from fchains_local.segments import Offer, SegmentPool

logger = logging.getLogger(__name__)

_READS = 4  # of 256 KiB, before other links get their turn
_SOCKET_BUFFER = 1 << 20
_OWN = frozenset({Kind.HELLO, Kind.SEGMENT, Kind.MAPPED, Kind.WITHDRAW, Kind.RELEASE})


class _Greeting(TypedDict):
    """Head of a HELLO frame."""

    pid: Annotated[int, Field(ge=1)]
    segments: Offer | None


def warm_up() -> None:
    """Make the validators now, for this process and those forked from it."""
    _greetings()


@functools.cache
def _greetings() -> TypeAdapter[_Greeting]:
    return TypeAdapter(_Greeting)


class FrameLink:
    """Frames both ways over one connected Unix stream socket; lives on one running event loop.

    Args:
        sock: connected; the link closes it.
        loop: where all of it happens.
        on_frame: called with each frame, in order.
        on_closed: called once when the peer has gone or has broken the protocol, with the reason:
            "" for an end between two frames, "garbage: …" for what cannot be understood, or what
            the system said. Not called after `close()`.
        segments: shared memory for large buffers; without it they go through the socket.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[Frame], None],
        on_closed: Callable[[str], None],
        *,
        segments: SegmentPool | None = None,
    ) -> None:
        self.closed = False
        self._sock = sock
        self._loop = loop
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._pool = segments
        self._decoder = FrameDecoder()
        self._outbox = Outbox(sock, loop, self._cannot_write)
        self._lender: Lender | None = None
        """There once the peer has said that it can map what this process shares."""
        self._map = SegmentMap(loop, self._release)
        self._greeted = False
        self._ending: str | None = None
        """Why nothing can be written any more; what came before is still read."""
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
        loop.add_reader(sock, self._readable)
        greeting = {"pid": os.getpid(), "segments": segments and segments.offer()}
        self._outbox.begin(encode(hello(to_json(greeting))))

    @property
    def backlog(self) -> int:
        """Bytes that are not written yet."""
        return self._outbox.backlog + (self._lender.backlog if self._lender else 0)

    @property
    def shares(self) -> bool:
        """Whether large buffers go to the peer through shared memory."""
        return self._lender is not None

    def send(self, frame: Frame) -> None:
        """Send a frame after those before it; it never blocks, and a closed link ignores it.

        Large buffers are read until they are copied or written: they must not change before, or `detach`
        comes first.

        Raises:
            SerializationError: the frame is too large; nothing was sent.
        """
        if self.closed:
            return
        lender = self._lender
        if lender is None or not (frame.payload.buffers or lender.backlog) or not lender.take(frame):
            self._outbox.put(encode(frame))

    def flush(self) -> None:
        """Write now what waits for the end of this turn, as far as the kernel takes it."""
        if not self.closed:
            self._outbox.flush()

    def detach(self) -> None:
        """Copy what is not written yet: from now on the buffers of frames that were sent may change."""
        if not self.closed and self.backlog:
            if self._lender is not None:
                self._lender.flush()
            self._outbox.detach()

    def close(self) -> None:
        """Try once to write what is left, and close the socket."""
        if self.closed:
            return
        if not self._loop.is_closed():
            if self._lender is not None:
                self._lender.flush()
            self._outbox.flush()
        self._shut(peer_left=False)

    def _shut(self, *, peer_left: bool) -> None:
        self.closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._sock)
        self._outbox.close()
        if self._lender is not None:
            self._lender.close(peer_left=peer_left)
        self._map.close()
        with contextlib.suppress(OSError):
            self._sock.close()

    def _lose(self, reason: str) -> None:
        self._shut(peer_left=True)
        self._on_closed(reason)

    def _cannot_write(self, exc: OSError) -> None:
        """The peer may have said something before it went: it is read first."""
        self._ending = _text(exc)
        self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        self._outbox.new_turn()
        for _ in range(_READS):
            if self.closed:
                return
            space = self._decoder.get_buffer()
            try:
                count = self._sock.recv_into(space)
            except (BlockingIOError, InterruptedError):
                if self._ending is not None:
                    self._lose(self._ending)
                return
            except OSError as exc:
                self._lose(_text(exc))
                return
            if not count:
                self._end()
                return
            self._take(count)
            if count < len(space) and self._ending is None:
                return  # that was all; if not, the loop says so

    def _end(self) -> None:
        try:
            self._decoder.eof()
        except ProtocolError as exc:
            self._lose(f"garbage: {exc}")
        else:
            self._lose("")

    def _take(self, count: int) -> None:
        decoder = self._decoder
        try:
            decoder.advance(count)
            ready = decoder.ready
            while ready:
                frame = ready.popleft()
                if frame.kind in _OWN:
                    self._control(frame)
                elif frame.places:
                    self._map.deliver(frame, self._on_frame)
                else:
                    self._on_frame(frame)
                if self.closed:
                    return
            decoder.check()
        except ProtocolError as exc:
            self._lose(f"garbage: {exc}")
        except Exception as exc:
            logger.exception("a link is closed, for what came on it could not be handled")
            self._lose(f"not handled: {exc!r}")

    def _control(self, frame: Frame) -> None:
        """What links say to each other."""
        if frame.kind is Kind.HELLO:
            self._greet(frame.head)
        elif frame.kind is Kind.MAPPED:
            if self._pool is None or self._lender is not None:
                raise ProtocolError("MAPPED came without an offer, or twice")
            self._lender = Lender(self._pool, self._loop, self._outbox.put)
        elif frame.kind is Kind.SEGMENT:
            self._map.announce(frame.head)
        elif frame.kind is Kind.WITHDRAW:
            self._map.withdraw(frame.call)
        elif self._lender is None:
            raise ProtocolError(f"segment {frame.call} was released, and none was lent")
        else:
            self._lender.released(frame.call)

    def _greet(self, head: bytes) -> None:
        if self._greeted:
            raise ProtocolError("HELLO came twice")
        self._greeted = True
        try:
            offer = _greetings().validate_json(head, strict=True)["segments"]
        except ValidationError as exc:
            raise ProtocolError(f"HELLO came with a bad head: {exc}") from exc
        if offer is not None and self._map.can_map(offer):
            self._outbox.put(encode(Frame(Kind.MAPPED)))

    def _release(self, number: int) -> None:
        if not self.closed:
            self._outbox.put(encode(Frame(Kind.RELEASE, number)))


def _text(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno else str(exc)

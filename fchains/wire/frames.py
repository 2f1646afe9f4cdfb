"""Frames of the local transport: a stream of bytes to messages, without the socket."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from fchains.wire.layout import (
    HEADER,
    KINDS,
    LIMIT,
    PARTED,
    TAGGED,
    Header,
    encode,
    flat,
    split,
)
from fchains.wire.messages import Frame, Kind, Place, ProtocolError, check_greeting, hello
from fchains.wire.payload import Buffer, Payload
from fchains.wire.room import room

__all__ = ["LIMIT", "Frame", "FrameDecoder", "Kind", "ProtocolError", "encode", "hello"]

_READ_SIZE = 256 * 1024
_LARGE = 32 * 1024
_FLAGS = TAGGED | PARTED
_FOREVER = math.inf
_HELLO = int(Kind.HELLO)
_BEFORE_HELLO = {_HELLO: Kind.HELLO}
_HEADER_SIZE = HEADER.size
_unpack_header = HEADER.unpack_from


class FrameDecoder:
    """Turns the bytes of one direction of a connection into frames, however they are split.

    It works as the buffer of an `asyncio.BufferedProtocol`, or by `feed`. What a frame announces
    takes no memory before it arrives, but for a megabyte. Bad bytes raise ProtocolError after the
    frames before them, and no more bytes are taken.

    Args:
        limit: bytes after the header that a frame has at most.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.ready: deque[Frame] = deque()
        """Frames that are complete and were not taken yet."""
        self._fault: str | None = None
        self._expected = _BEFORE_HELLO
        self._input = memoryview(bytearray(_READ_SIZE))
        self._end = 0
        # A frame too large for the input: its header, and its bytes as far as they have come.
        self._header: Header | None = None
        self._body = self._input[:0]
        self._filled = 0

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Where the next bytes belong; `buffer_updated` says how many came.

        Raises:
            ProtocolError: bad bytes came before.
        """
        if self._fault is not None:
            raise ProtocolError(self._fault)
        if self._header is None:
            return self._input[self._end :] if self._end else self._input
        return self._body[self._filled :]

    def buffer_updated(self, nbytes: int) -> Iterator[Frame]:
        """So many bytes came; gives the frames that are complete.

        Raises:
            ProtocolError: bad bytes came before.
        """
        self.check()
        self.advance(nbytes)
        return self.frames()

    def feed(self, data: Buffer) -> Iterator[Frame]:
        """Take bytes from anywhere; gives the frames that are complete.

        Raises:
            ProtocolError: bad bytes came before.
        """
        self.check()
        rest = memoryview(flat(data))
        while rest and self._fault is None:
            target = self.get_buffer()
            size = min(len(target), len(rest))
            target[:size] = rest[:size]
            self.advance(size)
            rest = rest[size:]
        return self.frames()

    def frames(self) -> Iterator[Frame]:
        """The frames that are complete and were not given yet.

        Raises:
            ProtocolError: after the last of them bad bytes came.
        """
        while self.ready:
            yield self.ready.popleft()
        self.check()

    def check(self) -> None:
        """Raise ProtocolError if bad bytes came."""
        if self._fault is not None:
            raise ProtocolError(self._fault)

    def eof(self) -> None:
        """The connection has ended.

        Raises:
            ProtocolError: in the middle of a frame.
        """
        self.check()
        if self._header is not None:
            raise ProtocolError(
                f"the connection ended after {self._filled} of {self._header.length} bytes of a frame"
            )
        if self._end:
            raise ProtocolError(f"the connection ended {self._end} bytes into a frame")

    def advance(self, nbytes: int) -> None:
        """So many bytes came; `ready` has the frames that are complete, and then `check` speaks."""
        if self._header is not None:
            self._advance_large(self._header, nbytes)
            return
        data, start, end = self._input, 0, self._end + nbytes
        while end - start >= _HEADER_SIZE:
            header = _unpack_header(data, start)
            length, call, channel, kind, flags, remaining = header
            # One test for the usual frame; a deadline that is not a number is not equal to itself.
            if length > self._limit or flags > _FLAGS or remaining != remaining or kind not in self._expected:
                self._fault = self._fault_in(Header._make(header))
                return
            begin = start + _HEADER_SIZE
            if begin + length > end:
                if length > _LARGE:
                    self._begin_large(Header._make(header), data[begin:end])
                    start = end
                break
            start = begin + length
            if flags & PARTED or kind == _HELLO:
                self._finish(header, data[begin:start], shared=False)
                if self._fault is not None:
                    return
                continue
            payload = Payload(bytes(data[begin:start]), (), flags == TAGGED)
            left = None if remaining == _FOREVER else remaining
            self.ready.append(Frame(KINDS[kind], call, channel, payload, b"", left))
        if start < end and start:
            data[: end - start] = data[start:end]
        self._end = end - start

    def _begin_large(self, header: Header, data: memoryview) -> None:
        """Go on in memory of the frame's own."""
        self._header = header
        self._filled = len(data)
        self._body = room(header.length)
        self._body[: len(data)] = data

    def _advance_large(self, header: Header, nbytes: int) -> None:
        self._filled += nbytes
        if self._filled == header.length:
            self._header = None
            body, self._body = self._body, self._input[:0]
            self._finish(header, body, shared=True)

    def _fault_in(self, header: Header) -> str:
        if header.kind not in KINDS:
            return f"a frame of unknown kind {header.kind} came"
        if header.kind not in self._expected:
            return f"the connection began with {KINDS[header.kind].name} instead of HELLO"
        if header.length > self._limit:
            return f"a frame of {header.length} bytes came, {self._limit} are allowed"
        if header.flags > _FLAGS:
            return f"a frame with unknown flags {header.flags:#x} came"
        return "a frame came whose deadline is not a number"

    def _finish(
        self, header: tuple[int, int, int, int, int, float], data: memoryview, *, shared: bool
    ) -> None:
        _, call, channel, kind, flags, remaining = header
        places: tuple[Place | None, ...] = ()
        try:
            if flags & PARTED:
                head, body, buffers, places = split(data, shared=shared)
            else:
                head, body, buffers = b"", bytes(data), ()
            if kind == _HELLO:
                check_greeting(body)
                self._expected = KINDS
        except ProtocolError as exc:
            self._fault = str(exc)
            return
        payload = Payload(body, buffers, flags & TAGGED != 0)
        left = None if remaining == _FOREVER else remaining
        self.ready.append(Frame(KINDS[kind], call, channel, payload, head, left, places))

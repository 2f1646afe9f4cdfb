"""Frames of the local transport: a stream of bytes to messages, without the socket."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from fchains.wire.messages import (
    HEADER,
    KINDS,
    LIMIT,
    PARTED,
    TAGGED,
    Frame,
    Header,
    Kind,
    ProtocolError,
    check_greeting,
    encode,
    flat,
    hello,
    split,
)
from fchains.wire.payload import Buffer, Payload

__all__ = ["LIMIT", "Frame", "FrameDecoder", "Kind", "ProtocolError", "encode", "hello"]

_READ_SIZE = 256 * 1024
_LARGE = 32 * 1024
_FLAGS = TAGGED | PARTED
_BEFORE_HELLO = {int(Kind.HELLO): Kind.HELLO}


class FrameDecoder:
    """Turns the bytes of one direction of a connection into frames, however they are split.

    It works as the buffer of an `asyncio.BufferedProtocol`, or by `feed`. What a frame announces
    is not allocated before it arrives. Bad bytes raise ProtocolError after the frames before
    them, and no more bytes are taken.

    Args:
        limit: bytes after the header that a frame has at most.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._ready: deque[Frame] = deque()
        self._fault: str | None = None
        self._expected = _BEFORE_HELLO
        self._input = memoryview(bytearray(_READ_SIZE))
        self._start = 0
        self._end = 0
        # A frame too large for the input: its header, and its bytes as far as they have come.
        self._header: Header | None = None
        self._body = bytearray()
        self._filled = 0
        self._lent = self._input[:0]

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Where the next bytes belong; `buffer_updated` says how many came.

        Raises:
            ProtocolError: bad bytes came before.
        """
        self._refuse_if_broken()
        if self._header is None:
            return self._input[self._end :]
        if self._filled == len(self._body):
            self._lent.release()  # or the body could not grow
            self._body += bytes(min(self._header.length - self._filled, self._filled))
        self._lent = memoryview(self._body)[self._filled :]
        return self._lent

    def buffer_updated(self, nbytes: int) -> Iterator[Frame]:
        """So many bytes came; gives the frames that are complete.

        Raises:
            ProtocolError: bad bytes came before.
        """
        self._refuse_if_broken()
        self._advance(nbytes)
        return self.frames()

    def feed(self, data: Buffer) -> Iterator[Frame]:
        """Take bytes from anywhere; gives the frames that are complete.

        Raises:
            ProtocolError: bad bytes came before.
        """
        self._refuse_if_broken()
        rest = memoryview(flat(data))
        while rest and self._fault is None:
            target = self.get_buffer()
            size = min(len(target), len(rest))
            target[:size] = rest[:size]
            self._advance(size)
            rest = rest[size:]
        return self.frames()

    def frames(self) -> Iterator[Frame]:
        """The frames that are complete and were not given yet.

        Raises:
            ProtocolError: after the last of them bad bytes came.
        """
        while self._ready:
            yield self._ready.popleft()
        self._refuse_if_broken()

    def eof(self) -> None:
        """The connection has ended.

        Raises:
            ProtocolError: in the middle of a frame.
        """
        self._refuse_if_broken()
        if self._header is not None:
            raise ProtocolError(
                f"the connection ended after {self._filled} of {self._header.length} bytes of a frame"
            )
        if self._end > self._start:
            raise ProtocolError(f"the connection ended {self._end - self._start} bytes into a frame")

    def _refuse_if_broken(self) -> None:
        if self._fault is not None:
            raise ProtocolError(self._fault)

    def _advance(self, nbytes: int) -> None:
        if self._header is None:
            self._end += nbytes
            self._parse()
            return
        self._filled += nbytes
        if self._filled == self._header.length:
            header, self._header = self._header, None
            body, self._body = self._body, bytearray()
            self._finish(header, memoryview(body), shared=True)

    def _parse(self) -> None:
        while self._fault is None and self._end - self._start >= HEADER.size:
            header = HEADER.unpack_from(self._input, self._start)
            length, _, _, kind, flags, remaining = header
            # One test for the usual frame; a deadline that is not a number is not equal to itself.
            if length > self._limit or flags > _FLAGS or remaining != remaining or kind not in self._expected:
                self._fault = self._fault_in(Header._make(header))
                return
            begin = self._start + HEADER.size
            end = begin + length
            if end > self._end:
                if length > _LARGE:
                    self._take_large(Header._make(header), begin)
                break
            self._finish(header, self._input[begin:end], shared=False)
            self._start = end
        self._compact()

    def _take_large(self, header: Header, begin: int) -> None:
        """Go on in a bytearray of the frame's own, which grows with what comes."""
        here = self._end - begin
        self._header = header
        self._filled = here
        self._body = bytearray(min(header.length, max(_READ_SIZE, here)))
        self._body[:here] = self._input[begin : self._end]
        self._start = self._end

    def _compact(self) -> None:
        left = self._end - self._start
        if left and self._start:
            self._input[:left] = self._input[self._start : self._end]
        self._start, self._end = 0, left

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
        try:
            head, body, buffers = split(data, shared=shared) if flags & PARTED else (b"", bytes(data), ())
            if kind == Kind.HELLO:
                check_greeting(body)
                self._expected = KINDS
        except ProtocolError as exc:
            self._fault = str(exc)
            return
        payload = Payload(body, buffers, flags & TAGGED != 0)
        left = None if remaining == math.inf else remaining
        self._ready.append(Frame(KINDS[kind], call, channel, payload, head, left))

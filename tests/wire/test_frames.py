from __future__ import annotations

import asyncio
import math
import resource
import socket
import struct
import sys
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.errors import SerializationError
from fchains.wire.frames import Frame, FrameDecoder, Kind, ProtocolError, encode, hello
from fchains.wire.messages import Place
from fchains.wire.payload import Buffer, Payload

HEADER = struct.Struct("<IIHBBf")
CALL = Frame(Kind.CALL, 7, 3, Payload(b'{"x":1}'), remaining=2.5)


def to_bytes(*frames: Frame) -> bytes:
    return b"".join(bytes(piece) for frame in frames for piece in encode(frame))


def header(
    length: int = 0, kind: int = Kind.CALL, flags: int = 0, remaining: float = math.inf, call: int = 0
) -> bytes:
    return HEADER.pack(length, call, 0, kind, flags, remaining)


def decode(data: Buffer, limit: int = 1 << 30) -> list[Frame]:
    decoder = FrameDecoder(limit)
    frames = list(decoder.feed(data))
    decoder.eof()
    return frames


def collect(decoder: FrameDecoder, pieces: Iterable[bytes]) -> tuple[list[Frame], str]:
    """The frames, and the text of the error that ended them."""
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames.extend(decoder.feed(piece))
    except ProtocolError as exc:
        return [*frames, *decoder_rest(decoder)], str(exc)
    return frames, ""


def decoder_rest(decoder: FrameDecoder) -> list[Frame]:
    rest: list[Frame] = []
    with pytest.raises(ProtocolError):
        rest.extend(decoder.frames())
    return rest


buffers = st.one_of(st.binary(max_size=100), st.integers(1, 90_000).map(lambda size: b"\x07" * size))
frames = st.builds(
    Frame,
    st.sampled_from([kind for kind in Kind if kind is not Kind.HELLO]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.builds(
        Payload,
        st.one_of(st.binary(max_size=50), st.integers(1, 600_000).map(lambda size: b" " * size)),
        st.lists(buffers, max_size=4).map(tuple),
        st.booleans(),
    ),
    st.binary(max_size=30),
    st.one_of(st.none(), st.floats(0, 1e6, width=32)),
)


def test_a_plain_frame_is_a_header_of_sixteen_bytes_and_its_body() -> None:
    (piece,) = encode(CALL)
    assert HEADER.size == 16
    assert piece == header(7, Kind.CALL, 0, 2.5, call=7)[:8] + struct.pack("<HBBf", 3, 2, 0, 2.5) + b'{"x":1}'


def test_a_frame_arrives_as_it_left() -> None:
    sent = Frame(
        Kind.RESULT,
        2**32 - 1,
        2**16 - 1,
        Payload(b"{}", (b"abc", bytearray(b"\x00" * 100_000), b""), tagged=True),
        head=b'{"trace":"x"}',
        remaining=0.25,
    )
    assert decode(to_bytes(hello(b"me"), sent)) == [hello(b"me"), sent]


def test_no_deadline_and_the_longest_one_are_told_apart() -> None:
    for remaining, arrives in ((None, None), (0.0, 0.0), (-1.0, -1.0), (1e300, None), (math.inf, None)):
        assert decode(to_bytes(hello(), replace(CALL, remaining=remaining)))[1].remaining == arrives


def test_large_pieces_are_not_copied() -> None:
    body, array = b"x" * 100_000, np.arange(50_000, dtype=np.float64)
    pieces = encode(Frame(Kind.ITEM, payload=Payload(body, (array.data, b"small"))))
    assert any(piece is body for piece in pieces)
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert [np.shares_memory(np.frombuffer(view, np.uint8), array) for view in views] == [True]


def test_a_view_of_any_shape_travels_as_its_bytes() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    empty = np.zeros((0, 4))
    (_, frame) = decode(to_bytes(hello(), Frame(Kind.ITEM, payload=Payload(b"", (array.data, empty.data)))))
    assert [bytes(buffer) for buffer in frame.payload.buffers] == [array.tobytes(), b""]


@pytest.mark.parametrize("size", [100, 300_000])
def test_buffers_arrive_aligned_and_writable(size: int) -> None:
    sent = Frame(Kind.ITEM, payload=Payload(b"odd", (b"1", b"\x01" * size * 8)), head=b"z")
    (_, frame) = decode(to_bytes(hello(), sent))
    array = np.frombuffer(memoryview(frame.payload.buffers[1]), np.int64)
    assert array.flags.aligned
    assert array.flags.writeable
    assert array.ctypes.data % 16 == 0
    array[0] = 5


@pytest.mark.parametrize("size", [700_001, 3_000_000])
def test_a_large_frame_arrives_in_one_exact_buffer(size: int) -> None:
    sent = Frame(Kind.ITEM, payload=Payload(b"{}", (b"a" * size, b"b" * 300_000)))
    (_, frame) = decode(to_bytes(hello(), sent))
    owners = {id(buffer.obj) for buffer in frame.payload.buffers if isinstance(buffer, memoryview)}
    assert len(owners) == 1
    (view, other) = frame.payload.buffers
    assert isinstance(view, memoryview)
    assert memoryview(view.obj).nbytes == len(to_bytes(sent)) - HEADER.size
    assert (bytes(view), bytes(other)) == sent.payload.buffers


@pytest.mark.slow
@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 400_000), max_size=20), st.booleans())
def test_any_split_of_the_bytes_gives_the_same_frames(sent: list[Frame], cuts: list[int], bad: bool) -> None:
    data = to_bytes(hello(), *sent) + (header(kind=99) if bad else b"")
    pieces: list[bytes] = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    decoder = FrameDecoder()
    received, error = collect(decoder, [*pieces, data])
    assert received == [hello(), *sent]
    assert ("unknown kind 99" in error) == bad


@pytest.mark.parametrize("size", [1, 7, 16, 17])
def test_frames_that_come_in_crumbs_are_the_same(size: int) -> None:
    sent = [hello(), CALL, Frame(Kind.ITEM, 1, payload=Payload(b"{}", (b"abc", b"d" * 40)), head=b"h")]
    data = to_bytes(*sent)
    decoder = FrameDecoder()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert collect(decoder, pieces) == (sent, "")
    decoder.eof()


def test_many_small_frames_cross_the_edge_of_the_read_buffer() -> None:
    sent = [replace(CALL, call=number, payload=Payload(b"y" * (number % 997))) for number in range(1500)]
    assert decode(to_bytes(hello(), *sent))[1:] == sent


@pytest.mark.slow
@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_random_bytes_never_crash_the_decoder(noise: bytes, greeted: bool, plausible: bool) -> None:
    start = (to_bytes(hello()) if greeted else b"") + (header(len(noise), flags=2) if plausible else b"")
    decoder = FrameDecoder(limit=1000)
    collect(decoder, [start, noise])


@pytest.mark.parametrize("length", [1 << 30, 50_000_000])
def test_an_announced_length_is_not_allocated_before_it_arrives(length: int) -> None:
    decoder = FrameDecoder()
    list(decoder.feed(to_bytes(hello())))
    tracemalloc.start()
    try:
        assert list(decoder.feed(header(length) + bytes(300_000))) == []
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_a_large_frame_takes_memory_only_as_it_arrives() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    decoder = FrameDecoder()
    list(decoder.feed(to_bytes(hello())))
    before = resident()
    list(decoder.feed(header(1 << 30) + bytes(5_000_000)))
    assert resident() - before < 50_000_000


def test_announced_buffers_that_do_not_come_are_not_allocated() -> None:
    lengths = struct.pack("<IIII", 0, 0, 1, 0x7FFFFFFF)
    tracemalloc.start()
    try:
        assert "parts need" in bad(header(len(lengths), flags=2) + lengths)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def bad(data: bytes, *, greet: bool = True, limit: int = 1000) -> str:
    """The error for bytes after a good frame, which arrives all the same."""
    decoder = FrameDecoder(limit)
    received, error = collect(decoder, [(to_bytes(hello(), CALL) if greet else b"") + data])
    assert received == ([hello(), CALL] if greet else [])
    for refused in (lambda: decoder.feed(b"x"), decoder.get_buffer, decoder.eof):
        with pytest.raises(ProtocolError, match=r".") as again:
            refused()
        assert str(again.value) == error
    return error


def parted(head: int, body: int, sizes: list[int], rest: bytes) -> bytes:
    lengths = struct.pack(f"<III{len(sizes)}I", head, body, len(sizes), *sizes)
    return header(len(lengths) + len(rest), flags=2) + lengths + rest


def test_bad_bytes_are_named_and_end_the_connection() -> None:
    assert bad(header(kind=99)) == "a frame of unknown kind 99 came"
    assert bad(header(kind=0)) == "a frame of unknown kind 0 came"
    assert bad(header(1001)) == "a frame of 1001 bytes came, 1000 are allowed"
    assert bad(header(flags=0x80)) == "a frame with unknown flags 0x80 came"
    assert "not a number" in bad(header(remaining=math.nan))
    assert "too short" in bad(header(4, flags=2) + b"1234")
    assert "longer than itself" in bad(parted(0, 50, [], b"12"))
    assert "longer than itself" in bad(header(12, flags=2) + struct.pack("<III", 0, 0, 0xFFFFFFFF))
    assert "parts need" in bad(parted(1, 1, [], b"123"))
    assert "parts need" in bad(parted(0, 0, [5], b"1234"))


def test_a_connection_begins_with_hello() -> None:
    assert bad(header(kind=Kind.CALL), greet=False) == "the connection began with CALL instead of HELLO"
    assert "unknown kind" in bad(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", greet=False)


def test_hello_from_another_program_or_version_is_refused() -> None:
    (piece,) = encode(hello())
    body = bytes(piece[16:])
    assert "HELLO came with b'FCHAINS" in bad(bytes(piece[:16]) + body.upper(), greet=False)
    assert "version 513" in bad(bytes(piece[:16]) + body[:8] + b"\x01\x02", greet=False)
    assert "a body of 3 bytes" in bad(header(3, kind=Kind.HELLO) + b"abc", greet=False)


@pytest.mark.parametrize("kept", [1, 16, 20])
def test_a_connection_that_ends_within_a_frame_is_an_error(kept: int) -> None:
    decoder = FrameDecoder()
    list(decoder.feed(to_bytes(hello()) + to_bytes(CALL)[:kept]))
    with pytest.raises(ProtocolError, match=f"ended {kept} bytes into a frame"):
        decoder.eof()


def test_a_connection_that_ends_within_a_large_frame_is_an_error() -> None:
    decoder = FrameDecoder()
    list(decoder.feed(to_bytes(hello()) + header(100_000) + b"abc"))
    with pytest.raises(ProtocolError, match="after 3 of 100000 bytes"):
        decoder.eof()


def test_a_value_too_large_for_a_frame_is_refused_by_its_sender() -> None:
    assert encode(CALL, limit=7)
    with pytest.raises(SerializationError, match="7 bytes is larger than the 6"):
        encode(CALL, limit=6)


def placed(*places: Place | None, size: int = 0) -> Frame:
    buffers = tuple(b"" if place else b"\x05" * size for place in places)
    return Frame(Kind.ITEM, 3, payload=Payload(b"[]", buffers, tagged=True), head=b"h", places=places)


@pytest.mark.parametrize("size", [0, 5, 70_000])
def test_places_of_shared_buffers_arrive_beside_the_buffers_in_the_frame(size: int) -> None:
    sent = placed(None, Place(2**32 - 1, 2**32 - 64, 1 << 29), None, Place(0, 0, 1), size=size)
    (_, received) = decode(to_bytes(hello(), sent))
    assert received == sent
    assert len(to_bytes(sent)) < 2 * size + 200


def test_a_frame_without_places_has_none() -> None:
    (_, received) = decode(to_bytes(hello(), placed(None, None, size=7)))
    assert received.places == ()


def test_shared_buffers_count_for_the_size_of_a_frame() -> None:
    frame = placed(Place(1, 0, 900), Place(1, 960, 100))
    assert encode(frame, limit=1000)
    with pytest.raises(SerializationError, match="1000 bytes is larger than the 999"):
        encode(frame, limit=999)


def test_a_place_of_another_size_is_bad() -> None:
    one_place = struct.pack("<IIII", 0, 0, 1, 1 << 31 | 11) + bytes(11)
    assert "a place of 11 bytes came instead of 12" in bad(header(len(one_place), flags=2) + one_place)
    cut_off = struct.pack("<IIII", 0, 0, 1, 1 << 31 | 12) + bytes(5)
    assert "a place of 5 bytes came" in bad(header(len(cut_off), flags=2) + cut_off)


async def test_the_decoder_is_the_buffer_of_an_asyncio_protocol() -> None:
    sent = [hello(), CALL, Frame(Kind.ITEM, payload=Payload(b"{}", (bytes(range(256)) * 8000,)))]
    done: asyncio.Future[list[Frame]] = asyncio.get_running_loop().create_future()

    class Receiver(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.decoder = FrameDecoder()
            self.received: list[Frame] = []

        def get_buffer(self, sizehint: int) -> memoryview:
            return self.decoder.get_buffer(sizehint)

        def buffer_updated(self, nbytes: int) -> None:
            self.received.extend(self.decoder.buffer_updated(nbytes))
            if len(self.received) == len(sent):
                done.set_result(self.received)

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Receiver, sock=ours)
    for frame in sent:
        for piece in encode(frame):
            await loop.sock_sendall(theirs, piece)
    assert await asyncio.wait_for(done, 5) == sent
    transport.close()
    theirs.close()

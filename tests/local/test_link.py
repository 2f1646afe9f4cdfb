from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import random
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from fchains.errors import SerializationError
from fchains.wire.frames import Frame, Kind, ProtocolError, encode, hello
from fchains.wire.payload import Buffer, Payload
from tests.local.ends import Ends, Peer, frame, until


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


class Counting(socket.socket):
    """Counts what is asked of the kernel, and keeps what was to be written."""

    reads = 0

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self.writes: list[list[Buffer]] = []

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.writes.append([data])
        return super().send(data, flags)

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        self.writes.append([*buffers])
        return super().sendmsg(self.writes[-1])

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.reads += 1
        return super().recv_into(buffer, nbytes, flags)


class Trickling(Counting):
    """A kernel that takes little at a time, and often nothing."""

    seed = random.Random(5)
    interrupts = True

    def send(self, data: Any, flags: int = 0, /) -> int:
        return self.sendmsg([data])

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        choice = self.seed.random()
        if choice < 0.2:
            raise BlockingIOError
        if choice < 0.3:
            raise InterruptedError
        most = self.seed.choice([1, 7, 16, 17, 5000, 300_000])
        return super().send(b"".join(buffers)[:most])


class Failing(Counting):
    """A kernel that fails in a way of its own."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.error: OSError | None = None

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self.error is not None:
            raise self.error
        return super().send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if self.error is not None:
            raise self.error
        return super().recv_into(buffer, nbytes, flags)


async def test_frames_arrive_both_ways_in_order(ends: Ends) -> None:
    one, other = ends.pair()
    sent = [Frame(Kind.CALL, number, 1, Payload(b"x" * number), b"head", 2.5) for number in range(300)]
    for each in sent:
        one.link.send(each)
        other.link.send(frame(each.call, b"", b"buffer"))
    await one.has(300)
    await other.has(300)
    assert other.frames == sent
    assert one.calls == [*range(300)]
    assert one.frames[7].payload.buffers == (b"buffer",)


async def test_the_first_frame_of_every_turn_is_written_inside_send(ends: Ends) -> None:
    end, peer = ends.peer()
    assert peer.read()
    for turn in range(20):
        end.link.send(frame(turn))
        assert peer.read() == 16
        if turn % 3:
            end.link.send(frame(turn))
            end.link.send(frame(turn))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        peer.read()


async def test_a_burst_takes_two_writes(ends: Ends) -> None:
    end, peer, sock = ends.peer_over(Counting)
    sock.writes.clear()
    for burst in range(3):
        for number in range(256):
            end.link.send(frame(number, b"small body"))
        assert end.link.backlog == 255 * 26
        await peer.has(Kind.ITEM, 256 * (burst + 1))
        assert len(sock.writes) == 2 * (burst + 1)
        assert end.link.backlog == 0
    assert peer.calls == [*range(256)] * 3


async def test_a_burst_after_single_frames_takes_three_writes(ends: Ends) -> None:
    end, peer, sock = ends.peer_over(Counting)
    for number in range(5):
        end.link.send(frame(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    sock.writes.clear()
    for number in range(256):
        end.link.send(frame(number))
    await peer.has(Kind.ITEM, 261)
    assert len(sock.writes) == 3


async def test_an_answer_to_what_was_read_is_written_at_once(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    answers: list[int] = []

    def answer(each: Frame) -> None:
        end.link.send(each)
        answers.append(peer.read())

    end.on_frame = answer
    for number in range(10):
        peer.say(frame(number))
        await until(lambda: len(answers) > number)  # noqa: B023
    assert answers[1:] == [16] * 9


async def test_large_bodies_wait_for_a_slow_reader_and_keep_their_place(ends: Ends) -> None:
    end, peer = ends.peer()
    body = random.Random(1).randbytes(8_000_000)
    end.link.send(frame(1, body))
    for number in range(2, 3000):
        end.link.send(frame(number, b"after it"))
    await asyncio.sleep(0)
    assert end.link.backlog > 5_000_000
    await peer.has(Kind.ITEM, 2999)
    assert end.link.backlog == 0
    assert peer.calls == [*range(1, 3000)]
    assert next(each for each in peer.frames if each.call == 1).payload.body == body


async def test_large_buffers_are_not_copied_on_their_way_to_the_kernel(ends: Ends) -> None:
    end, peer, sock = ends.peer_over(Counting)
    array = np.arange(500_000, dtype=np.float64)
    end.link.send(frame(1, b"", array.data))
    end.link.send(frame(2, b"", array.data))
    await peer.has(Kind.ITEM, 2)
    pieces = [piece for write in sock.writes for piece in write if len(piece) > 100_000]
    assert all(np.shares_memory(np.frombuffer(piece, np.uint8), array) for piece in pieces)


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_is_lost_however_little_the_kernel_takes(ends: Ends, seed: int) -> None:
    Trickling.seed = chance = random.Random(seed)
    end, peer, _ = ends.peer_over(Trickling)
    sent: list[Frame] = []
    for number in range(60):
        size = chance.choice([0, 1, 100, 20_000, 70_000])
        sent.append(frame(number, b"b" * chance.randint(0, 50), chance.randbytes(size), b"tail"))
        end.link.send(sent[-1])
        if chance.random() < 0.3:
            await asyncio.sleep(0)
            peer.read()
    await peer.has(Kind.ITEM, 60)
    assert peer.frames[0].kind is Kind.HELLO
    assert peer.frames[1:] == sent
    assert end.link.backlog == 0


async def test_more_pieces_than_the_kernel_takes_at_once_all_arrive(ends: Ends) -> None:
    end, peer = ends.peer()
    large = [bytes([number % 256]) * 17_000 for number in range(1100)]
    end.link.send(frame(1, b"", *large))
    (arrived,) = await peer.has(Kind.ITEM)
    assert arrived.payload.buffers == tuple(large)


async def test_a_busy_link_lets_others_have_their_turn(ends: Ends) -> None:
    end, peer, sock = ends.peer_over(Counting)
    peer.greet()
    end.on_frame = lambda _: peer.say(frame(1, b"x" * 30_000))
    peer.say(*[frame(1, b"x" * 30_000)] * 12)
    before = sock.reads
    end.link._readable()  # pyright: ignore[reportPrivateUsage]
    assert sock.reads - before <= 4


async def test_a_frame_that_is_too_large_leaves_the_link_as_it_was(ends: Ends) -> None:
    one, other = ends.pair()
    one.link.send(frame(1))
    with pytest.raises(SerializationError, match="larger than"):
        one.link.send(frame(2, bytes((1 << 30) + 1)))
    with pytest.raises(SerializationError, match="larger than"):
        one.link.send(frame(2, b"", bytes((1 << 30) + 1)))
    one.link.send(frame(3))
    await other.has(2)
    assert other.calls == [1, 3]


async def test_a_peer_that_ends_between_frames_ends_the_link_cleanly(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.read()
    peer.sock.close()
    assert await end.lost() == ""
    assert end.calls == [1, 2]
    assert end.link.closed
    end.link.send(frame(3))
    end.link.close()
    assert end.link.backlog == 0


async def test_a_peer_that_ends_within_a_frame_is_no_clean_end(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1))
    peer.sock.send(bytes(encode(frame(2, b"body"))[0])[:-1])
    peer.read()
    peer.sock.close()
    assert await end.lost() == "garbage: the connection ended 19 bytes into a frame"
    assert end.calls == [1]


GARBAGE = {
    "noise": b"GET / HTTP/1.1\r\n\r\n" * 3,
    "a second HELLO": bytes(encode(hello(b'{"pid": 1, "segments": null}'))[0]),
    "MAPPED": bytes(encode(Frame(Kind.MAPPED))[0]),
    "RELEASE": bytes(encode(Frame(Kind.RELEASE, 1))[0]),
    "WITHDRAW": bytes(encode(Frame(Kind.WITHDRAW, 1))[0]),
    "SEGMENT": bytes(encode(Frame(Kind.SEGMENT, head=b"[]"))[0]),
}


@pytest.mark.parametrize("noise", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_closes_the_link_once_after_the_frames_before_it(ends: Ends, noise: bytes) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.sock.send(noise)
    assert (await end.lost()).startswith("garbage: ")
    assert end.calls == [1, 2]
    await until(peer.heard_end)


@pytest.mark.parametrize(
    "head", [b"", b"{}", b"[]", b'{"pid": "1", "segments": null}', b'{"pid": 0}', b"\xff"]
)
async def test_a_hello_that_says_something_else_closes_the_link(ends: Ends, head: bytes) -> None:
    end, peer = ends.peer()
    peer.say(hello(head), frame(1))
    assert "HELLO came with a bad head" in await end.lost()
    assert end.calls == []


async def test_a_connection_that_does_not_begin_with_hello_is_closed(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.say(frame(1))
    assert await end.lost() == "garbage: the connection began with ITEM instead of HELLO"


async def test_a_receiver_that_finds_a_frame_wrong_closes_the_link(ends: Ends) -> None:
    one, other = ends.pair()

    def refuse(each: Frame) -> None:
        if each.call == 2:
            raise ProtocolError("no such call")
        other.frames.append(each)

    other.on_frame = refuse
    for number in (1, 2, 3):
        one.link.send(frame(number))
    assert await other.lost() == "garbage: no such call"
    assert other.calls == [1]
    assert await one.lost() == ""


async def test_a_receiver_that_fails_closes_its_link_and_no_other(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = ends.pair()

    def fail(_: Frame) -> None:
        raise KeyError("nothing")

    other.on_frame = fail
    good, better = ends.pair()
    with caplog.at_level(logging.ERROR, "fchains_local.link"):
        one.link.send(frame(1))
        assert "KeyError('nothing')" in await other.lost()
    assert "could not be handled" in caplog.text
    good.link.send(frame(2))
    await better.has(1)


async def test_what_the_peer_said_before_it_went_is_heard_though_writing_fails(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.sock.close()
    end.link.send(frame(9))
    end.link.send(frame(9))
    await end.lost()
    assert end.calls == [1, 2]


async def test_a_peer_that_closes_with_frames_unread_is_a_loss(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1))
    end.link.send(frame(2))
    await until(lambda: end.frames)
    peer.sock.close()
    assert "reset" in await end.lost()


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.ENOBUFS])
async def test_a_failing_socket_is_lost_with_the_words_of_the_system(ends: Ends, code: int) -> None:
    end, peer, sock = ends.peer_over(Failing)
    peer.greet()
    await asyncio.sleep(0)
    sock.error = OSError(code, "failed")
    end.link.send(frame(1))
    assert end.reasons == []
    assert await end.lost()
    assert end.link.closed
    end.link.send(frame(2))


async def test_a_link_over_a_dead_socket_is_lost_on_the_loop_and_not_while_it_is_made(ends: Ends) -> None:
    left, right = socket.socketpair()
    right.close()
    end = ends.end(left)
    assert end.reasons == []
    assert await end.lost() == ""


async def test_closing_writes_what_is_left_and_tells_nobody(ends: Ends) -> None:
    one, other = ends.pair()
    for number in range(100):
        one.link.send(frame(number))
    one.link.close()
    one.link.close()
    assert one.link.closed
    await other.lost()
    assert other.calls == [*range(100)]
    assert one.reasons == []


async def test_closing_does_not_wait_for_a_peer_that_does_not_read(ends: Ends) -> None:
    end, peer = ends.peer()
    end.link.send(frame(1, bytes(20_000_000)))
    end.link.send(frame(2))
    end.link.close()
    assert end.link.backlog == 0
    assert peer.read() < 20_000_000
    await until(peer.heard_end)


async def test_a_link_closed_while_it_hands_on_frames_hands_on_no_more(ends: Ends) -> None:
    one, other = ends.pair()

    def close(each: Frame) -> None:
        other.frames.append(each)
        other.link.close()

    other.on_frame = close
    for number in range(5):
        one.link.send(frame(number))
    assert await one.lost() in ("", "Connection reset by peer")
    assert other.calls == [0]
    assert other.reasons == []


def test_a_link_whose_loop_is_closed_closes_quietly() -> None:
    left, right = socket.socketpair()
    with contextlib.closing(right):

        async def make(ends: Ends) -> None:
            end = ends.end(left)
            end.link.send(frame(1))
            end.link.send(frame(2))

        ends = Ends()
        asyncio.run(make(ends))
        with ends:
            pass
        assert Peer(right).read()

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import numpy as np
import pytest

from fchains.errors import SerializationError
from fchains.wire.frames import Frame, Kind
from fchains.wire.payload import Payload
from tests.local.ends import Ends, frame, until
from tests.local.kernels import Counting, Trickling


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


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


@pytest.mark.parametrize("shared", [False, True])
async def test_buffers_may_change_once_the_link_has_detached_itself(ends: Ends, shared: bool) -> None:
    one, other = ends.pair(ends.pool() if shared else None, None)
    if shared:
        await until(lambda: one.link.shares)
    data = bytearray(b"\x01" * 8_000_000)
    one.link.send(frame(1, b"", memoryview(data)))
    one.link.send(frame(1, b"small"))
    assert one.link.backlog
    one.link.detach()
    data[:] = bytes(len(data))
    await other.has(2)
    assert other.frames[0].payload.buffers == (b"\x01" * 8_000_000,)
    assert other.frames[1].payload.body == b"small"


async def test_flushing_does_not_wait_for_the_end_of_the_turn(ends: Ends) -> None:
    end, peer = ends.peer()
    for number in range(5):
        end.link.send(frame(number))
    end.link.flush()
    peer.read()
    assert peer.calls == [*range(5)]
    assert end.link.backlog == 0

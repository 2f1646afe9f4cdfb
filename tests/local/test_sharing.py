"""Large buffers between two links that share memory."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fchains.wire.frames import Frame, Kind
from fchains.wire.payload import Buffer
from fchains_local.segment import Segment
from fchains_local.segment_map import SegmentMap
from fchains_local.segments import SegmentPool
from tests.local.ends import End, Ends, frame, until

MIB = 1 << 20


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


def is_shared(buffer: Buffer) -> bool:
    return isinstance(buffer, memoryview) and isinstance(buffer.obj, ctypes.Array)


def view(end: End, index: int = 0, buffer: int = 0) -> memoryview:
    """A buffer that came in a shared segment."""
    found = end.frames[index].payload.buffers[buffer]
    assert isinstance(found, memoryview)
    assert is_shared(found)
    return found


async def released(pool: SegmentPool) -> None:
    await until(lambda: pool.leased == 0)


class Flawed(Segment):
    """A segment in a memory that is full after half a megabyte."""

    def write(self, offset: int, data: Buffer) -> None:
        if offset + len(data) > MIB // 2:
            raise OSError(errno.ENOSPC, "no space left")
        super().write(offset, data)


async def test_links_find_out_that_they_can_share(ends: Ends) -> None:
    one, other = ends.pair(ends.pool(), None)
    await until(lambda: one.link.shares)
    assert not other.link.shares
    one.link.send(frame(1, b"", bytes(MIB)))
    other.link.send(frame(2, b"", bytes(MIB)))
    await other.has(1)
    await one.has(1)
    assert is_shared(other.frames[0].payload.buffers[0])
    assert not is_shared(one.frames[0].payload.buffers[0])


async def test_what_is_sent_before_they_know_goes_inline(ends: Ends) -> None:
    one, other = ends.pair(ends.pool(), ends.pool())
    one.link.send(frame(1, b"", b"\x01" * MIB))
    await other.has(1)
    (buffer,) = other.frames[0].payload.buffers
    assert not is_shared(buffer)
    assert bytes(buffer) == b"\x01" * MIB


@pytest.mark.parametrize("where", ["memory", "files"])
async def test_large_buffers_arrive_writable_and_aligned_beside_small_ones(
    ends: Ends, where: str, tmp_path: Path
) -> None:
    pool = ends.pool(directory=tmp_path if where == "files" else None)
    one, other = await ends.sharing(pool, ends.pool())
    data = [random.Random(9).randbytes(size) for size in (5, 300_001, 0, 100_000, 16_383, 16_384)]
    one.link.send(Frame(Kind.CALL, 7, 3, frame(1, b"body", *data).payload, b"head", 2.5))
    await other.has(1)
    (arrived,) = other.frames
    assert (arrived.kind, arrived.call, arrived.channel, arrived.head) == (Kind.CALL, 7, 3, b"head")
    assert (arrived.remaining, arrived.places, arrived.payload.body) == (2.5, (), b"body")
    assert [bytes(each) for each in arrived.payload.buffers] == data
    assert [is_shared(each) for each in arrived.payload.buffers] == [False, True, False, True, False, True]
    array = np.frombuffer(view(other, buffer=3), np.uint8)
    assert array.ctypes.data % 64 == 0
    array[:] = 9
    assert bytes(arrived.payload.buffers[3]) == b"\x09" * 100_000
    assert pool.leased == 1


async def test_arrays_of_any_shape_travel(ends: Ends) -> None:
    one, other = await ends.sharing(ends.pool(), ends.pool())
    array = np.arange(600_000, dtype=np.int32).reshape(300, 2000)
    one.link.send(frame(1, b"", array.data))
    await other.has(1)
    assert np.array_equal(np.frombuffer(view(other), np.int32).reshape(300, 2000), array)


async def test_a_hundred_payloads_take_turns_in_one_segment(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    for number in range(100):
        one.link.send(frame(number, b"", bytes([number]) * 500_000))
        await other.has(1)
        assert bytes(view(other)[::100_000]) == bytes([number]) * 5
        other.frames.clear()
        await released(pool)
    assert pool.size == MIB // 2


async def test_a_segment_in_use_is_not_written_again(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    for number in range(8):
        one.link.send(frame(number, b"", bytes([number]) * 500_000))
    await other.has(8)
    other.frames.sort(key=lambda each: each.call)
    assert [bytes(view(other, number)) == bytes([number]) * 500_000 for number in range(8)] == [True] * 8
    assert pool.leased == 8
    other.frames.clear()
    await released(pool)


async def test_part_of_an_array_keeps_its_segment(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", bytes(range(250)) * 2000, b"\x01" * MIB))
    await other.has(1)
    part: Any = np.frombuffer(view(other), np.uint8).reshape(2000, 250)[1000:, 5:7].T
    other.frames.clear()
    for number in range(2, 5):
        one.link.send(frame(number, b"", bytes(500_000), bytes(MIB)))
    await other.has(3)
    other.frames.clear()
    await until(lambda: pool.leased == 1)
    assert part.sum() == 11_000
    del part
    await released(pool)


async def test_a_view_that_another_thread_drops_is_released(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", bytes(MIB)))
    await other.has(1)
    held = [other.frames.pop().payload]
    assert pool.leased == 1
    thread = threading.Thread(target=held.clear)
    thread.start()
    await released(pool)
    thread.join()


async def test_a_view_in_a_cycle_is_released_by_the_garbage_collector(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", bytes(MIB)))
    await other.has(1)
    cycle: list[object] = [other.frames.pop().payload]
    cycle.append(cycle)
    del cycle
    assert pool.leased == 1
    gc.collect()
    await released(pool)


async def test_a_release_that_was_broken_off_is_made_up_for_with_the_next_frame(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    monkeypatch.setattr(SegmentMap, "_wake", lambda _map, _reference: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    for number in range(10):
        one.link.send(frame(number, b"", bytes(MIB)))
        await other.has(1)
        other.frames.clear()
    await until(lambda: pool.leased == 1)
    assert pool.size < 9 * MIB


async def test_views_stay_good_when_the_links_and_pools_are_gone(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    data = random.Random(3).randbytes(2 * MIB)
    one.link.send(frame(1, b"", data))
    await other.has(1)
    kept = np.frombuffer(view(other), np.uint8)
    one.link.close()
    await other.lost()
    other.frames.clear()
    pool.close()
    assert kept.tobytes() == data
    kept[:] = 1


async def test_a_segment_that_a_lost_peer_may_still_read_is_never_used_again(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    keeper, _ = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", b"\x01" * MIB))
    await other.has(1)
    other.link.close()
    await one.lost()
    assert pool.leased == 0
    assert pool.size == 0
    segment = pool.lease(MIB)
    assert segment is not None
    segment.write(0, b"\x02" * MIB)
    assert bytes(view(other)) == b"\x01" * MIB
    assert keeper.link.shares


async def test_beyond_the_limit_buffers_go_inline(ends: Ends) -> None:
    pool = ends.pool(2 * MIB)
    one, other = await ends.sharing(pool, ends.pool())
    for number in range(4):
        one.link.send(frame(number, b"", bytes([number]) * MIB))
    await other.has(4)
    other.frames.sort(key=lambda each: each.call)
    shared = [is_shared(each.payload.buffers[0]) for each in other.frames]
    assert shared == [True, True, False, False]
    assert [bytes(each.payload.buffers[0]) for each in other.frames] == [bytes([n]) * MIB for n in range(4)]


async def test_a_memory_that_fills_while_it_is_written_to_sends_the_frame_inline(ends: Ends) -> None:
    pool = ends.pool(create=Flawed)
    one, other = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", b"\x01" * 400_000))
    for number in range(2, 6):
        one.link.send(frame(number, b"", b"\x02" * MIB))
    one.link.send(frame(6))
    await other.has(6)
    assert sorted(other.calls) == [1, 2, 3, 4, 5, 6]
    by_call = {each.call: each for each in other.frames}
    assert is_shared(by_call[1].payload.buffers[0])
    assert not is_shared(by_call[2].payload.buffers[0])
    assert bytes(by_call[5].payload.buffers[0]) == b"\x02" * MIB
    assert pool.leased == 1


async def test_frames_of_a_call_keep_their_order_and_others_overtake_a_large_copy(ends: Ends) -> None:
    one, other = await ends.sharing(ends.pool(), ends.pool())
    one.link.send(frame(1, b"first", bytes(50 * MIB)))
    one.link.send(frame(1, b"second"))
    one.link.send(frame(1, b"third", bytes(MIB)))
    one.link.send(frame(2, b"small"))
    one.link.send(frame(3, b"medium", bytes(MIB)))
    assert one.link.backlog > 50 * MIB
    await other.has(5)
    arrived = [each.payload.body for each in other.frames]
    assert [body for body in arrived if body in (b"first", b"second", b"third")] == [
        b"first",
        b"second",
        b"third",
    ]
    assert arrived.index(b"small") < arrived.index(b"first")
    assert one.link.backlog == 0


async def test_closing_finishes_copies_that_are_under_way(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    data = random.Random(4).randbytes(20 * MIB)
    one.link.send(frame(1, b"", data))
    one.link.send(frame(1, b"end"))
    one.link.close()
    await other.lost()
    assert other.calls == [1, 1]
    assert bytes(view(other)) == data


async def test_a_segment_that_a_peer_may_still_open_stays_for_a_while(ends: Ends) -> None:
    pool = ends.pool(idle_seconds=0.01)
    one, _ = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", bytes(300_000)))
    one.link.close()
    assert pool.size == MIB // 2
    await until(lambda: pool.size == 0)


async def test_copies_under_way_when_the_peer_goes_leave_nothing(ends: Ends) -> None:
    pool = ends.pool()
    one, other = await ends.sharing(pool, ends.pool())
    one.link.send(frame(1, b"", bytes(50 * MIB)))
    one.link.send(frame(1))
    other.link.close()
    await one.lost()
    assert one.link.backlog == 0
    assert pool.leased == 0
    await asyncio.sleep(0)
    assert pool.size == 0


async def test_idle_memory_is_given_back_and_the_peer_told(ends: Ends) -> None:
    pool = ends.pool(idle_seconds=0.01)
    one, other = await ends.sharing(pool, ends.pool())
    for number in range(3):
        one.link.send(frame(number, b"", b"\x01" * 10 * MIB))
        await other.has(1)
        assert bytes(view(other)[-3:]) == b"\x01\x01\x01"
        other.frames.clear()
        await until(lambda: pool.size == 0)
        await until(lambda: not other.link._map._mapped)  # pyright: ignore[reportPrivateUsage]
    assert not one.link.closed


async def test_links_of_several_threads_share_a_pool(ends: Ends) -> None:
    pool = ends.pool(8 * MIB)

    async def talk(mark: int) -> None:
        with Ends() as mine:
            one, other = await mine.sharing(pool, pool)
            for number in range(30):
                for end in (one, other):
                    end.link.send(frame(number, b"", bytes([mark]) * 400_000))
                await one.has(1)
                await other.has(1)
                for end in (one, other):
                    assert bytes(end.frames.pop().payload.buffers[0]) == bytes([mark]) * 400_000

    await asyncio.gather(*[asyncio.to_thread(asyncio.run, talk(mark)) for mark in range(4)])
    assert pool.leased == 0


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_mixed_up_whatever_is_held_and_dropped(ends: Ends, seed: int) -> None:
    chance = random.Random(seed)
    pool = ends.pool(4 * MIB)
    one, other = await ends.sharing(pool, ends.pool(4 * MIB))
    other.on_frame = lambda each: other.link.send(frame(each.call, b"", *each.payload.buffers))
    sent: dict[int, list[bytes]] = {}
    checked: list[int] = []

    def check(each: Frame) -> None:
        assert [bytes(buffer) for buffer in each.payload.buffers] == sent.pop(each.call)
        checked.append(each.call)
        if chance.random() < 0.3:
            one.frames.append(each)
        if chance.random() < 0.3:
            one.frames.clear()

    one.on_frame = check
    for number in range(80):
        sizes = [chance.choice([0, 100, 20_000, 150_000, 700_000]) for _ in range(chance.randint(0, 3))]
        sent[number] = [chance.randbytes(64) * (size // 64) for size in sizes]
        one.link.send(frame(number, b"", *sent[number]))
        if chance.random() < 0.4:
            await asyncio.sleep(0)
    await until(lambda: not sent)
    assert sorted(checked) == [*range(80)]
    one.frames.clear()
    await released(pool)


def test_a_view_that_outlives_its_loop_is_dropped_quietly() -> None:
    kept: list[memoryview] = []

    async def talk() -> None:
        with Ends() as ends:
            one, other = await ends.sharing(ends.pool(), ends.pool())
            one.link.send(frame(1, b"", bytes(MIB)))
            await other.has(1)
            kept.append(view(other))

    asyncio.run(talk())
    kept.clear()


def test_a_link_that_was_never_closed_lets_views_go_quietly() -> None:
    kept: list[memoryview] = []
    pools = [SegmentPool(), SegmentPool()]
    socks = socket.socketpair()

    async def talk() -> None:
        one, other = (End(sock, pool) for sock, pool in zip(socks, pools, strict=True))
        await until(lambda: one.link.shares)
        one.link.send(frame(1, b"", bytes(MIB)))
        await other.has(1)
        kept.append(view(other))

    asyncio.run(talk())
    kept.clear()
    for sock, pool in zip(socks, pools, strict=True):
        sock.close()
        pool.close()

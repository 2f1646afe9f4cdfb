"""Peers that share memory wrongly lose their link, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains.wire.frames import Frame, Kind, hello
from fchains.wire.messages import Place
from fchains.wire.payload import Payload
from fchains_local.segment import Segment
from tests.local.ends import End, Ends, Peer, frame, until

SIZE = 1 << 20


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment(5, SIZE, tmp_path)
    made.write(0, b"shared" * 1000)
    yield made
    made.drop()


def announcement(segment: Segment, **changed: object) -> Frame:
    head = {"id": segment.number, "address": segment.address, "size": segment.size, **changed}
    return Frame(Kind.SEGMENT, head=json.dumps(head).encode())


def refers(*places: Place, call: int = 2) -> Frame:
    return Frame(Kind.ITEM, call, payload=Payload(b"", tuple(b"" for _ in places)), places=places)


def greeted(ends: Ends) -> tuple[End, Peer]:
    end, peer = ends.peer(ends.pool())
    peer.greet()
    peer.say(frame(1))
    return end, peer


async def refused(end: End, why: str) -> None:
    """The link is closed for that reason, after the frame before it."""
    reason = await end.lost()
    assert reason.startswith("garbage: ")
    assert why in reason
    assert end.calls == [1]


async def test_a_good_peer_is_understood(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), refers(Place(5, 6, 12), Place(5, 64, 1)))
    await end.has(2)
    assert [bytes(each) for each in end.frames[1].payload.buffers] == [b"sharedshared", b"e"]
    assert peer.read()
    assert not any(each.kind is Kind.RELEASE for each in peer.frames)
    end.frames.clear()
    (release,) = await peer.has(Kind.RELEASE)
    assert release.call == 5
    peer.say(Frame(Kind.WITHDRAW, 5), frame(3))
    await end.has(1)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": -1},
        {"id": "5"},
        {"size": 0},
        {"size": (1 << 30) + 1},
        {"size": None},
        {"address": 7},
    ],
    ids=str,
)
async def test_a_bad_announcement_is_refused(
    ends: Ends, segment: Segment, changed: dict[str, object]
) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment, **changed))
    await refused(end, "SEGMENT came with a bad head")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/dev/zero",
        "/etc/passwd",
        "relative/fchains-segment-1",
        "/proc/self/fd/0",
        "\0",
        "/proc/1/fd/../mem",
    ],
)
async def test_an_address_of_something_else_is_refused(ends: Ends, segment: Segment, address: str) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment, address=address))
    await refused(end, "is not the address of a segment")


async def test_an_address_with_nothing_behind_it_is_refused(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment, address=segment.address + "0"))
    await refused(end, "cannot be opened")


async def test_what_is_no_file_is_refused(ends: Ends, segment: Segment, tmp_path: Path) -> None:
    for make in (os.mkfifo, os.mkdir):
        end, peer = greeted(ends)
        address = tmp_path / f"fchains-segment-{make.__name__}"
        make(address)
        peer.say(announcement(segment, address=str(address)))
        await refused(end, "no file of" if make is os.mkfifo else "cannot be opened")


async def test_a_file_smaller_than_announced_is_refused(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment, size=SIZE + 1))
    await refused(end, "no file of 1048577 bytes")


async def test_a_file_that_shrank_is_refused_before_it_is_touched(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), frame(2))
    await end.has(2)
    os.truncate(segment.address, 4096)
    peer.say(refers(Place(5, 8192, 100)))
    assert "has become smaller" in await end.lost()
    assert end.calls == [1, 2]


async def test_a_segment_is_announced_once(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), announcement(segment))
    await refused(end, "segment 5 was announced twice")


@pytest.mark.parametrize(
    "place",
    [
        Place(5, SIZE - 10, 11),
        Place(5, SIZE, 1),
        Place(5, 2**32 - 1, 2),
        Place(5, 0, SIZE + 1),
        Place(5, 3, 0),
    ],
)
async def test_a_place_beyond_its_segment_is_refused(ends: Ends, segment: Segment, place: Place) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), refers(place))
    await refused(end, "of segment 5, which has 1048576")


async def test_a_segment_that_was_not_announced_is_refused(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), refers(Place(6, 0, 10)))
    await refused(end, "segment 6, which was not announced")


async def test_a_segment_that_was_withdrawn_is_unknown(ends: Ends, segment: Segment) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), Frame(Kind.WITHDRAW, 5), refers(Place(5, 0, 10)))
    await refused(end, "segment 5, which was not announced")


@pytest.mark.parametrize("again", [refers(Place(5, 0, 9), call=3), Frame(Kind.WITHDRAW, 5)])
async def test_a_segment_in_use_is_not_sent_or_withdrawn(ends: Ends, segment: Segment, again: Frame) -> None:
    end, peer = greeted(ends)
    peer.say(announcement(segment), refers(Place(5, 0, 10)), again)
    assert "segment 5" in await end.lost()
    assert end.calls == [1, 2]
    assert bytes(end.frames[1].payload.buffers[0]) == b"sharedshar"


async def test_a_release_of_what_was_not_lent_is_refused(ends: Ends) -> None:
    end, peer = greeted(ends)
    peer.say(Frame(Kind.MAPPED), Frame(Kind.RELEASE, 3))
    await refused(end, "segment 3 was released, which was not lent")


async def test_a_segment_released_twice_is_refused(ends: Ends) -> None:
    end, peer = greeted(ends)
    peer.say(Frame(Kind.MAPPED))
    await until(lambda: end.link.shares)
    end.link.send(frame(9, b"", bytes(300_000)))
    (announced,) = await peer.has(Kind.SEGMENT)
    number = json.loads(announced.head)["id"]
    peer.say(Frame(Kind.RELEASE, number), Frame(Kind.RELEASE, number))
    await refused(end, "was released, which was not lent")


async def test_a_peer_says_only_once_that_it_can_map(ends: Ends) -> None:
    end, peer = greeted(ends)
    peer.say(Frame(Kind.MAPPED), Frame(Kind.MAPPED))
    await refused(end, "MAPPED came")


@pytest.mark.parametrize(
    "offer",
    [
        {"address": "/proc/1/fd/999999", "token": "0" * 32},
        {"address": "/dev/zero", "token": "0" * 32},
        {"address": "{segment}", "token": "0" * 32},
    ],
    ids=["nothing there", "no segment", "another file"],
)
async def test_an_offer_that_cannot_be_read_means_no_sharing(
    ends: Ends, segment: Segment, offer: dict[str, str]
) -> None:
    end, peer = ends.peer(ends.pool())
    offer["address"] = offer["address"].format(segment=segment.address)
    peer.say(hello(json.dumps({"pid": 1, "segments": offer}).encode()), frame(1))
    await end.has(1)
    end.link.send(frame(2))
    await peer.has(Kind.ITEM)
    assert [each.kind for each in peer.frames] == [Kind.HELLO, Kind.ITEM]


async def test_an_offer_without_a_proper_token_is_a_bad_hello(ends: Ends) -> None:
    end, peer = ends.peer(ends.pool())
    peer.greet('{"address": "/proc/1/fd/1", "token": ""}')
    assert "HELLO came with a bad head" in await end.lost()


ECHO = """
    import asyncio, socket, sys

    from fchains.wire.messages import Frame
    from fchains_local.link import FrameLink
    from fchains_local.segments import SegmentPool

    async def main():
        loop, done, kept = asyncio.get_running_loop(), asyncio.Event(), []

        def echo(frame):
            kept.append(frame)
            link.send(frame)

        sock = socket.socket(fileno=int(sys.argv[1]))
        link = FrameLink(sock, loop, echo, lambda _: done.set(), segments=SegmentPool())
        await done.wait()

    asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_killed_process_leaves_good_views_and_no_segment(ends: Ends) -> None:
    pool = ends.pool()
    left, right = socket.socketpair()
    command = [sys.executable, "-c", textwrap.dedent(ECHO), str(right.fileno())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, pass_fds=[right.fileno()], env=environment)  # noqa: ASYNC220
    right.close()
    try:
        end = ends.end(left, pool)
        await until(lambda: end.link.shares)
        sent = [os.urandom(400_000) for _ in range(5)]
        for number, data in enumerate(sent):
            end.link.send(frame(number, b"", data))
        await end.has(5)
        assert pool.leased == 5
        process.send_signal(signal.SIGKILL)
        await end.lost()
    finally:
        process.kill()
        process.wait()
    assert {each.call: bytes(each.payload.buffers[0]) for each in end.frames} == dict(enumerate(sent))
    assert all(isinstance(each.payload.buffers[0], memoryview) for each in end.frames)
    assert pool.size == 0

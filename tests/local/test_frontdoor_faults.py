"""What a front door makes of callers that break the protocol, go away, or ask for too much."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fchains import chainlet
from fchains.calls.invocation import Failed, FailureKind
from fchains.errors import SerializationError
from fchains.wire.frames import Frame, Kind, hello
from fchains.wire.payload import Payload
from fchains.wire.windows import BYTES, ITEMS
from fchains_local import frontdoor
from fchains_local.callframes import (
    Stop,
    accept_frame,
    call_frame,
    cancel_frame,
    credit_frame,
    end_frame,
    item_frame,
    outcome_of,
    refuse_frame,
)
from fchains_local.link import FrameLink
from tests.local.peers import House, Peer, calling, serving, until
from tests.local.served import (
    GATE,
    HEAD,
    as_bytes,
    call,
    count,
    double,
    hold,
    wait_for_ever,
    wait_in_thread,
)

UPLOAD = call_frame(1, 0, calling(hold, uploads=("numbers",)))
ONE = item_frame(1, 1, Payload(b"1"))


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([UPLOAD, UPLOAD], "number 1, which is in use"),
        ([call(1, hold, channel=1, uploads=("numbers",))], "chainlet 1 of a replica that has 1"),
        ([Frame(Kind.CALL, 1, head=b"{")], "bad head"),
        ([accept_frame(1)], "ACCEPT came from a caller"),
        ([refuse_frame(1)], "REFUSE came from a caller"),
        ([Frame(Kind.RESULT, 1)], "RESULT came from a caller"),
        ([Frame(Kind.ERROR, 1)], "ERROR came from a caller"),
        ([UPLOAD, Frame(Kind.CANCEL, 1)], "unknown reason"),
        ([UPLOAD, credit_frame(1, 1, 1, 1)], "stream 1, which the replica does not send"),
        ([UPLOAD, Frame(Kind.CREDIT, 1)], "not with items and bytes"),
        ([UPLOAD, item_frame(1, 0, Payload(b"1"))], "stream 0, which is not open"),
        ([UPLOAD, item_frame(1, 2, Payload(b"1"))], "stream 2, which is not open"),
        ([UPLOAD, *[ONE] * (ITEMS + 1)], "into a full window"),
        ([UPLOAD, item_frame(1, 1, Payload(b" " * BYTES)), ONE], "into a full window"),
        ([UPLOAD, ONE, end_frame(1, 1, 2, None)], "of 2 items, ended after 1"),
        ([UPLOAD, end_frame(1, 1, 0, None), ONE], "stream 1, which is not open"),
        ([UPLOAD, end_frame(1, 1, 0, None), end_frame(1, 1, 0, None)], "stream 1, which is not open"),
        ([UPLOAD, Frame(Kind.END, 1, 1)], "not with the number of its items"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
async def test_a_caller_that_breaks_the_protocol_loses_its_link_only(
    frames: list[Frame], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(hold) as house:
        other, bad = house.peer(), house.peer()
        other.send(UPLOAD)
        assert (await other.hear()).kind is Kind.ACCEPT
        bad.send(*frames)
        await bad.lost()
        assert why in caplog.text
        await until(lambda: house.door.load == 1)
        other.send(cancel_frame(1, Stop.CANCELLED))
        assert (await other.hear()).kind is Kind.ERROR


async def test_credit_for_more_than_is_on_its_way_costs_the_link() -> None:
    async with serving(count) as house:
        peer = house.peer()
        peer.send(call(1, count, to=100))
        await peer.hear_kinds(1 + ITEMS)
        peer.send(credit_frame(1, 0, ITEMS + 1, 0))
        await peer.lost()
        await house.empty()


@pytest.mark.parametrize("half", [False, True], ids=["garbage", "half a frame"])
async def test_bad_bytes_cost_their_own_link_only(half: bool) -> None:
    async with serving(double) as house:
        peer, bad = house.peer(), house.connect()
        good = as_bytes(hello(HEAD), call(1, double, x=1))
        bad.sendall(good[:-5] if half else good + b"GET / HTTP/1.1\r\n\r\n" * 3)
        bad.close()
        await until(lambda: len(house.door.guests) == 1)
        peer.send(call(1, double, x=1))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]


async def test_a_caller_that_goes_takes_its_calls_along() -> None:
    async with serving(wait_for_ever, count) as house:
        staying, leaving = house.peer(), house.peer()
        leaving.send(*(call(number, wait_for_ever, x=1) for number in range(3)), call(4, count, 1, to=100))
        await until(lambda: house.door.load == 4)
        leaving.link.close()
        await house.empty()
        staying.send(call(1, wait_for_ever, x=1))
        assert (await staying.hear()).kind is Kind.ACCEPT


async def test_a_thread_that_ends_after_its_caller_has_gone_disturbs_nobody() -> None:
    GATE.clear()
    async with serving(wait_in_thread) as house:
        peer = house.peer()
        peer.send(call(1, wait_in_thread, x=1))
        assert (await peer.hear()).kind is Kind.ACCEPT
        peer.link.close()
        await until(lambda: not house.door.guests)
        GATE.set()
        await house.empty()
        peer = house.peer()
        peer.send(call(1, wait_in_thread, x=1))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]


async def test_a_closed_door_ends_links_and_calls() -> None:
    async with serving(wait_for_ever) as house:
        peer = house.peer()
        peer.send(call(1, wait_for_ever, x=1))
        assert (await peer.hear()).kind is Kind.ACCEPT
        house.door.close()
        assert await peer.lost() == ""
        await house.empty()
        assert peer.rest() == []


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fc") as folder:
        yield str(Path(folder) / "door")


def listening(address: str, kind: type[socket.socket] = socket.socket) -> socket.socket:
    sock = kind(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen()
    return sock


def caller(house: House, address: str) -> Peer:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(address)
    return house.peer(sock)


async def answers(peer: Peer) -> bool:
    peer.send(call(1, double, x=1))
    return await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]


async def test_callers_come_through_a_listening_socket(address: str) -> None:
    async with serving(double) as house:
        house.door.listen(listening(address))
        peers = [caller(house, address) for _ in range(3)]
        assert all([await answers(peer) for peer in peers])
        house.door.close()
        with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(address)


class Full(socket.socket):
    """A listening socket for whose first caller there is no descriptor."""

    tried = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tried += 1
        if self.tried == 1:
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


async def test_a_caller_for_whom_there_is_no_descriptor_is_let_in_later(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontdoor, "_PAUSE", 0.001)
    async with serving(double) as house:
        house.door.listen(listening(address, Full))
        assert await answers(caller(house, address))


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links take no value of more than 1000 bytes."""
    send = FrameLink.send

    def checked(self: FrameLink, frame: Frame) -> None:
        if frame.payload.size > 1000 and frame.kind is not Kind.ERROR:
            raise SerializationError("too large")
        send(self, frame)

    monkeypatch.setattr(FrameLink, "send", checked)


@chainlet
async def repeat(text: str, times: int) -> str:
    return text * times


@chainlet
async def grow(text: str) -> AsyncIterator[str]:
    while True:
        yield text
        text *= 10


@pytest.mark.usefixtures("small_frames")
async def test_a_result_that_is_too_large_is_an_error() -> None:
    async with serving(repeat) as house:
        peer = house.peer()
        peer.send(call(1, repeat, text="x", times=2000))
        assert (await peer.hear()).kind is Kind.ACCEPT
        outcome = outcome_of(await peer.hear())
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.failure.message) == (FailureKind.INVALID, "too large")
        assert house.door.load == 0


@pytest.mark.usefixtures("small_frames")
async def test_an_item_that_is_too_large_ends_its_stream() -> None:
    async with serving(grow) as house:
        peer = house.peer()
        peer.send(call(1, grow, text="x"))
        assert await peer.hear_kinds(4) == [Kind.ACCEPT, Kind.ITEM, Kind.ITEM, Kind.ITEM]
        outcome = outcome_of(await peer.hear())
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.failure.message) == (FailureKind.INVALID, "too large")
        await house.empty()
        assert peer.rest() == []

"""What a front door makes of frames, good ones and others; its callers are played by the tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fchains import batched, chainlet
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.errors import SerializationError
from fchains.wire.frames import Frame, FrameDecoder, Kind, encode, hello
from fchains.wire.payload import Payload
from fchains.wire.windows import BYTES, ITEMS
from fchains.worker.threads import ThreadPool
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
from tests.local.peers import House, Peer, calling, serving, until, value_of


@chainlet
async def double(x: int) -> int:
    return 2 * x


@chainlet(concurrency=1)
async def wait_for_ever(x: int) -> int:
    await asyncio.Event().wait()
    return x


@chainlet
@batched(max_size=2, max_wait=60.0)
async def double_all(x: list[int]) -> list[int]:
    return [2 * each for each in x]


MADE: list[int] = []


@chainlet
async def count(to: int) -> AsyncIterator[int]:
    MADE.clear()
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
def count_sync(to: int) -> Iterator[int]:
    MADE.clear()
    for number in range(to):
        MADE.append(number)
        yield number


@chainlet
async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])


@chainlet
async def hold(numbers: AsyncIterator[int]) -> int:
    await asyncio.Event().wait()
    return len([number async for number in numbers])


GATE = threading.Event()


@chainlet
def wait_in_thread(x: int) -> int:
    GATE.wait(10)
    return x


def call(number: int, chainlet: object, channel: int = 0, **arguments: Any) -> Frame:
    return call_frame(number, channel, calling(chainlet, f"call-{number}", **arguments))


HEAD = b'{"pid":1,"segments":null}'


def as_bytes(*frames: Frame) -> bytes:
    return b"".join(bytes(piece) for frame in frames for piece in encode(frame))


async def test_a_call_is_accepted_then_answered() -> None:
    async with serving(double) as house:
        peer = house.peer()
        peer.send(call(7, double, x=21))
        accepted, result = await peer.hear(), await peer.hear()
        assert (accepted.kind, accepted.call) == (Kind.ACCEPT, 7)
        assert (result.kind, result.call) == (Kind.RESULT, 7)
        assert value_of(double, result.payload) == 42


HOOKS: list[Callable[[], None]] = []


@chainlet
async def tell(x: int) -> int:
    HOOKS[-1]()
    return x


@chainlet(concurrency=10)
def tell_in_thread(x: int) -> int:
    return x


@pytest.mark.parametrize("function", [tell, tell_in_thread], ids=["async", "sync"])
async def test_each_acknowledgement_is_written_before_its_code_begins(
    function: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = FrameDecoder()
    accepted: list[int] = []
    early: list[int] = []
    async with serving(function) as house:
        sock = house.connect()

        def begin() -> None:
            with contextlib.suppress(BlockingIOError):
                frames = decoder.feed(sock.recv(65536, socket.MSG_DONTWAIT))
                accepted.extend(frame.call for frame in frames if frame.kind is Kind.ACCEPT)
            early.append(len(accepted))

        def checked_run(pool: ThreadPool, *args: Any, **kwargs: Any) -> Any:
            begin()
            return run(pool, *args, **kwargs)

        run = ThreadPool.run
        monkeypatch.setattr(ThreadPool, "run", checked_run)
        monkeypatch.setattr(f"{__name__}.HOOKS", [begin])
        sock.sendall(as_bytes(hello(HEAD), *(call(number, function, x=1) for number in range(5))))
        await until(lambda: len(early) == 5)
        await house.empty()
        sock.close()
    assert all(written > begun for begun, written in enumerate(early))


async def test_the_channel_says_which_chainlet_is_called() -> None:
    async with serving(wait_for_ever, double) as house:
        peer = house.peer()
        peer.send(call(1, double, channel=1, x=4))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]
        assert house.published == [(1, 1), (1, 0)]


async def test_a_call_counts_from_its_arrival_until_its_input_is_gone() -> None:
    async with serving(wait_for_ever) as house:
        peer = house.peer()
        peer.send(call(1, wait_for_ever, x=1), call(2, wait_for_ever, x=1))
        await until(lambda: house.door.load == 2)
        peer.send(cancel_frame(2, Stop.CANCELLED))
        await until(lambda: house.door.load == 1)
        peer.send(cancel_frame(1, Stop.CANCELLED))
        await house.empty()
        assert [load for _, load in house.published] == [1, 2, 1, 0]


async def test_what_is_too_much_is_refused_and_never_counts() -> None:
    async with serving(wait_for_ever, double, most=1) as house:
        peer = house.peer()
        peer.send(call(1, wait_for_ever, x=1))
        assert (await peer.hear()).kind is Kind.ACCEPT
        peer.send(call(2, wait_for_ever, x=1), call(3, double, channel=1, x=1))
        assert await peer.hear() == refuse_frame(2)
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]  # the other chainlet has room
        assert house.published == [(0, 1), (1, 1), (1, 0)]


async def test_a_door_that_refuses_lets_what_it_has_finish() -> None:
    async with serving(count) as house:
        peer = house.peer()
        peer.send(call(1, count, to=ITEMS + 1))
        await peer.hear_kinds(1 + ITEMS)
        house.door.refusing = True
        peer.send(call(2, count, to=1))
        assert await peer.hear() == refuse_frame(2)
        peer.send(credit_frame(1, 0, 8, 16))
        assert await peer.hear_kinds(2) == [Kind.ITEM, Kind.END]


async def test_bad_arguments_are_answered_without_an_acknowledgement() -> None:
    async with serving(double) as house:
        peer = house.peer()
        peer.send(call(1, double, x="two"))
        outcome = outcome_of(await peer.hear())
        assert isinstance(outcome, Failed)
        assert outcome.kind is FailureKind.INVALID
        assert house.door.load == 0


async def test_an_invocation_that_the_replica_cannot_take_is_lost_after_its_acknowledgement() -> None:
    async with serving(double) as house:
        peer = house.peer()
        peer.send(call_frame(1, 0, calling(double, uploads=("numbers",), x=1)))
        assert (await peer.hear()).kind is Kind.ACCEPT
        outcome = outcome_of(await peer.hear())
        assert isinstance(outcome, Failed)
        assert outcome.kind is FailureKind.LOST
        assert "could not take it" in outcome.failure.message
        assert house.door.load == 0


@pytest.mark.parametrize(
    "frame",
    [
        cancel_frame(9, Stop.CANCELLED),
        credit_frame(9, 0, 1, 1),
        item_frame(9, 1, Payload(b"1")),
        end_frame(9, 1, 0, None),
    ],
    ids=lambda frame: frame.kind.name,
)
async def test_what_crossed_an_outcome_is_ignored(frame: Frame) -> None:
    async with serving(double) as house:
        peer = house.peer()
        peer.send(call(9, double, x=1))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]
        peer.send(frame, call(9, double, x=1))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]


@pytest.mark.parametrize("how", [Stop.CANCELLED, Stop.TIMED_OUT])
async def test_a_cancelled_call_is_answered_at_once(how: Stop) -> None:
    async with serving(wait_for_ever) as house:
        peer = house.peer()
        peer.send(call(1, wait_for_ever, x=1), cancel_frame(1, how))
        assert (await peer.hear()).kind is Kind.ACCEPT
        outcome = outcome_of(await peer.hear())
        assert isinstance(outcome, Failed)
        assert outcome.kind is (FailureKind.TIMEOUT if how is Stop.TIMED_OUT else FailureKind.CANCELLED)
        await house.empty()


async def test_a_call_that_waits_for_a_slot_is_given_back_when_recalled() -> None:
    async with serving(wait_for_ever) as house:
        peer = house.peer()
        peer.send(call(1, wait_for_ever, x=1), call(2, wait_for_ever, x=1))
        assert (await peer.hear()).kind is Kind.ACCEPT
        peer.send(cancel_frame(2, Stop.RECALLED))
        assert await peer.hear() == refuse_frame(2)
        assert house.door.load == 1


async def test_a_call_that_waits_for_a_batch_is_given_back_when_recalled() -> None:
    async with serving(double_all) as house:
        peer = house.peer()
        peer.send(call(1, double_all, x=1), cancel_frame(1, Stop.RECALLED))
        assert await peer.hear() == refuse_frame(1)
        peer.send(call(2, double_all, x=2), call(3, double_all, x=3))
        assert await peer.hear_kinds(4) == [Kind.ACCEPT, Kind.ACCEPT, Kind.RESULT, Kind.RESULT]
        assert house.door.load == 0


async def test_a_call_that_runs_is_not_given_back() -> None:
    async with serving(count) as house:
        peer = house.peer()
        peer.send(call(1, count, to=ITEMS + 1))
        await peer.hear_kinds(1 + ITEMS)
        peer.send(cancel_frame(1, Stop.RECALLED), credit_frame(1, 0, 8, 16))
        assert await peer.hear_kinds(2) == [Kind.ITEM, Kind.END]


@pytest.mark.parametrize("generator", [count, count_sync], ids=["async", "sync"])
async def test_a_slow_reader_pauses_the_generator(generator: object) -> None:
    async with serving(generator, double) as house:
        peer = house.peer()
        peer.send(call(1, generator, to=100))
        assert await peer.hear_kinds(1 + ITEMS) == [Kind.ACCEPT, *[Kind.ITEM] * ITEMS]
        peer.send(call(2, double, channel=1, x=1))
        assert await peer.hear_kinds(2) == [Kind.ACCEPT, Kind.RESULT]
        assert len(MADE) <= ITEMS + 1
        peer.send(credit_frame(1, 0, 8, 8))
        assert await peer.hear_kinds(8) == [Kind.ITEM] * 8
        peer.send(cancel_frame(1, Stop.CANCELLED))
        assert (await peer.hear()).kind is Kind.ERROR
        assert len(MADE) <= ITEMS + 9


async def test_the_end_of_a_stream_names_its_items() -> None:
    async with serving(count) as house:
        peer = house.peer()
        peer.send(call(1, count, to=3))
        assert await peer.hear_kinds(4) == [Kind.ACCEPT, Kind.ITEM, Kind.ITEM, Kind.ITEM]
        end = outcome_of(await peer.hear())
        assert isinstance(end, Success)
        assert end.items == 3


async def test_an_upload_is_read_and_credited() -> None:
    async with serving(total) as house:
        peer = house.peer()
        peer.send(call_frame(1, 0, calling(total, uploads=("numbers",))))
        assert (await peer.hear()).kind is Kind.ACCEPT
        peer.send(*(item_frame(1, 1, Payload(b"%d" % number)) for number in range(8)))
        assert await peer.hear() == credit_frame(1, 1, 8, 8)
        peer.send(item_frame(1, 1, Payload(b"100")), end_frame(1, 1, 9, None))
        assert value_of(total, (await peer.hear()).payload) == 128


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

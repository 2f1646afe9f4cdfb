"""What a front door makes of frames, good ones and others; its callers are played by the tests."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

from fchains import chainlet
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.wire.frames import Frame, FrameDecoder, Kind, hello
from fchains.wire.payload import Payload
from fchains.wire.windows import ITEMS
from fchains.worker.threads import ThreadPool
from fchains_local.callframes import (
    Stop,
    call_frame,
    cancel_frame,
    credit_frame,
    end_frame,
    item_frame,
    outcome_of,
    refuse_frame,
)
from tests.local.peers import calling, serving, until, value_of
from tests.local.served import (
    HEAD,
    MADE,
    as_bytes,
    call,
    count,
    count_sync,
    double,
    double_all,
    total,
    wait_for_ever,
)


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

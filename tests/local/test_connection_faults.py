"""What a connection makes of replicas that break the protocol or are lost, and of values that cannot go."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from fchains import SerializationError, WorkerLost
from fchains.calls.invocation import FailureKind, Success
from fchains.wire.frames import Frame, Kind, ProtocolError
from fchains.wire.payload import Payload
from fchains.wire.windows import BYTES
from fchains_local.callframes import (
    Stop,
    accept_frame,
    cancel_frame,
    credit_frame,
    end_frame,
    item_frame,
    outcome_frame,
    refuse_frame,
)
from fchains_local.connection import Connection
from fchains_local.link import FrameLink
from tests.local.peers import Answer, until
from tests.local.scripted import CALL, ITEM, RESULT, STREAMED, line, lost

BAD: list[tuple[str, list[Frame]]] = [
    ("of 3 items ended after 1", [outcome_frame(1, Success(ITEM, 3))]),
    ("of 0 items ended after 1", [outcome_frame(1, RESULT)]),
    ("ACCEPT came twice", [accept_frame(1)]),
    ("REFUSE came after ACCEPT", [refuse_frame(1)]),
    ("ITEM came for stream 1", [item_frame(1, 1, ITEM)]),
    ("END came for stream 1", [end_frame(1, 1, 1, None)]),
    ("CREDIT came for stream 0", [credit_frame(1, 0, 1, 1)]),
    ("CREDIT came for stream 3", [credit_frame(1, 3, 1, 1)]),
    ("credit for 1 items of 1 bytes", [credit_frame(1, 1, 1, 1)]),
    ("not with items and bytes", [Frame(Kind.CREDIT, 1, 1)]),
    ("not with the number of its items", [Frame(Kind.END, 1)]),
    ("unknown kind", [Frame(Kind.ERROR, 1)]),
]


@pytest.mark.parametrize(("why", "frames"), BAD, ids=[why.replace(" ", "-") for why, _ in BAD])
async def test_a_broken_protocol_loses_its_own_call_only(why: str, frames: list[Frame]) -> None:
    async with line() as there:
        sent, answer = await there.sent(STREAMED)
        other, still = await there.sent()
        assert sent.number == 1
        there.replica.send(accept_frame(1), item_frame(1, 0, ITEM), *frames)
        kind, error = await answer.failure()
        assert kind is FailureKind.LOST
        assert isinstance(error, WorkerLost)
        assert why in str(error)
        assert answer.heard == ["accepted", "item", "finish"]
        assert await there.replica.hear() == cancel_frame(1, Stop.CANCELLED)
        # What the replica says of it until it hears that goes nowhere.
        there.replica.send(item_frame(1, 0, ITEM), outcome_frame(1, RESULT))
        there.replica.send(accept_frame(other.number), outcome_frame(other.number, RESULT))
        assert await still.success() == RESULT
        assert len(answer.outcomes) == 1
        assert there.lost == []


@pytest.mark.parametrize(
    "frame", [item_frame(1, 0, ITEM), outcome_frame(1, RESULT), outcome_frame(1, Success(ITEM, 1))]
)
async def test_a_call_whose_acknowledgement_is_missing_counts_as_begun(frame: Frame) -> None:
    async with line() as there:
        sent, answer = await there.sent()
        there.replica.send(frame)
        assert (await answer.failure())[0] is FailureKind.LOST
        assert answer.heard == ["accepted", "finish"]
        assert sent.accepted


async def test_items_beyond_the_window_lose_the_call() -> None:
    async with line() as there:
        sent, answer = await there.sent()

        def refuse(payload: Payload) -> None:
            raise ProtocolError(f"an item of {payload.size} bytes came into a full window")

        answer.on_item = refuse
        there.replica.send(accept_frame(sent.number), item_frame(sent.number, 0, ITEM))
        assert (await answer.failure())[0] is FailureKind.LOST
        assert await there.replica.hear() == cancel_frame(sent.number, Stop.CANCELLED)


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.CANCEL])
async def test_a_replica_that_speaks_like_a_caller_is_lost(kind: Kind) -> None:
    async with line() as there:
        await there.sent()
        there.replica.send(Frame(kind, 1))
        await until(lambda: bool(there.lost))
        assert f"{kind.name} came from a replica" in there.lost[0]


async def test_a_lost_link_is_told_once_after_what_came_before_it() -> None:
    async with line() as there:
        (sent, answer), (_, other) = await there.sent(), await there.sent()
        there.replica.send(accept_frame(sent.number), *[item_frame(sent.number, 0, ITEM)] * 3)
        there.replica.link.close()
        await until(lambda: bool(there.lost))
        assert there.lost == [""]
        assert answer.heard == ["accepted", "item", "item", "item"]
        there.connection.fail(lost)
        assert (await answer.failure())[0] is FailureKind.LOST
        assert (await other.failure())[0] is FailureKind.LOST
        assert other.heard == ["finish"]  # nothing says that it began: it may be sent elsewhere
        assert there.connection.load("second") == 0
        there.connection.fail(lost)
        assert len(answer.outcomes) == 1


@pytest.mark.parametrize("failed_before", [False, True])
async def test_a_call_to_a_lost_replica_fails_unaccepted(failed_before: bool) -> None:
    async with line() as there:
        there.replica.link.close()
        await until(lambda: bool(there.lost))
        if failed_before:
            there.connection.fail(lost)
        sent, answer = there.send()
        sent.cancel()
        sent.recall()
        sent.consumed(1, 1)
        assert answer.heard == []
        if not failed_before:
            there.connection.fail(lost)
        assert str((await answer.failure())[1]) == "call-1 is gone"
        assert answer.heard == ["finish"]
        assert len(there.lost) == 1


async def test_calls_of_a_link_that_its_owner_closes_are_reported_lost() -> None:
    async with line() as there:
        await there.sent()
        there.connection.close()
        there.connection.close()
        assert there.lost == []
        await until(lambda: there.lost == [""])
        assert await there.replica.lost() == ""


async def test_a_call_to_a_closed_link_is_reported_lost() -> None:
    async with line() as there:
        there.connection.close()
        _, answer = there.send()
        assert (there.lost, answer.heard) == ([], [])
        await until(lambda: there.lost == [""])


async def test_a_link_that_failed_is_not_reported_lost() -> None:
    async with line() as there:
        _, answer = await there.sent()
        there.connection.fail(lost)
        await answer.over()
        await there.replica.lost()
        await asyncio.sleep(0)
        assert there.lost == []


async def test_half_a_frame_loses_the_link() -> None:
    ours, theirs = socket.socketpair()
    told: list[str] = []
    connection = Connection(ours, asyncio.get_running_loop(), {"second": 0}, lambda _, why: told.append(why))
    answer = Answer()
    connection.send(CALL, answer)
    theirs.sendall(b"\x09")
    theirs.close()
    await until(lambda: bool(told))
    connection.fail(lost)
    assert (await answer.failure())[0] is FailureKind.LOST


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links take no value of more than 1000 bytes."""
    send = FrameLink.send

    def checked(self: FrameLink, frame: Frame) -> None:
        if frame.payload.size > 1000:
            raise SerializationError("too large")
        send(self, frame)

    monkeypatch.setattr(FrameLink, "send", checked)


LARGE = Payload(b" " * 1001)


@pytest.mark.usefixtures("small_frames")
async def test_arguments_that_are_too_large_fail_their_call_and_nothing_else() -> None:
    async with line() as there:
        _, answer = there.send(replace(CALL, arguments=LARGE))
        assert answer.heard == []
        kind, error = await answer.failure()
        assert (kind, str(error)) == (FailureKind.INVALID, "too large")
        assert there.connection.load("second") == 0
        assert await there.said_nothing()


@pytest.mark.usefixtures("small_frames")
async def test_an_uploaded_item_that_is_too_large_fails_its_call() -> None:
    async with line() as there:
        sent, answer = await there.sent(STREAMED)
        sent.upload("words", LARGE)
        assert (await answer.failure())[0] is FailureKind.INVALID
        assert await there.replica.hear() == cancel_frame(sent.number, Stop.CANCELLED)


async def test_a_key_that_is_no_text_fails_its_call() -> None:
    async with line() as there:
        _, answer = there.send(replace(CALL, key="\ud800"))
        assert (await answer.failure())[0] is FailureKind.INVALID


async def test_a_sender_that_ignores_its_window_is_told_so() -> None:
    async with line() as there:
        sent, _ = await there.sent(STREAMED)
        sent.upload("words", Payload(b" " * BYTES))
        with pytest.raises(RuntimeError, match="full window"):
            sent.upload("words", ITEM)

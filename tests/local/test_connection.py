"""What a connection makes of its replica's frames, good ones and others; replicas are played by the tests."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from fchains import CallCancelled, SerializationError, WorkerLost
from fchains.calls.invocation import Failed, FailureKind, Invocation, Success
from fchains.wire.failures import failure_of
from fchains.wire.frames import Frame, Kind, ProtocolError
from fchains.wire.payload import Payload
from fchains.wire.windows import BYTES
from fchains.worker.outcomes import failed
from fchains_local.callframes import (
    Stop,
    accept_frame,
    cancel_frame,
    credit_frame,
    end_frame,
    invocation_of,
    item_frame,
    outcome_frame,
    refuse_frame,
)
from fchains_local.connection import Connection, Sent
from fchains_local.link import FrameLink
from tests.local.peers import Answer, Peer, until

CALL = Invocation("call-1", "chain-1", "second", Payload(b'{"x":1}'), remaining=2.5)
STREAMED = replace(CALL, uploads=("numbers", "words"))
ITEM = Payload(b"7")
RESULT = Success(Payload(b"3"))


class Line:
    """A connection, the replica at its other end, and what the owner is told."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.lost: list[str] = []
        self.replica = Peer(theirs)
        members = {"first": 0, "second": 1}
        self.connection = Connection(ours, asyncio.get_running_loop(), members, self._on_lost)

    def _on_lost(self, connection: Connection, reason: str) -> None:
        assert connection is self.connection
        self.lost.append(reason)

    def send(self, invocation: Invocation = CALL) -> tuple[Sent, Answer]:
        answer = Answer()
        return self.connection.send(invocation, answer), answer

    async def sent(self, invocation: Invocation = CALL) -> tuple[Sent, Answer]:
        """Send a call, and let it arrive."""
        sent, answer = self.send(invocation)
        assert (await self.replica.hear()).call == sent.number
        return sent, answer

    async def said_nothing(self) -> bool:
        """Whether the next thing that the replica hears is a call that is sent now."""
        sent, _ = self.send()
        return (await self.replica.hear()).call == sent.number


@asynccontextmanager
async def line() -> AsyncGenerator[Line, None]:
    line = Line()
    try:
        yield line
    finally:
        line.connection.close()
        line.replica.link.close()


def lost(sent: Sent) -> Failed:
    return failed(FailureKind.LOST, WorkerLost(f"{sent.invocation.id} is gone"))


async def test_a_call_arrives_with_its_channel_and_what_is_left_of_its_deadline() -> None:
    async with line() as there:
        sent, _ = there.send()
        frame = await there.replica.hear()
        assert (frame.call, frame.channel, frame.remaining) == (sent.number, 1, 2.5)
        assert invocation_of(frame, "second") == CALL


async def test_a_call_is_accepted_has_items_and_ends_in_this_order() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        there.replica.send(
            accept_frame(sent.number),
            item_frame(sent.number, 0, ITEM),
            item_frame(sent.number, 0, ITEM),
            outcome_frame(sent.number, Success(Payload(b"null"), 2)),
        )
        assert (await answer.success()).items == 2
        assert answer.heard == ["accepted", "item", "item", "finish"]
        assert answer.items == [ITEM, ITEM]


async def test_a_call_counts_until_its_outcome_has_come() -> None:
    async with line() as there:
        (first, _), (second, answer) = await there.sent(), await there.sent()
        assert (there.connection.load("second"), there.connection.load("first")) == (2, 0)
        there.replica.send(refuse_frame(first.number), accept_frame(second.number))
        there.replica.send(outcome_frame(second.number, RESULT))
        await answer.over()
        assert there.connection.load("second") == 0
        assert not there.connection.calls
        assert first.finished
        assert second.finished


async def test_room_is_there_when_the_reply_hears_of_the_end() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        loads: list[int] = []
        answer.refused = lambda: loads.append(there.connection.load("second"))  # type: ignore[method-assign]
        there.replica.send(refuse_frame(sent.number))
        await until(lambda: bool(loads))
        assert loads == [0]


async def test_a_cancelled_call_counts_until_its_outcome_has_come() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        sent.cancel(timed_out=True)
        sent.cancel()
        assert await there.replica.hear() == cancel_frame(sent.number, Stop.TIMED_OUT)
        assert not sent.wanted
        assert not sent.finished
        assert there.connection.load("second") == 1
        there.replica.send(outcome_frame(sent.number, failed(FailureKind.TIMEOUT, TimeoutError())))
        assert (await answer.failure())[0] is FailureKind.TIMEOUT
        assert there.connection.load("second") == 0
        sent.cancel()
        assert await there.said_nothing()


async def test_a_cancel_that_crosses_the_result_changes_nothing() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        there.replica.send(accept_frame(sent.number), outcome_frame(sent.number, RESULT))
        sent.cancel()
        assert await answer.success() == RESULT


async def test_numbers_begin_anew_without_those_in_flight() -> None:
    async with line() as there:
        (first, _), (second, _) = there.send(), there.send()
        there.connection._numbers = itertools.count(2**32 - 1)  # pyright: ignore[reportPrivateUsage]
        numbers = [there.send()[0].number for _ in range(4)]
        assert numbers[:2] == [2**32 - 1, 0]
        assert not {first.number, second.number} & set(numbers)
        assert len({*numbers}) == 4


async def test_a_refused_call_may_go_elsewhere() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        there.replica.send(refuse_frame(sent.number))
        await answer.over()
        assert answer.heard == ["refused"]


async def test_a_refused_call_that_was_cancelled_goes_nowhere() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        sent.recall()
        sent.cancel()
        there.replica.send(refuse_frame(sent.number))
        kind, error = await answer.failure()
        assert kind is FailureKind.CANCELLED
        assert isinstance(error, CallCancelled)
        assert answer.heard == ["finish"]


async def test_a_recall_that_crosses_the_acknowledgement_changes_nothing() -> None:
    async with line() as there:
        sent, answer = await there.sent()
        there.replica.send(accept_frame(sent.number))
        sent.recall()
        assert await there.replica.hear() == cancel_frame(sent.number, Stop.RECALLED)
        there.replica.send(outcome_frame(sent.number, RESULT))
        assert await answer.success() == RESULT


async def test_what_has_begun_is_not_recalled() -> None:
    async with line() as there:
        sent, _ = await there.sent()
        there.replica.send(accept_frame(sent.number))
        await until(lambda: sent.accepted)
        sent.recall()
        assert await there.said_nothing()


async def test_the_reader_gives_credit() -> None:
    async with line() as there:
        sent, _ = await there.sent()
        sent.consumed(8, 64)
        assert await there.replica.hear() == credit_frame(sent.number, 0, 8, 64)


async def test_uploads_have_streams_of_their_own_and_ends_that_count() -> None:
    async with line() as there:
        sent, answer = await there.sent(STREAMED)
        failure = failure_of(ValueError("no more"))
        sent.upload("words", ITEM)
        sent.upload("words", ITEM)
        sent.end_upload("words", None)
        sent.end_upload("numbers", failure)
        number = sent.number
        assert [await there.replica.hear() for _ in range(4)] == [
            item_frame(number, 2, ITEM),
            item_frame(number, 2, ITEM),
            end_frame(number, 2, 2, None),
            end_frame(number, 1, 0, failure),
        ]
        there.replica.send(accept_frame(number), credit_frame(number, 2, 2, 2))
        await until(lambda: answer.credits == [("words", 2, 2)])


async def test_an_upload_stops_when_its_call_has_ended() -> None:
    async with line() as there:
        sent, answer = await there.sent(STREAMED)
        sent.upload("words", ITEM)
        await there.replica.hear()
        there.replica.send(accept_frame(sent.number), outcome_frame(sent.number, RESULT))
        await answer.over()
        sent.upload("words", ITEM)
        sent.end_upload("words", None)
        sent.consumed(1, 1)
        assert await there.said_nothing()


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


async def test_where_a_replica_is_blocked_is_what_its_owner_was_told() -> None:
    async with line() as there:
        sent, _ = there.send()
        assert sent.whereabouts() == ""
        there.connection.whereabouts = " at app.py:7"
        assert sent.whereabouts() == " at app.py:7"

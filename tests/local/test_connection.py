"""What a connection makes of its replica's frames, good ones and others; replicas are played by the tests."""

from __future__ import annotations

import itertools

from fchains import CallCancelled
from fchains.calls.invocation import FailureKind, Success
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload
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
from tests.local.peers import until
from tests.local.scripted import CALL, ITEM, RESULT, STREAMED, line


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


async def test_where_a_replica_is_blocked_is_what_its_owner_was_told() -> None:
    async with line() as there:
        sent, _ = there.send()
        assert sent.whereabouts() == ""
        there.connection.whereabouts = " at app.py:7"
        assert sent.whereabouts() == " at app.py:7"

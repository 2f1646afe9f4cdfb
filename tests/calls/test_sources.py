from __future__ import annotations

import pytest

from fchains import WorkerLost
from fchains.calls.invocation import Failed, FailureKind, Success
from fchains.calls.sources import END, PENDING, StreamBuffer
from fchains.wire.failures import failure_of
from fchains.wire.payload import Payload
from fchains.wire.windows import ITEMS


class Opener:
    """Values are their bytes."""

    def value(self, payload: Payload) -> bytes:
        return bytes(payload.body)

    def error(self, failed: Failed) -> BaseException:
        return ValueError(failed.failure.exceptions[0].message)


class Feeder:
    """Counts what the reader gives back."""

    def __init__(self) -> None:
        self.credit = 0
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def consumed(self, items: int, size: int) -> None:
        self.credit += items


def buffer(items: int = 0) -> StreamBuffer[bytes]:
    filled: StreamBuffer[bytes] = StreamBuffer(Opener(), "f")
    for number in range(items):
        filled.put(Payload(b"%d" % number))
    return filled


def test_items_come_in_order_and_then_the_end() -> None:
    stream = buffer(2)
    stream.settle(Success(Payload(b"null"), 2))
    assert [stream.take() for _ in range(4)] == [b"0", b"1", END, END]


def test_a_failure_comes_after_the_items_before_it_and_once() -> None:
    stream = buffer(1)
    stream.settle(Failed(FailureKind.USER, failure_of(ValueError("no"))))
    assert stream.take() == b"0"
    with pytest.raises(ValueError, match="no"):
        stream.take()
    assert stream.take() is END


def test_an_end_that_names_more_items_than_came_is_a_loss() -> None:
    stream = buffer(1)
    stream.settle(Success(Payload(b"null"), 2))
    stream.take()
    with pytest.raises(WorkerLost, match="1 of 2 items"):
        stream.take()


def test_a_reader_is_woken_by_an_item_by_the_end_and_at_once_if_something_is_there() -> None:
    woken: list[str] = []
    stream = buffer()
    assert stream.take() is PENDING
    stream.when_ready(lambda: woken.append("item"))
    stream.put(Payload(b"0"))
    stream.when_ready(lambda: woken.append("at once"))
    stream.take()
    stream.when_ready(lambda: woken.append("end"))
    stream.settle(Success(Payload(b"null"), 1))
    assert woken == ["item", "at once", "end"]


def test_a_reader_that_takes_items_lets_as_many_more_come() -> None:
    stream, feeder = buffer(ITEMS), Feeder()
    stream.feeder = feeder
    for _ in range(ITEMS):
        stream.take()
    assert feeder.credit == ITEMS


def test_cancelling_drops_what_is_there_and_stops_the_work() -> None:
    stream, feeder = buffer(3), Feeder()
    stream.feeder = feeder
    stream.cancel()
    assert stream.empty
    assert feeder.cancelled

from __future__ import annotations

from collections import deque

import hypothesis
import pytest
from hypothesis import strategies as st

from fchains.wire.frames import ProtocolError
from fchains.wire.windows import BYTES, ITEMS, Credit, ReceiveWindow, SendWindow


class Connection:
    """A writer and a reader, and what is between them."""

    def __init__(self, sizes: list[int], items: int, bytes: int) -> None:
        self.limits = (items, bytes)
        self.to_send = deque(enumerate(sizes))
        self.sender = SendWindow(items, bytes)
        self.receiver = ReceiveWindow(items, bytes)
        self.on_the_way: deque[tuple[int, int] | None] = deque()
        self.held: deque[tuple[int, int]] = deque()
        self.credits: deque[Credit] = deque()
        self.read: list[int] = []
        self.total = len(sizes)
        self.most = 0

    def write(self) -> bool:
        if not self.to_send:
            return False
        number, size = self.to_send[0]
        if not self.sender.can_send(size):
            return False
        self.to_send.popleft()
        self.sender.sent(size)
        self.on_the_way.append((number, size))
        self._check_bound(size)
        if not self.to_send:
            self.end()
        return True

    def end(self) -> None:
        assert self.sender.end() == self.total
        self.on_the_way.append(None)

    def arrive(self) -> bool:
        if not self.on_the_way:
            return False
        item = self.on_the_way.popleft()
        if item is None:
            self.receiver.end(self.total)
        else:
            self.receiver.received(item[1])
            self.held.append(item)
        return True

    def take(self) -> bool:
        if not self.held:
            return False
        number, size = self.held.popleft()
        self.read.append(number)
        credit = self.receiver.consumed(size)
        if credit is not None:
            self.credits.append(credit)
        return True

    def give_credit(self) -> bool:
        if not self.credits:
            return False
        credit = self.credits.popleft()
        self.sender.credit(credit.items, credit.bytes)
        return True

    def _check_bound(self, last: int) -> None:
        unread = [item for item in (*self.held, *self.on_the_way) if item is not None]
        most_items, most_bytes = self.limits
        assert len(unread) <= most_items
        total = sum(size for _, size in unread)
        assert total <= most_bytes or total - last <= most_bytes // 16


sizes = st.one_of(st.integers(0, 4), st.integers(0, 70), st.integers(0, 400))


@pytest.mark.slow
@hypothesis.given(
    st.lists(sizes, min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 200),
    st.lists(st.integers(0, 3), max_size=300),
)
def test_no_interleaving_blocks_breaks_the_bound_or_the_order(
    item_sizes: list[int], items: int, bytes: int, turns: list[int]
) -> None:
    connection = Connection(item_sizes, items, bytes)
    steps = (connection.write, connection.arrive, connection.take, connection.give_credit)
    for turn in turns:
        steps[turn]()
    while sum(step() for step in steps):
        pass
    assert connection.read == list(range(len(item_sizes)))
    assert connection.receiver.complete


@pytest.mark.slow
@hypothesis.given(st.lists(sizes, min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 200))
def test_a_reader_that_stops_pauses_the_writer(item_sizes: list[int], items: int, bytes: int) -> None:
    connection = Connection(item_sizes, items, bytes)
    while connection.write() or connection.arrive():
        pass
    if connection.to_send:
        assert not connection.sender.can_send(connection.to_send[0][1])
    assert len(connection.held) <= items


def test_the_default_window_holds_sixteen_small_items() -> None:
    window = SendWindow()
    for _ in range(ITEMS):
        assert window.can_send(100)
        window.sent(100)
    assert not window.can_send(0)


def test_the_default_window_holds_a_mebibyte() -> None:
    window = SendWindow()
    window.sent(BYTES - 10)
    assert window.can_send(10)
    assert not window.can_send(11)


def test_an_item_larger_than_the_window_goes_alone() -> None:
    window = SendWindow(16, 1000)
    window.sent(5000)
    assert not window.can_send(0)
    window.credit(1, 5000)
    assert window.can_send(5000)


def test_credit_comes_in_batches_of_half_a_window() -> None:
    window = ReceiveWindow(16, 1 << 20)
    given: list[Credit | None] = []
    for _ in range(16):
        window.received(10)
        given.append(window.consumed(10))
    assert given == [*[None] * 7, Credit(8, 80)] * 2


def test_a_reader_that_keeps_up_with_large_items_gives_credit_at_once() -> None:
    window = ReceiveWindow(16, 1 << 20)
    window.received(100_000)
    assert window.consumed(100_000) == Credit(1, 100_000)


def test_a_reader_that_lags_gives_credit_for_half_a_window_at_once() -> None:
    window = ReceiveWindow(16, 1 << 20)
    for _ in range(8):
        window.received(130_000)
    given = [window.consumed(130_000) for _ in range(5)]
    assert given == [*[None] * 4, Credit(5, 650_000)]


def test_a_finished_stream_gives_no_more_credit() -> None:
    window = ReceiveWindow(2, 100)
    window.received(10)
    window.end(1)
    assert window.consumed(10) is None


def test_the_end_can_be_sent_into_a_full_window() -> None:
    window = SendWindow(1, 10)
    window.sent(10)
    assert not window.can_send(1)
    assert window.end() == 1


def test_nothing_is_sent_after_the_end() -> None:
    window = SendWindow()
    assert window.end() == 0
    assert not window.can_send(0)
    with pytest.raises(RuntimeError, match="after the end"):
        window.sent(0)


def test_sending_into_a_full_window_is_refused() -> None:
    window = SendWindow(1, 10)
    window.sent(1)
    with pytest.raises(RuntimeError, match=r"1 bytes .* full window: ask can_send"):
        window.sent(1)


@pytest.mark.parametrize("named", [0, 1, 3])
def test_a_stream_that_ended_early_is_never_complete(named: int) -> None:
    window = ReceiveWindow()
    for _ in range(2):
        window.received(1)
    assert not window.complete
    with pytest.raises(ProtocolError, match=rf"a stream of {named} items ended after 2"):
        window.end(named)
    assert not window.complete


def test_a_stream_is_complete_once_its_end_has_come() -> None:
    window = ReceiveWindow()
    window.received(1)
    window.end(1)
    assert window.complete
    with pytest.raises(ProtocolError, match="ended twice"):
        window.end(1)


def test_an_item_after_the_end_is_refused() -> None:
    window = ReceiveWindow()
    window.end(0)
    with pytest.raises(ProtocolError, match="after the end"):
        window.received(1)


def test_a_writer_that_ignores_the_window_is_refused() -> None:
    window = ReceiveWindow(2, 100)
    window.received(1)
    window.received(1)
    with pytest.raises(ProtocolError, match=r"1 bytes .* full window \(2 items of 2 bytes"):
        window.received(1)


@pytest.mark.parametrize(("items", "bytes"), [(2, 10), (1, 11), (-1, 0), (0, -1)])
def test_credit_for_more_than_was_sent_is_refused(items: int, bytes: int) -> None:
    window = SendWindow()
    window.sent(10)
    with pytest.raises(ProtocolError, match="1 of 10 on their way"):
        window.credit(items, bytes)


@pytest.mark.parametrize("size", [0, 5])
def test_taking_what_did_not_come_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="0 items of 0 bytes"):
        ReceiveWindow().consumed(size)


@pytest.mark.parametrize(("items", "bytes"), [(0, 1), (1, 0), (-1, 5)])
def test_a_window_without_room_is_refused(items: int, bytes: int) -> None:
    with pytest.raises(ValueError, match="1 item and 1 byte or more"):
        SendWindow(items, bytes)

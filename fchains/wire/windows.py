"""Back-pressure of streams: how much may be on its way to a reader that has not taken it.

The writer counts what it has sent and not got credit for; the reader gives credit, in batches,
for what it has taken. The rules that keep both from waiting for each other:

- At most `items` items and `bytes` bytes are on their way.
- The reader owes credit for less than half of either. Once it has taken all that came, it owes
  credit for a sixteenth of the bytes at most.
- So an item that does not fit may go while no more than a sixteenth of the bytes is on its way:
  the one case in which more than the window is outstanding, by that item at most.
- The end of a stream needs no credit, and names the number of items before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fchains.wire.messages import ProtocolError

ITEMS = 16
BYTES = 1 << 20
_SMALL = 16


@dataclass(frozen=True, slots=True)
class Credit:
    """What a reader has taken since it last said so."""

    items: int
    bytes: int


@dataclass(slots=True)
class _Outstanding:
    """Items on their way, and whether one more may join them."""

    items_limit: int
    bytes_limit: int
    items: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        if self.items_limit < 1 or self.bytes_limit < 1:
            raise ValueError(
                f"a window has 1 item and 1 byte or more, not {self.items_limit!r} and {self.bytes_limit!r}"
            )

    def fits(self, size: int) -> bool:
        if self.items >= self.items_limit:
            return False
        return self.bytes + size <= self.bytes_limit or self.bytes <= self.bytes_limit // _SMALL

    def add(self, size: int) -> None:
        self.items += 1
        self.bytes += size

    def remove(self, items: int, size: int) -> None:
        self.items -= items
        self.bytes -= size


class SendWindow:
    """The writer's side of one stream.

    Args:
        items: items that may be on their way.
        bytes: bytes that may be on their way.
    """

    __slots__ = ("_ended", "_flight", "_total")

    def __init__(self, items: int = ITEMS, bytes: int = BYTES) -> None:
        self._flight = _Outstanding(items, bytes)
        self._total = 0
        self._ended = False

    def can_send(self, size: int) -> bool:
        """Whether an item of that many bytes may go now."""
        return not self._ended and self._flight.fits(size)

    def sent(self, size: int) -> None:
        """An item went.

        Raises:
            RuntimeError: the window had no room for it, or the stream has ended.
        """
        if self._ended:
            raise RuntimeError("an item was sent after the end of its stream")
        if not self._flight.fits(size):
            raise RuntimeError(f"an item of {size} bytes was sent into a full window: ask can_send() first")
        self._flight.add(size)
        self._total += 1

    def credit(self, items: int, bytes: int) -> None:
        """The reader has taken items.

        Raises:
            ProtocolError: more than were on their way.
        """
        if not (0 <= items <= self._flight.items and 0 <= bytes <= self._flight.bytes):
            raise ProtocolError(
                f"credit for {items} items of {bytes} bytes came,"
                f" with {self._flight.items} of {self._flight.bytes} on their way"
            )
        self._flight.remove(items, bytes)

    def end(self) -> int:
        """No more items follow; gives their number, which the end of the stream names."""
        self._ended = True
        return self._total


class ReceiveWindow:
    """The reader's side of one stream.

    Args:
        items: as the writer's.
        bytes: as the writer's.
    """

    __slots__ = ("_complete", "_held", "_owed", "_total", "_uncredited")

    def __init__(self, items: int = ITEMS, bytes: int = BYTES) -> None:
        self._uncredited = _Outstanding(items, bytes)
        self._held = _Outstanding(items, bytes)
        self._owed = _Outstanding(items, bytes)
        self._total = 0
        self._complete = False

    @property
    def complete(self) -> bool:
        """Whether the end has come, after as many items as it named."""
        return self._complete

    def received(self, size: int) -> None:
        """An item came.

        Raises:
            ProtocolError: the writer did not keep to the window, or had ended the stream.
        """
        if self._complete:
            raise ProtocolError("an item came after the end of its stream")
        if not self._uncredited.fits(size):
            raise ProtocolError(
                f"an item of {size} bytes came into a full window"
                f" ({self._uncredited.items} items of {self._uncredited.bytes} bytes outstanding)"
            )
        self._uncredited.add(size)
        self._held.add(size)
        self._total += 1

    def consumed(self, size: int) -> Credit | None:
        """The reader took an item; gives the credit to return to the writer now, if any.

        Raises:
            ValueError: no such item is held.
        """
        if self._held.items < 1 or self._held.bytes < size:
            raise ValueError(
                f"{size} bytes were taken of {self._held.items} items of {self._held.bytes} bytes"
            )
        self._held.remove(1, size)
        self._owed.add(size)
        return self._settle() if self._is_due() else None

    def end(self, items: int) -> None:
        """The end came.

        Raises:
            ProtocolError: after another number of items than it names, or a second time.
        """
        if self._complete:
            raise ProtocolError("a stream ended twice")
        if items != self._total:
            raise ProtocolError(f"a stream of {items} items ended after {self._total} of them")
        self._complete = True

    def _is_due(self) -> bool:
        owed = self._owed
        if self._complete:
            return False
        if owed.items >= max(1, owed.items_limit // 2) or owed.bytes >= max(1, owed.bytes_limit // 2):
            return True
        return self._held.items == 0 and owed.bytes > owed.bytes_limit // _SMALL

    def _settle(self) -> Credit:
        credit = Credit(self._owed.items, self._owed.bytes)
        self._owed.remove(credit.items, credit.bytes)
        self._uncredited.remove(credit.items, credit.bytes)
        return credit

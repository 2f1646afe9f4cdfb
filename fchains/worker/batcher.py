"""When a batch closes and what is in it, as a function of the time it is told.

A batch waits for a free slot first and closes as late as it can: at `max_size` members, or
`max_wait` seconds after its oldest member was enqueued. While one batch runs the next one fills.
(Closing first and waiting for the slot afterwards is what collapses Ray Serve's batches under load.)
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar, cast

from fchains.errors import InvalidResult

T = TypeVar("T")


@dataclass(slots=True)
class Member(Generic[T]):
    """One call that waits for a batch."""

    key: Hashable
    value: T
    enqueued_at: float
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """What to do now: fail `expired`; run `batch` and ask again; without one, ask at `wake_at`."""

    expired: tuple[Member[T], ...] = ()
    batch: tuple[Member[T], ...] = ()
    wake_at: float | None = None


class Batcher(Generic[T]):
    """The queue in front of a batched function.

    Args:
        max_size: most members of a batch.
        max_wait: seconds that the oldest member waits for company while a slot is free.
    """

    def __init__(self, max_size: int, max_wait: float) -> None:
        self._max_size = max_size
        self._max_wait = max_wait
        self._queue: OrderedDict[Hashable, tuple[int, Member[T]]] = OrderedDict()
        # (deadline, serial number, key); entries of members that left stay until compaction.
        self._deadlines: list[tuple[float, int, Hashable]] = []
        self._serials = count()

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Member[T]]:
        """The members that wait, the oldest first."""
        return iter([member for _, member in self._queue.values()])

    def admit(self, member: Member[T]) -> None:
        """Puts a member at the end of the queue."""
        if member.key in self._queue:
            raise ValueError(f"{member.key!r} is already queued; every member needs a key of its own")
        serial = next(self._serials)
        self._queue[member.key] = (serial, member)
        if member.deadline is not None:
            heapq.heappush(self._deadlines, (member.deadline, serial, member.key))

    def drop(self, key: Hashable) -> bool:
        """Takes a cancelled member out; False when it is not queued (any more)."""
        found = self._queue.pop(key, None) is not None
        self._compact()
        return found

    def next(self, now: float, slot_free: bool) -> Step[T]:
        """What is due at `now`; to be asked when a member came, a slot was freed, or `wake_at` passed."""
        expired = self._take_expired(now)
        if slot_free and self._queue:
            _, oldest = next(iter(self._queue.values()))
            close_at = oldest.enqueued_at + self._max_wait
            if len(self._queue) >= self._max_size or now >= close_at:
                return Step(expired, self._take_batch())
            return Step(expired, wake_at=min(close_at, self._first_deadline()))
        deadline = self._first_deadline()
        return Step(expired, wake_at=deadline if deadline < float("inf") else None)

    def _take_batch(self) -> tuple[Member[T], ...]:
        size = min(self._max_size, len(self._queue))
        batch = tuple(self._queue.popitem(last=False)[1][1] for _ in range(size))
        self._compact()
        return batch

    def _take_expired(self, now: float) -> tuple[Member[T], ...]:
        expired: list[Member[T]] = []
        while self._first_deadline() <= now:
            _, _, key = heapq.heappop(self._deadlines)
            expired.append(self._queue.pop(key)[1])
        return tuple(expired)

    def _first_deadline(self) -> float:
        while self._deadlines and not self._waits(self._deadlines[0]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else float("inf")

    def _waits(self, entry: tuple[float, int, Hashable]) -> bool:
        _, serial, key = entry
        queued = self._queue.get(key)
        return queued is not None and queued[0] == serial

    def _compact(self) -> None:
        """Forgets the deadlines of members that left, once they are the most."""
        if len(self._deadlines) > 2 * len(self._queue) + 32:
            self._deadlines = [entry for entry in self._deadlines if self._waits(entry)]
            heapq.heapify(self._deadlines)


def settle(results: object, size: int) -> list[object]:
    """One result per member from what a batch function returned; an exception in it is its member's failure.

    Args:
        results: a list, a tuple, or an array or tensor of at least one dimension.
        size: members of the batch.

    Raises:
        InvalidResult: when it is something else, or of another length.
    """
    if _is_sequence(results):
        items = list(cast("Iterable[object]", results))
    elif _is_array(results):
        array = cast("Any", results)
        # Python numbers for a plain vector: that is what the annotation of one result names.
        items = cast("list[object]", array.tolist() if array.ndim == 1 else list(array))
    else:
        raise InvalidResult(
            f"a batched function must return a list with one result per input, {size} here; "
            f"this one returned {_describe(results)}"
        )
    if len(items) != size:
        raise InvalidResult(
            f"a batched function must return one result per input; "
            f"this one returned {len(items)} for {size} inputs"
        )
    return items


def _is_sequence(results: object) -> bool:
    named = hasattr(type(results), "_fields")
    return isinstance(results, list) or (isinstance(results, tuple) and not named)


def _is_array(results: object) -> bool:
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(results).__mro__}
    return bool(names & {"numpy.ndarray", "torch.Tensor"}) and cast("Any", results).ndim > 0


def _describe(results: object) -> str:
    if results is None:
        return "None (is a `return` missing?)"
    return f"an object of type {type(results).__qualname__}"

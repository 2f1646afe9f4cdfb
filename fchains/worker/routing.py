"""Which replica of a group takes which call, which calls are held until one can, and which are refused.

What a caller does to its own view of the replicas; others send to them too, and their calls are seen
only in the loads. A replica takes as many inputs of a chainlet as it executes at once and its share
of the queue, all replicas together as many as the most of them execute and the whole queue.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from fchains.worker.scaling import Bounds, pick, queue_share

if TYPE_CHECKING:
    from fchains.definition.spec import Definition


class Target(Protocol):
    """A replica as its callers see it."""

    @property
    def open(self) -> bool:
        """Whether it is ready and not retired."""
        ...

    def load(self, chainlet: str) -> int:
        """Inputs of a chainlet in it, running or waiting."""
        ...


class Parcel(Protocol):
    """An input on its way to a replica."""

    @property
    def chainlet(self) -> str: ...


P = TypeVar("P", bound=Parcel)
T = TypeVar("T", bound=Target)


@dataclass(frozen=True, slots=True)
class Room:
    """Inputs of a chainlet that one replica executes at once, and that may wait for all replicas."""

    executes: int
    max_queue: int

    @classmethod
    def of(cls, definition: Definition) -> Room:
        """The room that the options of a chainlet ask for."""
        each = definition.batch.max_size if definition.batch else 1
        return cls(definition.slots * each, definition.options.max_queue)


class Line(Generic[P]):
    """Parcels in order, with a lane for each chainlet so that none has to look past another's."""

    def __init__(self, chainlets: Iterable[str]) -> None:
        # By identity: the place in the line and the parcel. Unlike a dict, it finds its first entry
        # at once when many before it are gone.
        self._lanes = {name: OrderedDict[int, tuple[int, P]]() for name in chainlets}
        self._behind = itertools.count()
        self._before = itertools.count(-1, -1)

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[P]:
        placed = itertools.chain.from_iterable(lane.values() for lane in self._lanes.values())
        return iter([parcel for _, parcel in sorted(placed, key=itemgetter(0))])

    def count(self, chainlet: str) -> int:
        """Parcels of one chainlet."""
        return len(self._lanes[chainlet])

    def first(self, without: Collection[str]) -> P | None:
        """The first parcel, those of some chainlets left out."""
        first: tuple[int, P] | None = None
        for name, lane in self._lanes.items():
            if lane and name not in without:
                head = next(iter(lane.values()))
                if first is None or head[0] < first[0]:
                    first = head
        return first[1] if first is not None else None

    def append(self, parcel: P) -> None:
        """Put a parcel at the end."""
        self._lanes[parcel.chainlet][id(parcel)] = next(self._behind), parcel

    def prepend(self, parcel: P) -> None:
        """Put a parcel at the beginning."""
        lane = self._lanes[parcel.chainlet]
        lane[id(parcel)] = next(self._before), parcel
        lane.move_to_end(id(parcel), last=False)

    def remove(self, parcel: P) -> bool:
        """Take a parcel out; False when it is not there."""
        return self._lanes[parcel.chainlet].pop(id(parcel), None) is not None

    def clear(self) -> None:
        """Take all out."""
        for lane in self._lanes.values():
            lane.clear()


class Router(Generic[P, T]):
    """Holds the calls of a group and gives each to the replica with the fewest of its chainlet.

    `targets` is the owner's to fill. While `may_grow` says that a further replica is coming up, or may
    come, a call that would have to wait in a replica is held for that one instead.
    """

    def __init__(self, rooms: Mapping[str, Room], bounds: Bounds) -> None:
        self.bounds = bounds
        self.targets: list[T] = []
        self.may_grow = False
        self.held: Line[P] = Line(rooms)
        self._rooms = dict(rooms)
        self._turn = 0

    def offer(self, parcel: P) -> bool:
        """Take a call into the line; False when all is full."""
        room = self._rooms[parcel.chainlet]
        most = self.bounds.max * room.executes + room.max_queue
        if self.held.count(parcel.chainlet) + self._load(parcel.chainlet) >= most:
            return False
        self.held.append(parcel)
        return True

    def hand_out(self) -> Iterator[tuple[P, T]]:
        """Take out of the line, in order, what a replica has room for.

        Each pair must be assigned, so that it counts in the replica's load, before the next is asked for.
        """
        full = set[str]()
        while (parcel := self.held.first(full)) is not None:
            target = self._choose(parcel.chainlet)
            if target is None:
                full.add(parcel.chainlet)
            else:
                self.held.remove(parcel)
                yield parcel, target

    def withdraw(self, parcel: P) -> bool:
        """Forget a held call; False when it is not held."""
        return self.held.remove(parcel)

    def put_back(self, parcels: Iterable[P]) -> None:
        """Hold calls again that were handed out, before all others, in the order given."""
        for parcel in reversed(list(parcels)):
            self.held.prepend(parcel)

    def take_all(self) -> list[P]:
        """Empty the line."""
        parcels = list(self.held)
        self.held.clear()
        return parcels

    def held_demand(self) -> float:
        """The replicas that the held calls would fill."""
        return sum(self.held.count(name) / room.executes for name, room in self._rooms.items())

    def running_demand(self) -> float:
        """The replicas that the calls in open replicas would fill."""
        return sum(self._load(name) / room.executes for name, room in self._rooms.items())

    def _load(self, chainlet: str) -> int:
        load = 0
        for target in self.targets:
            if target.open:
                load += target.load(chainlet)
        return load

    def _choose(self, chainlet: str) -> T | None:
        room = self._rooms[chainlet]
        # A call that would queue waits for a replica that is coming up instead.
        queue = 0 if self.may_grow else queue_share(room.max_queue, self.bounds.max)
        loads = [target.load(chainlet) if target.open else None for target in self.targets]
        index = pick(loads, self._turn)
        if index is None or (loads[index] or 0) >= room.executes + queue:
            return None
        self._turn = index + 1
        return self.targets[index]

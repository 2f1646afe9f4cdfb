from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains import Chainlet, batched, chainlet
from fchains.worker.routing import Room, Router
from fchains.worker.scaling import Bounds


@dataclass(eq=False)
class Letter:
    chainlet: str
    number: int = 0


@dataclass(eq=False)
class Box:
    open: bool = True
    loads: Counter[str] = field(default_factory=Counter[str])
    looks: int = 0

    def load(self, chainlet: str) -> int:
        self.looks += 1
        return self.loads[chainlet]


class Office(Router[Letter, Box]):
    """A router whose owner assigns what it hands out."""

    def __init__(
        self, executes: int = 1, max_queue: int = 0, *, most: int = 2, boxes: int = 0, names: str = "a"
    ) -> None:
        super().__init__({name: Room(executes, max_queue) for name in names}, Bounds(0, most))
        self.targets = [Box() for _ in range(boxes)]

    def send(self, chainlet: str = "a", number: int = 0) -> bool:
        taken = self.offer(Letter(chainlet, number))
        self.deliver()
        return taken

    def deliver(self) -> list[tuple[str, int, int]]:
        handed: list[tuple[str, int, int]] = []
        for letter, box in self.hand_out():
            box.loads[letter.chainlet] += 1
            handed.append((letter.chainlet, letter.number, self.targets.index(box)))
        return handed

    @property
    def numbers(self) -> list[int]:
        return [letter.number for letter in self.held]

    @property
    def spread(self) -> list[int]:
        return [box.loads["a"] for box in self.targets]


def hold(office: Office, *names: str) -> list[Letter]:
    letters = [Letter(name, number) for number, name in enumerate(names)]
    assert all(office.offer(letter) for letter in letters)
    return letters


def test_a_call_goes_to_the_replica_with_the_fewest_of_its_chainlet() -> None:
    office = Office(executes=9, boxes=3, names="ab")
    for box, load in zip(office.targets, (3, 1, 2), strict=True):
        box.loads["a"] = load
    office.targets[1].loads["b"] = 8
    office.send()
    assert office.spread == [3, 2, 2]


def test_equals_take_turns() -> None:
    office = Office(executes=9, most=3, boxes=3)
    hold(office, *"aaaaaa")
    assert [box for _, _, box in office.deliver()] == [0, 1, 2, 0, 1, 2]
    office.targets[0].loads["a"] = office.targets[1].loads["a"] = 0
    hold(office, "a")
    assert office.deliver() == [("a", 0, 0)]
    office.targets[0].loads["a"] = 0
    hold(office, "a")
    assert office.deliver() == [("a", 0, 1)], "not always the first one"


def test_a_replica_that_is_not_open_gets_nothing_and_counts_for_nothing() -> None:
    office = Office(executes=4, boxes=2, most=1)
    office.targets[0].open = False
    for box, load in zip(office.targets, (1, 3), strict=True):
        box.loads["a"] = load
    assert office.send()
    assert office.spread == [1, 4]
    assert office.running_demand() == 1


def test_a_replica_takes_what_it_executes_and_its_share_of_the_queue() -> None:
    office = Office(executes=2, max_queue=5, most=2, boxes=1)
    assert all(office.send() for _ in range(9))
    assert office.spread == [2 + 3]
    assert len(office.held) == 4, "room for these is kept at the second replica"
    assert not office.send()


def test_a_call_is_refused_once_all_replicas_together_and_the_line_are_full() -> None:
    office = Office(executes=3, max_queue=2, most=2)
    assert [office.send() for _ in range(9)] == [True] * 8 + [False]
    office.withdraw(next(iter(office.held)))
    assert [office.send(), office.send()] == [True, False]


def test_without_a_queue_only_what_can_be_executed_is_taken() -> None:
    office = Office(max_queue=0, most=2, boxes=2)
    assert [office.send() for _ in range(3)] == [True, True, False]


def test_calls_that_others_sent_use_up_room_too() -> None:
    office = Office(executes=1, max_queue=2, most=2, boxes=2)
    for box, load in zip(office.targets, (2, 1), strict=True):
        box.loads["a"] = load
    assert [office.send(), office.send()] == [True, False]
    assert office.spread == [2, 2]


def test_more_than_the_most_in_one_replica_is_no_harm() -> None:
    office = Office(executes=1, most=1, boxes=1)
    office.targets[0].loads["a"] = 7
    assert not office.send()
    office.put_back([Letter("a")])
    assert office.deliver() == []


def test_a_call_that_would_queue_waits_for_a_replica_that_may_come() -> None:
    office = Office(executes=1, max_queue=10, most=2, boxes=1)
    office.may_grow = True
    hold(office, *"aaa")
    assert office.deliver() == [("a", 0, 0)]
    office.targets.append(Box())
    assert office.deliver() == [("a", 1, 1)]
    office.may_grow = False
    assert office.deliver() == [("a", 2, 0)]


def test_calls_of_a_chainlet_are_handed_out_in_order_across_chainlets_too() -> None:
    office = Office(executes=9, names="ab")
    hold(office, *"baabb")
    office.targets.append(Box())
    assert [(name, number) for name, number, _ in office.deliver()] == list(
        zip("baabb", range(5), strict=True)
    )


def test_a_full_chainlet_of_a_group_does_not_hold_up_the_others() -> None:
    office = Office(executes=1, max_queue=9, names="ab", boxes=1)
    office.may_grow = True
    hold(office, *"aaabb")
    assert office.deliver() == [("a", 0, 0), ("b", 3, 0)]
    office.targets[0].loads["b"] = 0
    assert office.deliver() == [("b", 4, 0)]
    assert office.numbers == [1, 2]


def test_a_long_line_without_room_costs_one_look() -> None:
    office = Office(max_queue=10_000, most=2)
    hold(office, *"a" * 10_000)
    box = Box(loads=Counter(a=10_000))
    office.targets.append(box)
    assert office.deliver() == []
    assert box.looks == 1


def test_calls_put_back_are_first_in_line_and_in_order() -> None:
    office = Office(max_queue=9, names="ab")
    hold(office, *"ab")
    office.put_back(Letter("a", number) for number in (10, 11))
    office.put_back([Letter("b", 20), Letter("a", 21)])
    assert office.numbers == [20, 21, 10, 11, 0, 1]
    assert [letter.number for letter in office.take_all()] == [20, 21, 10, 11, 0, 1]
    assert len(office.held) == 0
    assert office.held_demand() == 0


def test_calls_put_back_are_held_even_when_all_is_full() -> None:
    office = Office(most=1)
    hold(office, "a")
    office.put_back([Letter("a", 1)])
    assert office.numbers == [1, 0]
    assert not office.send()


def test_a_withdrawn_call_is_not_handed_out_and_is_withdrawn_once() -> None:
    office = Office(executes=9)
    first, second = hold(office, *"aa")
    assert office.withdraw(first)
    assert not office.withdraw(first)
    office.targets.append(Box())
    assert office.deliver() == [("a", 1, 0)]
    assert not office.withdraw(second)


def test_equal_calls_are_not_mixed_up() -> None:
    @dataclass
    class Twin:
        chainlet: str

    router: Router[Twin, Box] = Router({"a": Room(1, 9)}, Bounds(0, 1))
    one, other = Twin("a"), Twin("a")
    router.offer(one)
    router.offer(other)
    assert router.withdraw(other)
    assert next(iter(router.held)) is one


def test_demand_is_in_units_of_replicas() -> None:
    router: Router[Letter, Box] = Router({"a": Room(4, 100), "b": Room(1, 100)}, Bounds(0, 3))
    for name in "aab":
        router.offer(Letter(name))
    assert router.held_demand() == 0.5 + 1
    router.targets = [Box(loads=Counter(a=6)), Box(loads=Counter(b=2)), Box(False, Counter(a=99))]
    assert router.running_demand() == 1.5 + 2


def test_new_bounds_hold_at_once() -> None:
    office = Office(executes=1, max_queue=4, most=1, boxes=1)
    hold(office, *"aaaaa")
    assert not office.offer(Letter("a"))
    office.bounds = Bounds(0, 4)
    assert office.send()
    assert office.spread == [1 + 1], "its share is smaller now"


def test_the_line_may_change_while_it_is_handed_out() -> None:
    office = Office(executes=9, most=1, boxes=1)
    letters = hold(office, *"aaa")
    handed: list[int] = []
    for letter, box in office.hand_out():
        box.loads["a"] += 1
        handed.append(letter.number)
        if letter is letters[0]:
            office.withdraw(letters[1])
            office.offer(Letter("a", 3))
            office.put_back([Letter("a", 4)])
            handed += [number for _, number, _ in office.deliver()]
            office.offer(Letter("a", 5))
    assert handed == [0, 4, 2, 3, 5]


def test_a_replica_may_go_while_calls_are_handed_out() -> None:
    office = Office(executes=9, most=2, boxes=2)
    hold(office, *"aaa")
    gone = office.targets[0]
    for _, box in office.hand_out():
        box.loads["a"] += 1
        if gone in office.targets:
            office.targets.remove(gone)
    assert (gone.loads["a"], office.spread) == (1, [2])


def test_a_chainlet_that_is_not_of_the_group_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="z"):
        Office().offer(Letter("z"))


@chainlet(concurrency=3, max_queue=7)
def plain(x: int) -> int:
    return x


@chainlet(concurrency=2)
@batched(max_size=8, max_wait=0.1)
def in_batches(xs: list[int]) -> list[int]:
    return xs


@chainlet
async def on_a_loop(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("which", "room"), [(plain, Room(3, 7)), (in_batches, Room(16, 1000)), (on_a_loop, Room(100, 1000))]
)
def test_the_room_of_a_chainlet_comes_from_its_options(
    which: Chainlet[..., object, ..., object], room: Room
) -> None:
    assert Room.of(which.definition) == room


class Traffic:
    """All that can happen to a router, and what it owes to its callers meanwhile."""

    def __init__(self, executes: int, max_queue: int) -> None:
        self.office = Office(executes, max_queue, most=4, names="ab")
        self.executes = executes
        self.max_queue = max_queue
        self.inside: list[tuple[Letter, Box]] = []
        self.taken = 0
        self.out = 0

    def offer(self, number: int) -> None:
        name = "ab"[number % 2]
        busy = sum(letter.chainlet == name for letter, box in self.inside if box.open)
        waiting = sum(letter.chainlet == name for letter in self.office.held)
        accepted = self.office.offer(Letter(name))
        assert accepted == (busy + waiting < 4 * self.executes + self.max_queue)
        self.taken += accepted

    def open(self, _: int) -> None:
        if len(self.office.targets) < 4:
            self.office.targets.append(Box())

    def close(self, number: int) -> None:
        for box in self.office.targets[number : number + 1]:
            box.open = False
            self.office.targets.remove(box)

    def grow(self, number: int) -> None:
        self.office.may_grow = number < 2

    def withdraw(self, number: int) -> None:
        for letter in list(self.office.held)[number : number + 1]:
            assert self.office.withdraw(letter)
            self.out += 1

    def end(self, number: int) -> None:
        self.out += len(self._leave(number))

    def put_back(self, number: int) -> None:
        letters = self._leave(number)
        self.office.put_back(letters)
        assert list(self.office.held)[: len(letters)] == letters

    def hand_out(self) -> None:
        line, handed = list(self.office.held), list[Letter]()
        for letter, box in self.office.hand_out():
            assert box.open
            box.loads[letter.chainlet] += 1
            self.inside.append((letter, box))
            handed.append(letter)
        most = self.executes + -(-self.max_queue // 4)
        for name in "ab":
            mine = [letter for letter in line if letter.chainlet == name]
            gone = [letter for letter in handed if letter.chainlet == name]
            loads = [box.loads[name] for box in self.office.targets]
            assert mine[: len(gone)] == gone, "none is overtaken"
            assert max(loads, default=0) <= most
            if len(mine) > len(gone):
                assert min(loads, default=most) >= (self.executes if self.office.may_grow else most)
        assert self.taken == self.out + len(self.inside) + len(self.office.held)

    def _leave(self, number: int) -> list[Letter]:
        leaving = self.inside[number : number + 1]
        del self.inside[number : number + 1]
        for letter, box in leaving:
            box.loads[letter.chainlet] -= 1
        return [letter for letter, _ in leaving]


EVENTS = st.sampled_from(
    [Traffic.offer] * 4
    + [Traffic.open, Traffic.close, Traffic.grow, Traffic.withdraw, Traffic.end, Traffic.put_back]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 3)), max_size=50), st.integers(1, 3), st.integers(0, 5))
def test_no_call_is_lost_or_overtaken_and_none_waits_beside_free_room(
    events: list[tuple[Callable[[Traffic, int], None], int]], executes: int, max_queue: int
) -> None:
    traffic = Traffic(executes, max_queue)
    for event, number in events:
        event(traffic, number)
        traffic.hand_out()

"""The rows of the table: what is measured, against what, and how good it is meant to be."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

from fchains import use_runner
from tests.bench import chainlets
from tests.bench.contenders import FLOOR, OWN, POOL, Prepare, arrays, calls, echo, maps

ONE_CORE, ALL_CORES = "one", "all"  # to wake a process up on another core costs more than a call

BUDGET = 4.0  # seconds after which a row begins no further round


@dataclass(frozen=True)
class Row:
    """One thing to measure, on the cores that it has targets for, and on all of them in any case.

    Args:
        targets: at most so many times the floor's time, at least so many times as fast as a peer.
        turn: calls of a contender in each of its turns, and before the first.
    """

    name: str
    prepare: Prepare
    targets: Mapping[str, Mapping[str, float]]
    turn: int = 1000

    @property
    def cores(self) -> list[str]:
        return [*self.targets, *({ALL_CORES} - set(self.targets))]

    async def measure(
        self, runner: str, share: float, rounds: int, *, peers: bool = True
    ) -> dict[str, list[float]]:
        """Seconds per call of each contender in each round; in a round each has its turn.

        Args:
            share: of the calls and sizes, below 1 to try a thing out.
            peers: measure others too, not only fchains and the floor.
        """
        turn = max(1, round(self.turn * share))
        with ExitStack() as stack:
            found = self.prepare(stack, share)
            found = {name: timed for name, timed in found.items() if peers or name in (OWN, FLOOR)}
            async with use_runner(runner):
                for timed in found.values():
                    await timed(turn)
                end, turns = monotonic() + BUDGET, list[dict[str, float]]()
                while not turns or (len(turns) < rounds and monotonic() < end):
                    turns.append({name: await timed(turn) for name, timed in found.items()})
        return {name: [times[name] for times in turns] for name in found}


DATA = bytes(1_000_000)
ORDER = chainlets.ORDER
NOOP = calls(lambda: chainlets.noop.remote(1), echo)
NOOP_SYNC = calls(lambda: chainlets.noop_sync.remote(1), echo)
NOOP_256 = calls(lambda: chainlets.noop.remote(1), echo, width=256)
MODELS = calls(lambda: chainlets.same_order.remote(ORDER), echo, ORDER)
MAP = maps(chainlets.noop_twice.map, 10_000)
CHAIN = calls(lambda: chainlets.chain_a.remote(1), hops=3)
MB_THERE = calls(lambda: chainlets.size_of_bytes.remote(DATA), len, DATA)
MB_BACK = calls(lambda: chainlets.same_bytes.remote(DATA), echo, DATA)
ARRAY_THERE = arrays(chainlets.size_of_array.remote, 100_000_000, copies=1)
ARRAY_BACK = arrays(chainlets.same_array.remote, 100_000_000, copies=2)

ROWS = [
    Row("no-op, async", NOOP, {ONE_CORE: {FLOOR: 3, POOL: 5}}),
    Row("no-op, sync", NOOP_SYNC, {ONE_CORE: {FLOOR: 3, POOL: 5}}),
    Row("nested models, there and back", MODELS, {ONE_CORE: {FLOOR: 4}}),
    Row("no-op, 256 in flight", NOOP_256, {ONE_CORE: {FLOOR: 1 / 1.2}, ALL_CORES: {POOL: 15}}, 5 * 256),
    Row("map of 10,000, 2 replicas / gather", MAP, {ALL_CORES: {FLOOR: 1, POOL: 15}}, 1),
    Row("chain A -> B -> C / 3 raw hops", CHAIN, {ONE_CORE: {FLOOR: 2.5}}),
    Row("1 MB bytes, argument", MB_THERE, {ONE_CORE: {FLOOR: 8}}, 50),
    Row("1 MB bytes, there and back", MB_BACK, {ONE_CORE: {FLOOR: 12}}, 50),
    Row("100 MB array, argument / memcpy", ARRAY_THERE, {ALL_CORES: {FLOOR: 1 / 0.80}}, 5),
    Row("100 MB array, there and back / 2 memcpy", ARRAY_BACK, {ALL_CORES: {FLOOR: 1 / 0.75}}, 5),
]

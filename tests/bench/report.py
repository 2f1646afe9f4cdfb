"""What was measured, as lines of a table and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from tests.bench.contenders import FLOOR, OWN, POOL
from tests.bench.rows import Row

HEADER = ("what / its floor", "cores", OWN, FLOOR, "x floor", POOL, "x faster", "target", "")


@dataclass(frozen=True)
class Result:
    """A row on some cores: seconds per call of each contender in each round, or what went wrong."""

    row: Row
    cores: str
    rounds: Mapping[str, list[float]]
    error: str = ""

    @property
    def targets(self) -> Mapping[str, float]:
        return self.row.targets.get(self.cores, {})

    def ratios(self) -> dict[str, float]:
        """fchains' time in units of the floor's, and the time of peers in units of fchains'."""
        times = {name: median(rounds) for name, rounds in self.rounds.items()}
        own = times.pop(OWN, 0.0)
        return {name: own / time if name == FLOOR else time / own for name, time in times.items()}

    def verdict(self) -> str:
        if self.error or not self.targets:
            return self.error
        ratios = self.ratios()
        worse = {name: ratios[name] / limit for name, limit in self.targets.items()}
        worse = {name: by if name == FLOOR else 1 / by for name, by in worse.items()}
        return ", ".join(f"{name} missed by {by:.2f}x" for name, by in worse.items() if by > 1) or "met"

    def as_json(self) -> dict[str, object]:
        about = {"row": self.row.name, "cores": self.cores, "targets": self.targets}
        return {**about, "verdict": self.verdict(), "ratios": self.ratios(), "seconds": self.rounds}

    def cells(self) -> tuple[str, ...]:
        times = {name: in_units(median(rounds)) for name, rounds in self.rounds.items()}
        factors = {name: f"{ratio:.2f}" for name, ratio in self.ratios().items()}
        numbers = [shown.get(name, "") for name in (FLOOR, POOL) for shown in (times, factors)]
        wanted = (f"{'≤' if name == FLOOR else '≥'} {x:.3g}x {name}" for name, x in self.targets.items())
        return (self.row.name, self.cores, times.get(OWN, ""), *numbers, ", ".join(wanted), self.verdict())


def in_units(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def table(results: list[Result]) -> str:
    lines = [HEADER, *(result.cells() for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shape = "  ".join(f"{{:{'>' if 2 <= n <= 6 else '<'}{width}}}" for n, width in enumerate(widths))
    return "\n".join(shape.format(*line).rstrip() for line in lines)

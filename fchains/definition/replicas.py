"""How many replicas of a chainlet run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from fchains.definition.numeric import whole
from fchains.definition.problems import BadValue, shown

_HINT = "write replicas=2 for exactly two, or replicas=(0, 8) for a minimum and a maximum"


@dataclass(frozen=True, slots=True)
class Replicas:
    """The bounds between which the number of replicas follows the demand.

    Args:
        min: replicas that are always there; 0 lets an idle chainlet cost nothing.
        max: the most there may be.
    """

    min: int
    max: int


def parse_replicas(value: object) -> Replicas:
    """Bounds from `n` (exactly that many), `(min, max)`, or bounds.

    Raises:
        BadValue: the numbers are no ints, negative, the wrong way round, or the maximum is 0.
    """
    low, high = _bounds_of(value)
    if low < 0 or high < 0:
        raise BadValue(f"must not be negative: {shown(value)}", _HINT)
    if low > high:
        raise BadValue(f"has a minimum above its maximum: {shown(value)}", f"write replicas=({high}, {low})")
    if high == 0:
        raise BadValue(f"allows no replica at all: {shown(value)}", _HINT)
    return Replicas(low, high)


def _bounds_of(value: object) -> tuple[int, int]:
    if isinstance(value, Replicas):
        return _whole(value.min, value), _whole(value.max, value)
    if isinstance(value, (tuple, list)):
        bounds = cast("Sequence[object]", value)
        if len(bounds) != 2:
            raise BadValue(f"must have a minimum and a maximum, not {shown(bounds)}", _HINT)
        return _whole(bounds[0], bounds), _whole(bounds[1], bounds)
    return _whole(value, value), _whole(value, value)


def _whole(number: object, value: object) -> int:
    count = whole(number)
    if count is None:
        raise BadValue(f"must be an int or a pair of ints, not {shown(value)}", _HINT)
    return count

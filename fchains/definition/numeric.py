"""Numbers as users may pass them: ints and floats, those of numpy too, but no bools."""

from __future__ import annotations

import math
from numbers import Integral, Real


def whole(value: object) -> int | None:
    """The int that a value is, or None."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    return int(value)


def finite(value: object) -> float | None:
    """The finite number that a value is, or None."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

"""The limits of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from fchains.definition.numeric import finite, whole
from fchains.definition.problems import Problem, caller_place, report, shown

LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """When a batch closes.

    Args:
        max_size: the most items in one batch.
        max_wait: seconds after the arrival of its oldest item, 0 to 600.

    Raises:
        DefinitionError: a value is wrong.
    """

    max_size: int
    max_wait: float

    def __post_init__(self) -> None:
        faults: list[tuple[str, str]] = []
        size, wait = whole(self.max_size), finite(self.max_wait)
        if size is None or size < 1:
            message = f"max_size must be an int of at least 1, not {shown(self.max_size)}"
            faults.append((message, "write max_size=8"))
            object.__setattr__(self, "max_size", 1)
        if wait is None or not 0 <= wait <= LONGEST_WAIT:
            message = f"max_wait must be 0 to {LONGEST_WAIT:.0f} seconds, not {shown(self.max_wait)}"
            faults.append((message, "max_wait is in seconds: 20 milliseconds are max_wait=0.02"))
            object.__setattr__(self, "max_wait", 0.0)
        if faults:
            file, line = caller_place()
            report([Problem(message, hint, file, line, "batched") for message, hint in faults])

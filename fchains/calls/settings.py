"""What `.options(…)` changes about the calls of one handle."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from fchains.definition.retry import Retry


class Unset(Enum):
    """Type of `UNSET`, an enum so that type checkers narrow by `is`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""The chainlet's own option holds; needed where None has a meaning, as in `timeout=None`."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What a handle asks for instead of its chainlet's options.

    Args:
        timeout: seconds that one attempt may take; None is no limit.
        retry: when a failed call is tried again.
        key: names the call, so that a runner can recognise it when it is made again.
    """

    timeout: float | Literal[Unset.UNSET] | None = UNSET
    retry: Retry | Literal[Unset.UNSET] = UNSET
    key: str | None = None


NO_SETTINGS = CallSettings()

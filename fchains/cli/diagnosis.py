"""What `fchains doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: "ok", "warn" where something will not work, "fail" where nothing will.
        subject: what was looked at.
        text: what was found.
        advice: what to do about it.
    """

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    advice: str = ""

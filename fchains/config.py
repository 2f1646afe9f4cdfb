"""What the environment says about fchains; the one place that reads variables of users."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The variables that fchains knows.

    Args:
        runner: name of the runner used by default, from FCHAINS_RUNNER.
        traceback_full: keep fchains' own frames in tracebacks, from FCHAINS_TRACEBACK=full.
        home: folder of what outlives runs, such as volumes, from FCHAINS_HOME; else where the platform
            keeps data of users. Nobody has looked whether it is there, or is absolute.
        color: whether output is painted, from NO_COLOR and FORCE_COLOR; None where it may as it likes.
    """

    runner: str | None = None
    traceback_full: bool = False
    home: Path = field(default_factory=lambda: _home(""))
    color: bool | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read them from a mapping such as `os.environ`; an empty variable counts as unset."""
        return cls(
            runner=env.get("FCHAINS_RUNNER", "").strip() or None,
            traceback_full=env.get("FCHAINS_TRACEBACK", "").strip().lower() == "full",
            home=_home(env.get("FCHAINS_HOME", "").strip()),
            color=False if env.get("NO_COLOR") else True if env.get("FORCE_COLOR") else None,
        )


def _home(given: str) -> Path:
    platform = (
        "~/Library/Application Support/fchains" if sys.platform == "darwin" else "~/.local/share/fchains"
    )
    return Path(os.path.expanduser(given or platform))  # noqa: PTH111 - Path's raises where nobody has a home

"""What the environment says about fchains; the one place that reads variables of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The variables that fchains knows.

    Args:
        runner: name of the runner used by default, from FCHAINS_RUNNER.
        traceback_full: keep fchains' own frames in tracebacks, from FCHAINS_TRACEBACK=full.
    """

    runner: str | None = None
    traceback_full: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read them from a mapping such as `os.environ`; an empty variable counts as unset."""
        return cls(
            runner=env.get("FCHAINS_RUNNER", "").strip() or None,
            traceback_full=env.get("FCHAINS_TRACEBACK", "").strip().lower() == "full",
        )

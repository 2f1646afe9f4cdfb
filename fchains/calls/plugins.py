"""Runners by name, found among the installed packages' entry points."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, cast

from fchains.calls.runner import Runner
from fchains.errors import RunnerNotFound

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "fchains.runners"


def installed() -> dict[str, EntryPoint]:
    """The entry points of all installed runners, by name."""
    from importlib.metadata import entry_points  # 25 ms that only runner look-ups pay

    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def load_runner(name: str) -> type[Runner]:
    """The class of an installed runner.

    Raises:
        RunnerNotFound: there is none of that name, or its package cannot be imported.
    """
    points = installed()
    if name not in points:
        close = difflib.get_close_matches(name, points, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise RunnerNotFound(f"no runner is named {name!r}; installed: {', '.join(points) or 'none'}.{guess}")
    try:
        return cast("type[Runner]", points[name].load())
    except (ImportError, AttributeError) as error:
        raise RunnerNotFound(
            f"the runner {name!r} ({points[name].value}) cannot be loaded: {error}"
        ) from error

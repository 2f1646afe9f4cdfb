"""`fchains runners`: where chains can run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fchains.calls.plugins import installed
from fchains.calls.runner import ALL_CAPABILITIES, Runner
from fchains.calls.using import default_runner
from fchains.cli.reporting import reported
from fchains.config import Settings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

EPILOG = """\b
Examples:
  fchains runners
  fchains runners --json
"""


@dataclass(frozen=True, slots=True)
class RunnerReport:
    """An installed runner.

    Args:
        name: what `--runner` takes.
        object: its class, as `module:name`.
        package: the distribution that brings it, with its version.
        lacks: names of the capabilities it does not have.
        error: why it cannot be loaded; empty if it can.
        default: whether it is used where nothing says otherwise.
    """

    name: str
    object: str
    package: str
    lacks: list[str] = field(default_factory=list[str])
    error: str = ""
    default: bool = False


@reported
def runners(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List where chains can run."""
    found = list(reports())
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    if not found:
        print("no runner is installed")
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        mark = " (default)" if each.default else ""
        print(f"{each.name:<{width}}  {each.object}  {each.package}{mark}")
        if each.error:
            print(f"{'':<{width}}  cannot be loaded: {each.error}")
        elif each.lacks:
            print(f"{'':<{width}}  lacks {', '.join(each.lacks)}")


def reports() -> Iterator[RunnerReport]:
    """Every installed runner, the broken ones too."""
    default = Settings.from_env(os.environ).runner or default_runner()
    for name, point in installed().items():
        package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        lacks, error = _load(point)
        yield RunnerReport(name, point.value, package, lacks, error, name == default)


def _load(point: EntryPoint) -> tuple[list[str], str]:
    try:
        runner: Any = point.load()
    except Exception as error:  # whatever importing a plugin may raise
        return [], f"{type(error).__name__}: {error}"
    if not (isinstance(runner, type) and issubclass(runner, Runner)):
        return [], f"{point.value} is no subclass of fchains.Runner"
    return sorted(each.value for each in ALL_CAPABILITIES - runner.capabilities), ""

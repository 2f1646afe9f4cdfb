"""`fchains doctor`: whether this machine has what fchains needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from fchains.cli.diagnosis import Finding
from fchains.cli.exits import Exit
from fchains.cli.machine import inspect_machine
from fchains.cli.packages import inspect_packages
from fchains.cli.reporting import reported
from fchains.cli.runners import reports

EPILOG = """\b
Examples:
  fchains doctor
  fchains doctor --json
"""


@reported
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say whether this machine has what fchains needs.

    Each thing is ok, warn where something will not work, or fail where nothing will, with what to
    do about it."""
    findings = list(_findings())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            print(f"{finding.level:<4}  {finding.subject:<{width}}  {finding.text}")
            if finding.advice:
                print(f"{'':<{width + 8}}{finding.advice}")
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(Exit.MACHINERY)


def _findings() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{sys.version.split()[0]} at {sys.executable}")
    yield from inspect_packages()
    yield from _inspect_runners()
    yield from inspect_machine()


def _inspect_runners() -> Iterator[Finding]:
    found = list(reports())
    if not found:
        advice = "install fchains itself: pip install fchains, or pip install -e . in a checkout"
        yield Finding("fail", "runners", "none is installed", advice)
    for each in found:
        subject = f"runner {each.name}"
        if each.error:
            advice = f"reinstall or remove {each.package or each.object}"
            yield Finding("fail", subject, f"cannot be loaded: {each.error}", advice)
        else:
            yield Finding("ok", subject, "loads, and is the default" if each.default else "loads")

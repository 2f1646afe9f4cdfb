"""The packages that fchains needs, as `fchains doctor` sees them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from fchains.cli.diagnosis import Finding

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[[^]]*\])?\s*(?P<bounds>[^;]*)(;.*)?")
_LEAST = re.compile(r">=\s*([\w.]+)")


def inspect_packages() -> Iterator[Finding]:
    """The version of fchains, and of each package it depends on."""
    ours: str = sys.modules["fchains"].__version__
    try:
        needed = requires("fchains") or []
    except PackageNotFoundError:
        advice = "pip install fchains, or pip install -e . in a checkout: without it no runner is found"
        yield Finding("warn", "fchains", f"{ours}, not installed but on the path", advice)
        return
    yield Finding("ok", "fchains", ours)
    for requirement in needed:
        if "extra ==" not in requirement:
            yield inspect_requirement(requirement)


def inspect_requirement(requirement: str) -> Finding:
    """Whether a package is there, and new enough.

    Args:
        requirement: as in the metadata of a package, such as "pydantic>=2.10".
    """
    match = _REQUIREMENT.match(requirement)
    name, bounds = (match["name"], match["bounds"]) if match else (requirement, "")
    least = _LEAST.search(bounds)
    advice = f"pip install --upgrade '{name}{bounds.strip()}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding("fail", name, "not installed", advice)
    if least and _parts(found) < _parts(least[1]):
        return Finding("fail", name, f"{found} is too old, {least[1]} is needed", advice)
    return Finding("ok", name, found)


def _parts(version: str) -> tuple[int, ...]:
    """The numbers of a release, without what pre-releases add."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()

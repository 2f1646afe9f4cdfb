"""Whose code a frame runs: fchains' own machinery, or its users'."""

from __future__ import annotations

_USERS = "fchains.testing.contract"
"""The contract's chainlets play the user's part."""


def is_machinery(module: str) -> bool:
    """Whether a module of that name is part of fchains, which messages and tracebacks leave out."""
    package = module.partition(".")[0]
    ours = package == "fchains" or package in ("fchains_local", "fchains_docker", "fchains_aws")
    return ours and not module.startswith(_USERS)

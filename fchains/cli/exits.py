"""The exit codes, and what commands raise to end with one of them."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command's exit code says."""

    FINE = 0
    USER = 1
    USAGE = 2
    DEFINITION = 3
    MACHINERY = 4
    INTERRUPTED = 130
    UNREAD = 141


MEANINGS = {
    Exit.FINE: "fine",
    Exit.USER: "user code failed",
    Exit.USAGE: "wrong usage of the command",
    Exit.DEFINITION: "errors in definitions",
    Exit.MACHINERY: "the machinery failed",
    Exit.INTERRUPTED: "interrupted",
    Exit.UNREAD: "whoever read the output went away",
}


class UsageError(Exception):
    """Raised when the command was called wrongly; its text is printed as it is."""


class CallFailed(Exception):
    """Raised when a call that a command made failed.

    Args:
        error: what the call raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class OutputGone(Exception):
    """Raised when nobody reads the output any more."""

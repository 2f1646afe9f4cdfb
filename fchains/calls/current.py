"""Where calls made here go."""

from __future__ import annotations

from fchains.calls.context import ACTIVE, PLACE
from fchains.calls.session import Session
from fchains.calls.using import session_in_use


def current_session() -> Session:
    """The running replica's chain, else the innermost `use_runner`, else the process's default."""
    active = ACTIVE.get()
    if active is not None:
        return active.session
    place = PLACE.get()
    return place.session if place is not None else session_in_use()

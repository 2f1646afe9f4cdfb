"""Where code runs: the call it serves, the replica it runs in, the secrets it may read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fchains.calls.trace import Trace
from fchains.errors import FchainsError

if TYPE_CHECKING:
    from fchains.calls.session import Session
    from fchains.definition.resource import Resource


class Slot(Protocol):
    """The execution slot of an invocation, which it lends to others while it waits for a child."""

    def lend(self) -> None:
        """Give the slot away for now; from any thread."""
        ...

    def take_back(self, resume: Callable[[], None]) -> None:
        """Call `resume` once the slot is back; from any thread."""
        ...

    def take_back_now(self) -> None:
        """Have it back at once, even if that is one too many: the code runs on already."""
        ...


class Child(Protocol):
    """A call made by an invocation."""

    def cancel_child(self) -> None:
        """Cancel it because its caller's invocation was cancelled, or ended."""
        ...


@dataclass(frozen=True, slots=True)
class DeploymentInfo:
    """What runs here: `fchains.deployment()`."""

    chain: str
    chainlet: str
    environment: str
    version: str
    replica: str
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class CallInfo:
    """The call that the running code serves: `fchains.current_call()`.

    `deadline` is a `time.monotonic()` value and `remaining` the seconds until it, both None
    without a limit. In a batched function `batch` lists the members, and the other fields are
    those of the oldest one.
    """

    id: str
    chain_id: str
    chainlet: str
    attempt: int
    deadline: float | None
    headers: Mapping[str, str]
    trace: Trace
    batch: tuple[CallInfo, ...] = ()
    cancelled: bool = False

    @property
    def remaining(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


@dataclass(slots=True, eq=False)
class ActiveCall:
    """An invocation as its own replica sees it, carried by a context variable."""

    info: CallInfo
    where: DeploymentInfo
    session: Session
    path: tuple[str, ...]
    slot: Slot | None = None
    children: set[Child] = field(default_factory=set[Child])


@dataclass(frozen=True, slots=True)
class Place:
    """The replica whose code is running, calls and resource setups alike."""

    where: DeploymentInfo
    secrets: tuple[str, ...]
    resources: Mapping[Resource[Any], object]
    """The resources of this replica that are made so far."""
    session: Session
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


ACTIVE: ContextVar[ActiveCall | None] = ContextVar("fchains_call", default=None)
PLACE: ContextVar[Place | None] = ContextVar("fchains_place", default=None)


def current_call() -> CallInfo:
    """The call that the running code serves.

    Raises:
        LookupError: no call is being served here.
    """
    active = ACTIVE.get()
    if active is None:
        raise LookupError("current_call() works only inside a chainlet that was called with .remote()")
    return active.info


def deployment() -> DeploymentInfo:
    """The chain and replica that the running code belongs to; also inside `@setup`.

    Raises:
        LookupError: the code runs in no replica.
    """
    place = PLACE.get()
    if place is None:
        raise LookupError("deployment() works only inside a chainlet or a @setup function of a running chain")
    return place.where


def secret(name: str) -> str:
    """The value of a secret that the chainlet declares in `secrets=[…]`.

    Values come from environment variables of that name.

    Raises:
        FchainsError: it is not declared, or has no value.
        LookupError: the code runs in no replica.
    """
    place = PLACE.get()
    if place is None:
        raise LookupError(
            f"secret({name!r}) works only inside a chainlet or a @setup function of a running chain"
        )
    if name not in place.secrets:
        chainlet = place.where.chainlet
        declared = ", ".join(place.secrets) or "none"
        raise FchainsError(
            f"{chainlet} does not declare the secret {name!r} (declared: {declared}):"
            f' write @chainlet(secrets=["{name}"])'
        )
    value = place.environment.get(name)
    if value is None:
        raise FchainsError(f"the secret {name!r} has no value: set the environment variable {name}")
    return value

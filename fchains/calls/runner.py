"""The extension point: a runner starts a chain, its deployment gives channels, they carry calls.

A runner implements `Runner.start`, a deployment `Deployment.channel`, a channel `Channel.send`;
everything else has a default. Every method is called on the loop of the portal (`calls.portal`),
so that none needs a lock; none of them may block.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fchains.calls.invocation import Invocation, Outcome
from fchains.calls.loglines import LogSink
from fchains.wire.failures import Failure
from fchains.wire.payload import Payload

if TYPE_CHECKING:
    from fchains.calls.session import Session
    from fchains.definition.resource import Resource
    from fchains.definition.spec import Definition


class Capability(enum.Enum):
    """What a runner can do; the contract suite demands all but those that a runner lacks."""

    STREAMS = "streams"
    """Generators, and streamed parameters."""
    CANCELLATION = "cancellation"
    """Cancelling a call reaches its user code."""
    NESTING = "nesting"
    """A chainlet calls others, itself included."""
    BATCHING = "batching"
    """Concurrent calls of a batched chainlet share one execution."""
    OVERRIDES = "overrides"
    """Fakes of chainlets and resources."""
    REPLICAS = "replicas"
    """Replicas live on between calls, and their number follows the demand."""
    LOGS = "logs"
    """What user code prints and logs reaches the deployment's log sinks."""


ALL_CAPABILITIES = frozenset(Capability)


@dataclass(frozen=True, slots=True)
class Chain:
    """What a runner starts: the chainlets that a call graph reaches, and where they run."""

    name: str
    definitions: Mapping[str, Definition]
    version: str
    environment: str = "local"
    resource_overrides: Mapping[Resource[Any], object] = field(default_factory=dict["Resource[Any]", object])
    fakes: Mapping[str, Definition] = field(default_factory=dict[str, "Definition"])
    log_sink: LogSink | None = None
    nested: Session | None = None
    """Where calls from inside the chain go; in-process runners that are wrapped honour it."""


class Reply(Protocol):
    """Told what becomes of one invocation; `finish` is the last thing it hears."""

    def accepted(self) -> None:
        """User code is about to start: from now on the call runs at most once."""
        ...

    def item(self, payload: Payload) -> None:
        """The generator yielded."""
        ...

    def consumed(self, stream: str, items: int, size: int) -> None:
        """The callee took items, of `size` bytes together, from a streamed parameter."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """The one outcome."""
        ...


class Transfer:
    """An invocation on its way, as its sender holds it; every method may come after its end."""

    def cancel(self, *, timed_out: bool = False) -> None:
        """Stop the work; `finish` still follows."""

    def consumed(self, items: int, size: int) -> None:
        """The reader took items, of `size` bytes together, so that as many more may come."""

    def upload(self, stream: str, item: Payload) -> None:
        """Send an item of a streamed parameter; the sender keeps to the window."""

    def end_upload(self, stream: str, failure: Failure | None) -> None:
        """End a streamed parameter, with the failure of its source if it failed."""

    @property
    def answers_within(self) -> float:
        """Seconds after a deadline in which the replica's own word of it, which says more, may come."""
        return 0.0

    @property
    def awaits_start(self) -> bool:
        """Whether it is held until a replica is ready, while none is."""
        return False

    def whereabouts(self) -> str:
        """Where the user code is right now, as ` at file:line`, or nothing if that is unknown."""
        return ""


class Channel(abc.ABC):
    """Carries the invocations of one chainlet to its replicas."""

    @abc.abstractmethod
    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        """Send an invocation to the least loaded replica; refusal comes as an outcome.

        The reply is told of anything only after this has returned.
        """


class Deployment(abc.ABC):
    """A chain that runs."""

    @abc.abstractmethod
    def channel(self, chainlet: str) -> Channel:
        """The channel to a chainlet of the chain."""

    async def aclose(self, *, drain: bool = True) -> None:
        """End it: accepted calls finish first when `drain`, then every resource is torn down."""


class Runner(abc.ABC):
    """Starts chains somewhere: in this process, on a pool of processes, in containers."""

    name: str = "custom"
    capabilities: frozenset[Capability] = ALL_CAPABILITIES

    @abc.abstractmethod
    async def start(self, chain: Chain) -> Deployment:
        """Start a chain; its replicas may come up later, calls wait for them."""

    async def aclose(self) -> None:
        """Release what the runner itself holds, after its deployments have ended."""

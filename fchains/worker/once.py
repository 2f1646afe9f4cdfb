"""One invocation in a replica of its own: made for it, and gone after it."""

from __future__ import annotations

import asyncio

from fchains.calls.invocation import FailureKind, Invocation, Outcome
from fchains.calls.runner import Chain
from fchains.calls.session import Session
from fchains.wire.payload import Payload
from fchains.worker.outcomes import failed
from fchains.worker.replica import Replica


async def run_once(chain: Chain, invocation: Invocation, session: Session) -> Outcome:
    """Make the resources, run the invocation, tear the resources down.

    Cancelling this stops the user code first, and waits until it has stopped.

    Args:
        chain: the chain that the invocation belongs to.
        invocation: of a chainlet that is no generator.
        session: where its own calls go.
    """
    member = chain.fakes.get(invocation.chainlet, chain.definitions[invocation.chainlet])
    once = _Once()
    replica = Replica(chain, [member], f"{member.name}-{invocation.id}", session, once)
    try:
        await replica.start()
    except Exception as error:
        return failed(FailureKind.SETUP, error)
    admitted = replica.submit(invocation, once)
    try:
        await once.over.wait()
    except asyncio.CancelledError:
        admitted.cancel()
        await once.over.wait()
        raise
    finally:
        await replica.aclose()
    return once.outcome or failed(FailureKind.USER, RuntimeError("the call ended without an outcome"))


class _Once:
    """The reply to the one invocation, and the events of its replica."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.over = asyncio.Event()

    def accepted(self) -> None: ...

    def item(self, payload: Payload) -> None: ...

    def consumed(self, stream: str, items: int, size: int) -> None: ...

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def ended(self, chainlet: str, call: str) -> None:
        self.over.set()

    def stuck(self, why: str) -> None:
        self.over.set()

    def blocking(self, where: str) -> None: ...

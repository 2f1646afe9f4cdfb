"""A replica: the resources of its chainlets, made once, and the executions that use them.

Everything in it lives on one event loop, which async user code shares; sync user code has threads.
Whatever serves it (a thread, a process behind a socket, a container behind HTTP) calls `start`,
`submit` and `aclose` on that loop.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, Protocol, TypeVar, cast

from fchains.calls.context import PLACE, DeploymentInfo, Place
from fchains.calls.invocation import Invocation
from fchains.calls.resources import ResourcePool
from fchains.calls.runner import Chain, Reply, Transfer
from fchains.calls.session import Session
from fchains.definition.resource import Resource
from fchains.definition.signature import read_signature
from fchains.definition.spec import Definition
from fchains.wire.failures import Failure
from fchains.wire.payload import Payload
from fchains.worker.batching import Batch, BatchQueue, Joined
from fchains.worker.blockage import Blockage, LoopWatch
from fchains.worker.execution import Execution, always
from fchains.worker.slots import Slots
from fchains.worker.streaming import AsyncStream, StreamExecution, SyncStream
from fchains.worker.threads import Raised, Result, ThreadPool
from fchains.worker.unary import AsyncUnary, SyncUnary

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ReplicaEvents(Protocol):
    """Told what happens in a replica, on its loop or one of its threads."""

    def ended(self, chainlet: str, call: str) -> None:
        """An input of the chainlet no longer occupies the replica."""
        ...

    def stuck(self, why: str) -> None:
        """Code in it does not stop: it needs a successor, and must end when its calls have."""
        ...

    def blocking(self, where: str) -> None:
        """Its event loop is blocked there, as ` at file:line`; empty when it no longer is."""
        ...


class Replica:
    """One replica of the chainlets of a group, or of one chainlet.

    Args:
        chain: the chain that it belongs to.
        members: the chainlets that it serves.
        name: its name in logs, as `transcribe-0`.
        session: where its own calls go.
        events: told what happens in it.
        devices: ids of the GPUs that it was given.
    """

    def __init__(
        self,
        chain: Chain,
        members: Sequence[Definition],
        name: str,
        session: Session,
        events: ReplicaEvents,
        devices: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.session = session
        self._chain = chain
        self._members = {member.name: member for member in members}
        self._events = events
        self._devices = devices
        self._threads = {member.name: ThreadPool(member.name) for member in members}
        self._pool = ResourcePool(chain.resource_overrides, self._offload)
        self._slots = {m.name: Slots(m.slots) for m in members if m.batch is None}
        self._batches: dict[str, BatchQueue] = {}
        self._executions: set[Execution] = set()

    async def start(self) -> None:
        """Make every resource; the replica is ready when this returns.

        Raises:
            SetupError: a setup function failed; what was made before is torn down.
        """
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._watch = LoopWatch(self._blocked)
        self._batches = {m.name: BatchQueue(self, m) for m in self._members.values() if m.batch is not None}
        needed = dict.fromkeys(resource for m in self._members.values() for resource in m.resources)
        try:
            await self._in_place(self._pool.make(needed))
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Tear the resources down in reverse order, and end the threads."""
        await self._in_place(self._pool.aclose())
        self._watch.close()
        for threads in self._threads.values():
            threads.close()

    async def healthy(self) -> bool:
        """Whether every member's health function, if it has one, says so."""
        for member in self._members.values():
            if member.options.health is not None and not await self._healthy(member):
                return False
        return True

    def submit(
        self, invocation: Invocation, reply: Reply, may_start: Callable[[], bool] = always
    ) -> Admitted:
        """Take an invocation of one of the members; it waits here for a slot.

        Args:
            invocation: what to run.
            reply: told what becomes of it.
            may_start: asked right before its user code starts; False drops it.
        """
        member = self._members[invocation.chainlet]
        self._watch.enter()
        if member.name in self._batches:
            counted = _Counted(reply, lambda: self._over(member.name, invocation.id))
            queue = self._batches[member.name]
            return AdmittedToBatch(self, queue, queue.admit(invocation, counted, may_start))
        kind = _KINDS[member.kind, member.signature.is_async]
        execution = kind(self, member, invocation, reply, self._slots[member.name])
        execution.may_start = may_start
        self._executions.add(execution)
        execution.admit()
        return AdmittedAlone(self, execution)

    def cancel_all(self) -> None:
        """Cancel what runs and what waits."""
        for execution in list(self._executions):
            execution.cancel(timed_out=False)
        for queue in self._batches.values():
            queue.cancel_all()

    def blocked(self) -> str:
        """Where the event loop is blocked, as ` at file:line`, or nothing; from any thread."""
        blockage = self._watch.blocked()
        return _place(blockage) if blockage else ""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def resources(self) -> dict[Resource[Any], object]:
        return self._pool.values

    def threads(self, definition: Definition) -> ThreadPool:
        return self._threads[definition.name]

    def info(self, definition: Definition) -> DeploymentInfo:
        chain = self._chain
        return DeploymentInfo(
            chain.name, definition.name, chain.environment, chain.version, self.name, self._devices
        )

    def context(self, definition: Definition) -> Context:
        context = Context()
        secrets = definition.options.secrets
        place = Place(self.info(definition), secrets, self._pool.values, self.session)
        context.run(PLACE.set, place)
        return context

    def ended(self, execution: Execution) -> None:
        self._executions.discard(execution)
        self._over(execution.definition.name, execution.invocation.id)

    def stuck(self, execution: Execution | Batch, why: str) -> None:
        self._events.stuck(f"{execution.definition.name}, replica {self.name}: {why}")

    def _over(self, chainlet: str, call: str) -> None:
        self._watch.exit()
        self._events.ended(chainlet, call)

    def _blocked(self, blockage: Blockage) -> None:
        self._events.blocking("" if blockage.ended else _place(blockage))
        chainlet = self._chainlet_at(blockage)
        logger.warning(
            "%s %s the event loop of replica %s for %.0f ms at %s:%d in %s:"
            " make it a plain `def`, or run the blocking part with fchains.asyncify",
            chainlet,
            "blocked" if blockage.ended else "has been blocking",
            self.name,
            blockage.duration * 1000,
            blockage.file,
            blockage.line,
            blockage.function,
        )

    def _chainlet_at(self, blockage: Blockage) -> str:
        stack = {(frame.filename, frame.name) for frame in blockage.frames}
        for member in self._members.values():
            if (member.function.__code__.co_filename, member.function.__code__.co_name) in stack:
                return member.name
        return " or ".join(self._members)

    async def _healthy(self, member: Definition) -> bool:
        health = cast("Callable[..., Any]", member.options.health)
        injected = read_signature(health, "health", member.place)[0].injected
        arguments = {name: self._pool.values[resource] for name, resource in injected.items()}
        try:
            if inspect.iscoroutinefunction(health):
                return bool(await self._in_place(health(**arguments)))
            return bool(await self._in_place(self._offload(lambda: health(**arguments))))
        except Exception:
            logger.exception("the health function of %s failed", member.name)
            return False

    async def _in_place(self, work: Awaitable[T]) -> T:
        """Run setup code, teardown or a health check with `deployment()` and `secret()` at hand."""
        secrets = tuple(dict.fromkeys(s for m in self._members.values() for s in m.options.secrets))
        first = next(iter(self._members.values()))
        token = PLACE.set(Place(self.info(first), secrets, self._pool.values, self.session))
        try:
            return await work
        finally:
            PLACE.reset(token)

    def _offload(self, function: Callable[[], T], /) -> Awaitable[T]:
        future: asyncio.Future[T] = self._loop.create_future()

        def settle(result: Result[T]) -> None:
            if future.done():
                return
            if isinstance(result, Raised):
                error = result.error
                # A future takes no `StopIteration`: whoever waits would wait for ever.
                fit = isinstance(error, Exception) and not isinstance(error, StopIteration)
                future.set_exception(error if fit else RuntimeError(repr(error)))
            else:
                future.set_result(result.value)

        def done(result: Result[T]) -> None:
            self._loop.call_soon_threadsafe(settle, result)

        next(iter(self._threads.values())).run(function, done, context=copy_context())
        return future


def _place(blockage: Blockage) -> str:
    return f" at {blockage.file}:{blockage.line} in {blockage.function}"


_KINDS: dict[tuple[str, bool], type[Execution]] = {
    ("unary", True): AsyncUnary,
    ("unary", False): SyncUnary,
    ("stream", True): AsyncStream,
    ("stream", False): SyncStream,
}


class Admitted(Transfer):
    """An invocation in a replica, as its front door holds it; used on the replica's loop."""


class AdmittedAlone(Admitted):
    """An invocation with an execution of its own."""

    def __init__(self, replica: Replica, execution: Execution) -> None:
        self._replica = replica
        self._execution = execution

    def cancel(self, *, timed_out: bool = False) -> None:
        self._execution.cancel(timed_out=timed_out)

    def consumed(self, items: int, size: int) -> None:
        if isinstance(self._execution, StreamExecution):
            self._execution.consumed(items, size)

    def upload(self, stream: str, item: Payload) -> None:
        self._execution.uploads[stream].put(item)

    def end_upload(self, stream: str, failure: Failure | None) -> None:
        self._execution.uploads[stream].end(failure)

    def whereabouts(self) -> str:
        return self._replica.blocked() or self._execution.whereabouts


class AdmittedToBatch(Admitted):
    """An invocation that shares an execution."""

    def __init__(self, replica: Replica, queue: BatchQueue, joined: Joined | None) -> None:
        self._replica = replica
        self._queue = queue
        self._joined = joined

    def cancel(self, *, timed_out: bool = False) -> None:
        if self._joined is not None:
            self._queue.cancel(self._joined, out_of_time=timed_out)

    def whereabouts(self) -> str:
        return self._replica.blocked()


class _Counted:
    """A reply that also tells the replica that the input is gone."""

    def __init__(self, reply: Reply, over: Callable[[], None]) -> None:
        self.accepted = reply.accepted
        self.item = reply.item
        self.consumed = reply.consumed
        self._reply = reply
        self._over = over

    def finish(self, outcome: Any) -> None:
        self._over()  # before the answer, so that who calls again at once finds room
        self._reply.finish(outcome)

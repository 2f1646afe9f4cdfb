"""The replicas of one chainlet, or of one group, on the inline runner; all on the portal's loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fchains.calls.invocation import FailureKind, Invocation, Outcome
from fchains.calls.portal import Portal, portal
from fchains.calls.runner import Chain, Reply, Transfer
from fchains.calls.session import Session
from fchains.definition.spec import Definition
from fchains.errors import NotDeployed, Overloaded, SetupError
from fchains.testing.inline_transfer import InlineTransfer
from fchains.worker.logs import Owner
from fchains.worker.outcomes import failed
from fchains.worker.replica import Replica
from fchains.worker.scaling import Bounds, Demand, Restarts, ScalingState, decide, pick, queue_share

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 30.0
"""How long teardown may take before the replica's thread is left behind."""


class InlineReplica:
    """A replica with its own event loop in a thread."""

    def __init__(self, owner: ReplicaSet, name: str) -> None:
        self.name = name
        self.ready = False
        self.retired = False
        self.watch: asyncio.Task[None] | None = None
        self.transfers: weakref.WeakSet[InlineTransfer] = weakref.WeakSet()
        self._starting: asyncio.Future[None] | None = None
        self.loads: dict[str, int] = dict.fromkeys(owner.members, 0)
        self.portal = Portal(f"fchains-{name}")
        self._owner = owner
        self.replica = Replica(owner.chain, list(owner.members.values()), name, owner.session, self)

    @property
    def load(self) -> int:
        """Inputs in it, running or waiting."""
        return sum(self.loads.values())

    def grace(self, chainlet: str) -> float:
        """Seconds that code of a chainlet gets to stop in."""
        return self._owner.members[chainlet].options.grace

    async def start(self) -> None:
        """Make its resources, within the shortest startup_timeout of its members."""
        limit = min(member.options.startup_timeout for member in self._owner.members.values())
        starting = self._starting = asyncio.wrap_future(self.portal.submit(self.replica.start()))
        done, _ = await asyncio.wait([starting], timeout=limit)
        if not done:
            starting.cancel()
            raise SetupError(f"{self.name} was not ready within its startup_timeout of {limit:g} s")
        starting.result()
        self.ready = True

    def give_up(self) -> None:
        """Stop making its resources: nobody waits for them any more."""
        if self._starting is not None:
            self._starting.cancel()

    async def aclose(self) -> None:
        """Tear down and end the thread; code that does not end keeps its thread."""
        if self.watch is not None and self.watch is not asyncio.current_task():
            self.watch.cancel()
        closing = asyncio.wrap_future(self.portal.submit(self.replica.aclose()))
        if not self.load:  # else its code ignores that it was told to stop: nobody waits for that
            await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if closing.done() and not self.load:
            closing.result()
            try:
                await asyncio.to_thread(self.portal.close)
            except RuntimeError:  # at the very end of the process executors take nothing more
                self.portal.close(wait=False)
        else:
            logger.warning("replica %s did not shut down; its thread is left behind", self.name)

    def ended(self, chainlet: str, call: str) -> None:
        self._owner.flush(Owner(chainlet, self.name, call))
        self._owner.portal.post(self._owner.input_ended, self, chainlet)

    def stuck(self, why: str) -> None:
        self._owner.portal.post(self._owner.replace, self, why)


class ReplicaSet:
    """Starts, feeds, scales and replaces the replicas of one group."""

    def __init__(
        self,
        chain: Chain,
        members: Sequence[Definition],
        session: Session,
        flush: Callable[[Owner], None],
        health_interval: float,
    ) -> None:
        self._health_interval = health_interval
        self.flush = flush
        self.chain = chain
        self.members = {member.name: member for member in members}
        self.session = session
        self.portal = portal()
        first = members[0]
        # Without a wish there is one replica: this process has one interpreter to share.
        wanted = first.options.replicas
        self._bounds = Bounds(wanted.min, wanted.max) if wanted else Bounds(0, 1)
        self._window = first.options.scaledown_window
        self._label = first.options.group or first.name
        self._replicas: list[InlineReplica] = []
        self._waiting: deque[InlineTransfer] = deque()
        self._numbers = itertools.count()
        self._state = ScalingState()
        self._restarts = Restarts()
        self._turn = 0
        self._closed = False
        self._quiet = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_error: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        """Give an invocation to a replica, hold it while one is coming up, or refuse it."""
        transfer = InlineTransfer(invocation, reply, self)
        self.portal.loop.call_soon(self._accept, transfer)
        return transfer

    def withdraw(self, transfer: InlineTransfer) -> None:
        """Forget a held invocation."""
        if transfer in self._waiting:
            self._waiting.remove(transfer)
            self._hand_out()

    def scale(self) -> None:
        """Start or retire replicas as the demand asks."""
        alive = [replica for replica in self._replicas if not replica.retired]
        target, self._state = decide(
            self._state,
            Demand(self._running(), self._held()),
            len(alive),
            time.monotonic(),
            bounds=self._bounds,
            per_replica=1,
            scaledown_window=self._window,
        )
        if self._closed:
            return
        for _ in range(target - len(alive)):
            self._start_one()
        idle = sorted((r for r in alive if r.ready and not r.load), key=lambda r: r.name)
        for replica in idle[: max(0, len(alive) - target)]:
            self._retire(replica)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(alive) > self._bounds.min:
            self._timer = self.portal.loop.call_later(max(0.05, self._window), self.scale)

    def input_ended(self, replica: InlineReplica, chainlet: str) -> None:
        """A replica has room again."""
        replica.loads[chainlet] -= 1
        if replica.retired and not replica.load:
            self._remove(replica)
        self._hand_out()
        self.scale()

    def replace(self, replica: InlineReplica, why: str) -> None:
        """Send nothing more to a replica that is stuck, and start its successor."""
        if replica.retired or replica not in self._replicas:
            return
        logger.error("%s; the replica is replaced", why)
        replica.retired = True
        # What it has not begun goes elsewhere; its own count of them ends when it hears of that.
        self._waiting.extendleft(transfer for transfer in list(replica.transfers) if transfer.recall())
        if not replica.load:
            self._remove(replica)
        self.scale()
        self._hand_out()

    @property
    def idle(self) -> bool:
        """Whether no call waits or runs here."""
        return not self._waiting and not any(r.load for r in self._replicas if not r.retired)

    @property
    def patience(self) -> float:
        """Seconds that its code gets to stop in."""
        return max(member.options.grace for member in self.members.values())

    async def drained(self) -> None:
        """Wait until no call waits or runs here."""
        while not self.idle:
            self._quiet.clear()
            await self._quiet.wait()

    def cancel_all(self) -> None:
        """Cancel what runs, refuse what waits and what comes."""
        self._closed = True
        while self._waiting:
            self._refuse_closed(self._waiting.popleft())
        for replica in self._replicas:
            replica.portal.post(replica.replica.cancel_all)
        self._hand_out()

    async def aclose(self) -> None:
        """End all replicas; those that are still coming up are given up."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for replica in self._replicas:
            if not replica.ready:
                replica.give_up()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(replica.aclose() for replica in self._replicas))
        self._replicas.clear()

    def _accept(self, transfer: InlineTransfer) -> None:
        if transfer.cancelled:
            return
        member = self.members[transfer.invocation.chainlet]
        if self._closed:
            self._refuse_closed(transfer)
        elif self._restarts.stopped:
            self._refuse(transfer, failed(FailureKind.SETUP, self._setup_error()))
        elif self._in_use(member.name) >= self._capacity(member):
            text = f"{member.name}: all replicas are busy and {member.options.max_queue} calls wait already"
            self._refuse(transfer, failed(FailureKind.OVERLOADED, Overloaded(text)))
        else:
            self._waiting.append(transfer)
            self._hand_out()
            self.scale()

    def _refuse(self, transfer: InlineTransfer, outcome: Outcome) -> None:
        transfer.reply.finish(outcome)

    def _refuse_closed(self, transfer: InlineTransfer) -> None:
        error = NotDeployed(f"{transfer.invocation.chainlet}: the deployment is closed")
        self._refuse(transfer, failed(FailureKind.NOT_DEPLOYED, error))

    def _in_use(self, chainlet: str) -> int:
        held = sum(1 for transfer in self._waiting if transfer.invocation.chainlet == chainlet)
        return held + sum(r.loads[chainlet] for r in self._replicas if not r.retired)

    def _capacity(self, member: Definition) -> int:
        return self._bounds.max * _room(member) + member.options.max_queue

    def _running(self) -> float:
        return sum(
            replica.loads[name] / _room(member)
            for replica in self._replicas
            if not replica.retired
            for name, member in self.members.items()
        )

    def _held(self) -> float:
        return sum(1 / _room(self.members[transfer.invocation.chainlet]) for transfer in self._waiting)

    def _hand_out(self) -> None:
        for transfer in list(self._waiting):
            replica = self._choose(self.members[transfer.invocation.chainlet])
            if replica is not None:
                self._waiting.remove(transfer)
                replica.loads[transfer.invocation.chainlet] += 1
                transfer.assign(replica)
        if self.idle:
            self._quiet.set()

    def _choose(self, member: Definition) -> InlineReplica | None:
        share = queue_share(member.options.max_queue, self._bounds.max)
        most = _room(member) + share
        loads = [
            r.loads[member.name] if r.ready and not r.retired and r.loads[member.name] < most else None
            for r in self._replicas
        ]
        index = pick(loads, self._turn)
        if index is None:
            return None
        # A call that would queue waits for a replica that is coming up instead, if there is one.
        coming_up = any(not r.ready and not r.retired for r in self._replicas)
        if coming_up and self._replicas[index].loads[member.name] >= _room(member):
            return None
        self._turn = index + 1
        return self._replicas[index]

    def _start_one(self) -> None:
        delay = self._restarts.delay(time.monotonic())
        if delay is None:
            return
        replica = InlineReplica(self, f"{self._label}-{next(self._numbers)}")
        self._replicas.append(replica)
        self._spawn(self._bring_up(replica, delay))

    async def _bring_up(self, replica: InlineReplica, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            if self._closed:
                raise asyncio.CancelledError
            await replica.start()
        except asyncio.CancelledError:  # given up
            self._replicas.remove(replica)
            replica.portal.close(wait=False)
        except Exception as error:
            self._setup_failed(replica, error)
        else:
            self._restarts = self._restarts.reset()
            self._hand_out()
            if any(member.options.health is not None for member in self.members.values()):
                replica.watch = self.portal.loop.create_task(self._watch_health(replica))

    async def _watch_health(self, replica: InlineReplica) -> None:
        well = True
        while well:
            await asyncio.sleep(self._health_interval)
            well = await asyncio.wrap_future(replica.portal.submit(replica.replica.healthy()))
        self.replace(replica, f"{self._label}, replica {replica.name}: its health function says no")

    def _setup_failed(self, replica: InlineReplica, error: Exception) -> None:
        self._replicas.remove(replica)
        replica.portal.close(wait=False)
        self._restarts = self._restarts.failed(time.monotonic())
        self._last_error = error
        waiting, self._waiting = list(self._waiting), deque()
        for transfer in waiting:
            self._refuse(transfer, failed(FailureKind.SETUP, self._setup_error()))
        self._hand_out()

    def _setup_error(self) -> Exception:
        error = self._last_error
        if isinstance(error, SetupError):
            return error
        wrapped = SetupError(f"{self._label} could not start: {error!r}")
        wrapped.__cause__ = error
        return wrapped

    def _retire(self, replica: InlineReplica) -> None:
        replica.ready = False
        self._remove(replica)

    def _remove(self, replica: InlineReplica) -> None:
        if replica in self._replicas:
            self._replicas.remove(replica)
            self._spawn(replica.aclose())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.portal.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _room(member: Definition) -> int:
    """Inputs that one replica executes at once."""
    return member.slots * (member.batch.max_size if member.batch else 1)

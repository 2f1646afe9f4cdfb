"""The replicas of one chainlet, or of one group, on the inline runner; all on the portal's loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fchains.calls.invocation import FailureKind, Invocation
from fchains.calls.portal import portal
from fchains.calls.runner import Chain, Reply, Transfer
from fchains.calls.session import Session
from fchains.definition.spec import Definition
from fchains.errors import NotDeployed, Overloaded, SetupError
from fchains.testing.inline_replica import InlineReplica
from fchains.testing.inline_transfer import InlineTransfer
from fchains.worker.fleet import Fleet, Phase
from fchains.worker.logs import Owner
from fchains.worker.outcomes import failed
from fchains.worker.routing import Room, Router
from fchains.worker.scaling import Bounds, Demand

logger = logging.getLogger(__name__)


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
        first = members[0].options
        # Without a wish there is one replica: this process has one interpreter to share.
        bounds = Bounds(first.replicas.min, first.replicas.max) if first.replicas else Bounds(0, 1)
        self._label = first.group or members[0].name
        self._window = first.scaledown_window
        self._fleet = Fleet(self._label, bounds, self._window)
        rooms = {member.name: Room.of(member) for member in members}
        self._router: Router[InlineTransfer, InlineReplica] = Router(rooms, bounds)
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
        if self._router.withdraw(transfer):
            self._hand_out()

    def phase(self, replica: InlineReplica) -> Phase | None:
        """Where a replica stands; None for one that is gone."""
        return self._fleet.phases.get(replica.name)

    def scale(self) -> None:
        """Start or retire replicas as the demand asks."""
        if self._closed:
            return
        demand = Demand(self._router.running_demand(), self._router.held_demand())
        idle = {replica.name: replica for replica in self._router.targets if not replica.busy}
        plan = self._fleet.scale(demand, idle, time.monotonic())
        for start in plan.starts:
            replica = InlineReplica(self, start.name)
            self._router.targets.append(replica)
            self._spawn(self._bring_up(replica, start.delay))
        for name in plan.retire:
            self._remove(idle[name])
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fleet.alive > self._fleet.bounds.min:
            self._timer = self.portal.loop.call_later(max(0.05, self._window), self.scale)

    def input_ended(self, replica: InlineReplica, chainlet: str) -> None:
        """A replica has room again."""
        replica.loads[chainlet] -= 1
        self._remove_if_left(replica)
        self._hand_out()
        self.scale()

    def replace(self, replica: InlineReplica, why: str) -> None:
        """Send nothing more to a replica that is stuck, and start its successor."""
        if not self._fleet.retire(replica.name):
            return
        logger.error("%s; the replica is replaced", why)
        # What it has not begun goes elsewhere; its own count of them ends when it hears of that.
        self._router.put_back([transfer for transfer in list(replica.transfers) if transfer.recall()])
        self._remove_if_left(replica)
        self.scale()
        self._hand_out()

    @property
    def any_open(self) -> bool:
        """Whether a replica is ready."""
        return any(replica.open for replica in self._router.targets)

    @property
    def idle(self) -> bool:
        """Whether no call waits or runs here."""
        return not self._router.held and not any(r.open and r.busy for r in self._router.targets)

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
        for transfer in self._router.take_all():
            self._refuse_closed(transfer)
        for replica in self._router.targets:
            replica.portal.post(replica.replica.cancel_all)
        self._hand_out()

    async def aclose(self) -> None:
        """End all replicas; those that are still coming up are given up."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for replica in self._router.targets:
            replica.give_up()
        while self._tasks:
            await asyncio.wait(self._tasks)
        left = list(self._router.targets)
        for replica in left:
            self._forget(replica)
        await asyncio.gather(*(replica.aclose() for replica in left))

    def _accept(self, transfer: InlineTransfer) -> None:
        if transfer.cancelled:
            return
        if self._closed:
            self._refuse_closed(transfer)
        elif self._fleet.stopped:
            self._refuse(transfer, FailureKind.SETUP, self._setup_error())
        elif self._router.offer(transfer):
            self._hand_out()
            self.scale()
        else:
            most = self.members[transfer.chainlet].options.max_queue
            text = f"{transfer.chainlet}: all replicas are busy and {most} calls wait already"
            self._refuse(transfer, FailureKind.OVERLOADED, Overloaded(text))

    def _refuse(self, transfer: InlineTransfer, kind: FailureKind, error: Exception) -> None:
        transfer.reply.finish(failed(kind, error))

    def _refuse_closed(self, transfer: InlineTransfer) -> None:
        error = NotDeployed(f"{transfer.chainlet}: the deployment is closed")
        self._refuse(transfer, FailureKind.NOT_DEPLOYED, error)

    def _hand_out(self) -> None:
        self._router.may_grow = Phase.STARTING in self._fleet.phases.values()
        for transfer, replica in self._router.hand_out():
            replica.loads[transfer.chainlet] += 1
            transfer.assign(replica)
        if self.idle:
            self._quiet.set()

    async def _bring_up(self, replica: InlineReplica, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            if self._closed:
                raise asyncio.CancelledError
            await replica.start()
        except asyncio.CancelledError:  # given up
            self._discard(replica)
        except Exception as error:
            self._setup_failed(replica, error)
        else:
            self._fleet.ready(replica.name)
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
        self._fleet.failed(replica.name, time.monotonic())
        self._discard(replica)
        self._last_error = error
        for transfer in self._router.take_all():
            self._refuse(transfer, FailureKind.SETUP, self._setup_error())
        self._hand_out()

    def _setup_error(self) -> Exception:
        error = self._last_error
        if isinstance(error, SetupError):
            return error
        wrapped = SetupError(f"{self._label} could not start: {error!r}")
        wrapped.__cause__ = error
        return wrapped

    def _discard(self, replica: InlineReplica) -> None:
        self._forget(replica)
        replica.portal.close(wait=False)

    def _remove_if_left(self, replica: InlineReplica) -> None:
        if self.phase(replica) is Phase.RETIRED and not replica.busy:
            self._remove(replica)

    def _remove(self, replica: InlineReplica) -> None:
        self._forget(replica)
        self._spawn(replica.aclose())

    def _forget(self, replica: InlineReplica) -> None:
        self._fleet.gone(replica.name)
        self._router.targets.remove(replica)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.portal.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""The replicas of one group as a process that calls them sees them, and the calls that wait for room."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fchains.calls.invocation import Failed, FailureKind, Invocation
from fchains.calls.runner import Reply
from fchains.definition.spec import Definition
from fchains.errors import NotDeployed, Overloaded
from fchains.wire.failures import Failure
from fchains.worker.outcomes import failed
from fchains.worker.routing import Room, Router
from fchains.worker.scaling import Bounds
from fchains_local.control import Message, Released, Stuck, Waiting
from fchains_local.remote import Remote
from fchains_local.transfer import LocalTransfer

LOOK_SECONDS = 0.01
"""How often a client with waiting calls looks whether others have left room in a replica."""

RECALL_SECONDS = 0.5
"""How long a stuck replica gets to give back what it has not begun."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Why no replica comes up, and whether one is tried again."""

    failure: Failure
    stopped: bool


class Pool:
    """Sends calls to the replicas of one group, holds them while one comes up, refuses them when all is full.

    Args:
        label: the group's name.
        members: its chainlets, in the order of their channels.
        tell: says something to the supervisor.
    """

    def __init__(
        self,
        label: str,
        members: Mapping[str, Definition],
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Message], None],
    ) -> None:
        self.label = label
        self.members = members
        self.channels = {name: number for number, name in enumerate(members)}
        self._loop = loop
        self._tell = tell
        self._router: Router[LocalTransfer, Remote] = Router(
            {name: Room.of(member) for name, member in members.items()}, Bounds(0, 1)
        )
        self._router.may_grow = True
        self._remotes: dict[str, Remote] = {}
        self._coming: set[str] = set()
        self._failing: Failing | None = None
        self._transfers: dict[LocalTransfer, None] = {}
        """Those that have not ended, the oldest first."""
        self._told = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reporting = False
        self._quiet = asyncio.Event()
        self.closed = False

    @property
    def idle(self) -> bool:
        """Whether no call from here waits or runs."""
        return not self._transfers

    @property
    def any_open(self) -> bool:
        """Whether a replica is ready."""
        return any(remote.open for remote in self._router.targets)

    async def drained(self) -> None:
        """Wait until no call from here waits or runs."""
        while not self.idle:
            self._quiet.clear()
            await self._quiet.wait()

    def send(self, invocation: Invocation, reply: Reply) -> LocalTransfer:
        """Send an invocation, or hold it, or refuse it."""
        transfer = LocalTransfer(invocation, reply, self)
        self._transfers[transfer] = None
        refusal = self._refusal(transfer)
        if refusal is not None:
            self._loop.call_soon(transfer.finish, refusal)
        else:
            self._hand_out()
        return transfer

    def bound(self, smallest: int, largest: int) -> None:
        """The supervisor says how many replicas there may be."""
        self._router.bounds = Bounds(smallest, largest)
        self._moved()

    def coming(self, replica: str) -> None:
        """A replica is coming up."""
        self._coming.add(replica)
        self._failing = None
        self._moved()

    def opened(self, remote: Remote) -> None:
        """A replica is ready."""
        self._coming.discard(remote.name)
        self._failing = None
        self._remotes[remote.name] = remote
        self._router.targets.append(remote)
        self._moved()
        self._share_with(remote)

    def start_failed(self, replica: str, failing: Failing) -> None:
        """A replica did not come up: those who wait for one hear why."""
        self._coming.discard(replica)
        self._failing = failing
        self._fail_held(failing)
        self._moved()

    def retired(self, replica: str, *, stuck: bool) -> None:
        """Nothing more goes to a replica; what a stuck one has not begun goes elsewhere."""
        remote = self._remotes.get(replica)
        if remote is None:
            self._tell(Released(replica))
            return
        remote.retired = True
        if remote in self._router.targets:
            self._router.targets.remove(remote)
        if stuck:
            for transfer in reversed(list(self._transfers)):  # each that comes back becomes the first in line
                if transfer.remote is remote:
                    transfer.recall()
            self._loop.call_later(RECALL_SECONDS, self._give_up, remote)
        else:
            self._release(remote)
        self._moved()

    def gone(self, replica: str, why: str) -> None:
        """The process of a replica has ended."""
        self._coming.discard(replica)
        remote = self._remotes.pop(replica, None)
        if remote is not None:
            if remote in self._router.targets:
                self._router.targets.remove(remote)
            remote.gone(why)
        self._moved()

    def blocking(self, replica: str, where: str) -> None:
        """The event loop of a replica is blocked, or no longer."""
        if replica in self._remotes:
            self._remotes[replica].blocking(where)

    def fail_all(self, why: str) -> None:
        """Whoever watched the replicas is gone, and they with it."""
        for name in list(self._remotes):
            self.gone(name, why)
        self._coming.clear()

    def processes(self) -> list[int]:
        """The process groups of the replicas that are up."""
        return [remote.pid for remote in self._remotes.values() if remote.pid]

    def take_held(self) -> list[LocalTransfer]:
        """The calls that wait for room, in order; they are no longer this pool's."""
        held = self._router.take_all()
        for transfer in held:
            self._transfers.pop(transfer, None)
        if not self._transfers:
            self._quiet.set()
        return held

    def adopt(self, transfers: list[LocalTransfer]) -> None:
        """Hold calls of the pool before this one."""
        for transfer in transfers:
            transfer.pool = self
            self._transfers[transfer] = None
        self._router.put_back(transfers)
        self._moved()

    def close(self) -> None:
        """Refuse what waits and what comes, and end the links."""
        self.closed = True
        for transfer in self._router.take_all():
            transfer.finish(self._closed_outcome(transfer.chainlet))
        for remote in self._remotes.values():
            remote.close()
        if self._timer is not None:
            self._timer.cancel()

    def cancel_all(self) -> None:
        """Cancel what runs and refuse what waits."""
        for transfer in self._router.take_all():
            transfer.finish(self._closed_outcome(transfer.chainlet))
        for transfer in list(self._transfers):
            transfer.cancel_there()

    def settled(self, remote: Remote) -> None:
        """Calls in a replica have ended, or it is lost."""
        if remote.retired:
            self._release(remote)
        self._moved()

    # What its transfers say.

    def withdraw(self, transfer: LocalTransfer) -> None:
        """Forget a call that waits."""
        self._router.withdraw(transfer)
        self.ended(transfer, None)

    def again(self, transfer: LocalTransfer) -> None:
        """A replica did not take a call: it goes to another, or all have refused it."""
        if transfer.refusals <= 2 + len(self._router.targets):
            self._router.put_back([transfer])
            self._moved()
        else:
            transfer.finish(self._overloaded(transfer.chainlet))

    def ended(self, transfer: LocalTransfer, remote: Remote | None) -> None:
        """A call is over, as far as this process is concerned."""
        self._transfers.pop(transfer, None)
        if not self._transfers:
            self._quiet.set()
        if remote is not None and remote.retired:
            self._release(remote)
        if len(self._router.held):
            self._hand_out()

    def stuck(self, remote: Remote, why: str) -> None:
        """A replica does not even answer that a call's time is up."""
        if not remote.retired:
            self._tell(Stuck(remote.name, why))

    def later(self, seconds: float, look: Callable[[], None]) -> None:
        """Look at something after so many seconds."""
        self._loop.call_later(seconds, look)

    def _refusal(self, transfer: LocalTransfer) -> Failed | None:
        if self.closed:
            return self._closed_outcome(transfer.chainlet)
        if self._failing is not None and self._failing.stopped and not self.any_open:
            return Failed(FailureKind.SETUP, self._failing.failure)
        if not self._router.offer(transfer):
            return self._overloaded(transfer.chainlet)
        return None

    def _overloaded(self, chainlet: str) -> Failed:
        most = self.members[chainlet].options.max_queue
        text = f"{chainlet}: all replicas are busy and {most} calls wait already"
        return failed(FailureKind.OVERLOADED, Overloaded(text))

    def _closed_outcome(self, chainlet: str) -> Failed:
        return failed(FailureKind.NOT_DEPLOYED, NotDeployed(f"{chainlet}: the deployment is closed"))

    def _give_up(self, remote: Remote) -> None:
        """A stuck replica has had its time: what it has not begun counts no more, and is sent again."""
        remote.given_up = True
        self._release(remote)

    def _release(self, remote: Remote) -> None:
        """Say that nothing from here is unfinished in a retired replica, once that is so."""
        if not any(t.remote is remote and (t.accepted or not remote.given_up) for t in self._transfers):
            self._tell(Released(remote.name))

    def _share_with(self, newcomer: Remote) -> None:
        """Take back what waits in busy replicas, as far as a new one has room for it.

        Clients that found the same replica free at the same moment have sent it too much.
        """
        executes = {name: Room.of(member).executes for name, member in self.members.items()}
        room = dict(executes)
        for transfer in list(self._transfers):
            name, remote = transfer.chainlet, transfer.remote
            if remote is None or remote is newcomer or transfer.accepted or not room[name]:
                continue
            if remote.load(name) > executes[name]:
                room[name] -= 1
                transfer.recall()

    def _fail_held(self, failing: Failing) -> None:
        """Where no replica is left that could take them, say why to those that wait."""
        if not self.any_open:
            for transfer in self._router.take_all():
                transfer.finish(Failed(FailureKind.SETUP, failing.failure))

    def _moved(self) -> None:
        """Something has changed: hand out what has room now, and say what has none."""
        if self._failing is not None and self._failing.stopped:
            self._fail_held(self._failing)
        known = len(self._coming) + sum(1 for remote in self._router.targets if remote.open)
        can_come = self._failing is None and known < self._router.bounds.max
        self._router.may_grow = bool(self._coming) or can_come or not self._router.targets
        self._hand_out()

    def _hand_out(self) -> None:
        for transfer, remote in self._router.hand_out():
            transfer.assign(remote)
        if len(self._router.held) or self._told:
            self._watch()
            if not self._reporting:
                self._reporting = True
                self._loop.call_soon(self._report)

    def _report(self) -> None:
        self._reporting = False
        demand = self._router.held_demand()
        if math.ceil(demand) != self._told:
            self._told = math.ceil(demand)
            self._tell(Waiting(self.label, demand))

    def _watch(self) -> None:
        """While calls wait, look again and again: other processes leave room without saying so."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self._router.held) and self._router.targets:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._hand_out)

"""A chain on worker processes, as the process that started it holds it; lives on the portal's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fchains.calls.invocation import Invocation
from fchains.calls.runner import Chain, Channel, Deployment, Reply, Transfer
from fchains.calls.session import ChainSession
from fchains.config import Settings as Environment
from fchains.definition.spec import Definition
from fchains.errors import DeployError
from fchains_local.control import Gone, Hosted, Logged, Message, Noticed, Stopped
from fchains_local.gpus import Devices
from fchains_local.hosting import FakeHost
from fchains_local.life import Life
from fchains_local.logdisplay import Display
from fchains_local.logpipes import from_wire
from fchains_local.overseer import Overseer
from fchains_local.segments import SegmentPool
from fchains_local.shipment import pack
from fchains_local.spec import GroupSpec, Spec, group_spec, groups_of
from fchains_local.volumes import place

logger = logging.getLogger("fchains_local")

PAUSE_SECONDS = 0.5
"""Between the end of one supervisor and the start of the next, doubled each time it never got going."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the runner was asked for.

    Args:
        gpus: ids of the GPUs that may be used, None to look which there are.
        require_gpu: refuse chainlets that want a GPU where there is none.
        health_interval: seconds.
    """

    gpus: tuple[str, ...] | None
    require_gpu: bool
    health_interval: float


class LocalDeployment(Deployment):
    """Keeps a supervisor; when that dies its calls fail, and the next calls go to its successor."""

    def __init__(self, chain: Chain, settings: Settings, overseer: Overseer) -> None:
        self._chain = chain
        self._overseer = overseer
        self._settings = settings
        real = [d for name, d in chain.definitions.items() if name not in chain.fakes]
        self._groups: dict[str, Sequence[Definition]] = dict(groups_of(real))
        self._fakes = {name: chain.definitions[name] for name in chain.fakes if name in chain.definitions}
        self._groups.update({name: [definition] for name, definition in self._fakes.items()})
        self._segments = SegmentPool()
        self._display = Display(chain.log_sink)
        self._specs: tuple[GroupSpec, ...] = ()
        self._devices: tuple[str, ...] = ()
        self._shipment = b""
        self._hosts: list[FakeHost] = []
        self._life: Life
        self._stopped = asyncio.Event()
        self._closing = False
        self._deaths = 0
        """Supervisors that have died in a row; only under the first of them any replica became ready."""
        self._dead: Life | None = None
        """Whose supervisor has died, while nobody has taken over."""
        self._successor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check that everything can travel and has its place, then start the supervisor.

        Raises:
            DefinitionError: a function cannot travel to another process.
            DeployError: the machine has no room for its files or processes.
            FchainsError: a GPU, a volume or an environment variable cannot be had as it is asked for.
        """
        self._shipment = await asyncio.to_thread(pack, self._chain)
        devices = await asyncio.to_thread(
            Devices.find, self._settings.gpus, os.environ, self._chain.definitions.values()
        )
        real = [d for name, d in self._chain.definitions.items() if name not in self._fakes]
        devices.check(real, require=self._settings.require_gpu)
        self._devices = devices.ids
        self._specs = tuple(
            group_spec(
                label,
                members,
                hosted=label in self._fakes,
                devices=devices,
            )
            for label, members in self._groups.items()
        )
        root = Environment.from_env(os.environ).home
        for definition in self._chain.definitions.values():
            await asyncio.to_thread(place, definition.name, definition.options.volumes, root)
        await self._begin()

    def channel(self, chainlet: str) -> Channel:
        return _Channel(self, chainlet)

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        """Send an invocation to a replica."""
        return self._life.client.channel(invocation.chainlet).send(invocation, reply)

    async def aclose(self, *, drain: bool = True) -> None:
        if drain:
            while not self._life.client.idle:  # its successor takes over what waits when a supervisor dies
                await self._life.client.drained()
        else:
            for pool in self._life.client.pools.values():
                pool.cancel_all()
            patience = max((spec.grace for spec in self._specs), default=0.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._life.client.drained(), patience)
        await self._end(cancel=not drain)

    async def _end(self, *, cancel: bool) -> None:
        self._closing = True
        if self._successor is not None:
            self._successor.cancel()
            await asyncio.wait([self._successor])
        self._life.client.close()
        await self._life.stop(cancel=cancel, stopped=self._stopped)
        for host in self._hosts:
            await host.aclose()
        self._segments.close()
        await self._display.aclose()

    async def _begin(self) -> None:
        self._life = life = Life(self._overseer, self._groups, self._segments, self._heard, self._lost)
        try:
            await self._go(life)
        except BaseException as error:
            await self._end(cancel=True)
            if not isinstance(error, OSError):
                raise
            raise DeployError(f"{self._chain.name} cannot be started on this machine: {error}") from error

    async def _go(self, life: Life) -> None:
        spec = Spec(
            chain=self._chain.name,
            groups=self._specs,
            shipment=str(life.folder.file("shipment")),
            board=str(life.folder.file("board")),
            folder=str(life.folder.path),
            environment=dict(os.environ),
            working_directory=str(Path.cwd()),
            devices=self._devices,
            health_interval=self._settings.health_interval,
            parent=os.getpid(),
        )
        await life.start(self._shipment, spec)
        session = self._chain.nested or ChainSession(self._chain, lambda: self)
        for host in self._hosts:
            await host.aclose()
        self._hosts = []
        for name in self._fakes:  # one by one, so that all that are open are closed when the next fails
            fake = self._chain.fakes[name]
            self._hosts.append(await FakeHost.open(self._chain, fake, session, life.folder))
        for host in self._hosts:
            life.client.tell(Hosted(host.label, host.replica, host.address))

    def _heard(self, message: Message) -> None:
        match message:
            case Logged(fragments):
                self._display.show([from_wire(fragment) for fragment in fragments])
            case Noticed(level, text):
                logger.log(level, "%s", text)
            case Gone(replica):
                self._display.finish(replica)
            case Stopped():
                self._stopped.set()
            case _:
                logger.warning("the supervisor said %r, which is not for it to say", message)

    def _lost(self, life: Life) -> None:
        if self._closing or life is not self._life:
            self._stopped.set()
            return
        self._dead = life
        if self._successor is None:
            self._successor = asyncio.get_running_loop().create_task(self._succeed())

    async def _succeed(self) -> None:
        """The supervisor has died, and its replicas with it: another one takes over what waits."""
        while (dead := self._dead) is not None:
            self._dead = None
            why = await dead.how_it_ended()
            logger.error("the supervisor of %s %s; a new one is started", self._chain.name, why)
            try:
                await self._replace(dead, why)
            except Exception as error:
                logger.error("the new supervisor of %s cannot be started: %s", self._chain.name, error)
                await asyncio.sleep(PAUSE_SECONDS)
                self._dead = self._life
        self._successor = None

    async def _replace(self, dead: Life, why: str) -> None:
        _end_orphans(dead)
        self._life = life = Life(self._overseer, self._groups, self._segments, self._heard, self._lost)
        for label, pool in dead.client.pools.items():
            life.client.pools[label].adopt(pool.take_held())
            pool.fail_all(f"was lost: the supervisor {why}")
        await dead.aclose()
        self._deaths = 1 if dead.client.served else self._deaths + 1
        await asyncio.sleep(PAUSE_SECONDS * (2 ** min(self._deaths - 1, 6) - 1))
        await self._go(life)


class _Channel(Channel):
    """The way to a chainlet's replicas, whoever supervises them now."""

    def __init__(self, deployment: LocalDeployment, chainlet: str) -> None:
        self._deployment = deployment
        self._chainlet = chainlet

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        return self._deployment.send(invocation, reply)


def _end_orphans(dead: Life) -> None:
    """Where the kernel does not end workers with their supervisor, and for what they started."""
    for pid in dead.client.processes():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

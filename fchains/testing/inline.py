"""The inline runner: chains in this process, behind the same codec, limits, deadlines and errors.

Each replica has an event loop in a thread of its own, as it would have a process of its own; a
debugger works in user code. What it cannot do is kill code that ignores that it was told to stop:
such a replica gets a successor, and its thread is left to end by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping

from fchains.calls.invocation import Invocation
from fchains.calls.loglines import LogSink, LogView
from fchains.calls.runner import Chain, Channel, Deployment, Reply, Runner, Transfer
from fchains.calls.session import ChainSession
from fchains.definition.spec import Definition
from fchains.errors import NotSupported
from fchains.testing.inline_replicas import ReplicaSet
from fchains.worker.log_lines import LineAssembler
from fchains.worker.logs import Capture, Owner, current_owner

logger = logging.getLogger(__name__)


class InlineRunner(Runner):
    """Runs chains in this process; for tests, debuggers and notebooks.

    Args:
        health_interval: seconds between two looks at a replica whose chainlets have a health function.
    """

    name = "inline"

    def __init__(self, *, health_interval: float = 5.0) -> None:
        self._health_interval = health_interval

    async def start(self, chain: Chain) -> InlineDeployment:
        deployment = InlineDeployment(chain, self._health_interval)
        await deployment.start()
        return deployment


class InlineDeployment(Deployment):
    """A chain in this process; lives on the portal's loop."""

    def __init__(self, chain: Chain, health_interval: float) -> None:
        members: dict[str, list[Definition]] = {}
        self._sets: dict[str, ReplicaSet] = {}
        for name, definition in chain.definitions.items():
            serving = chain.fakes.get(name, definition)
            members.setdefault(serving.replica_group, []).append(serving)
        session = chain.nested or ChainSession(chain, lambda: self)
        for together in members.values():
            replicas = ReplicaSet(chain, together, session, self._flush, health_interval)
            self._sets.update({member.name: replicas for member in together})
        self._definitions = chain.definitions
        self._environment = _Environment(chain.definitions)
        self._logs = _Logs(chain.log_sink) if chain.log_sink is not None else None

    async def start(self) -> None:
        """Start the replicas that are to be there from the beginning."""
        self._environment.enter()
        if self._logs is not None:
            self._logs.begin()
        for replicas in set(self._sets.values()):
            replicas.scale()
        for definition in self._definitions.values():
            if definition.options.volumes:
                paths = ", ".join(definition.options.volumes)
                logger.warning(
                    "%s: the inline runner mounts no volumes; %s is what this machine has there",
                    definition.name,
                    paths,
                )

    def _flush(self, owner: Owner) -> None:
        """The call is over: the line that it began and did not end is a line all the same."""
        if self._logs is not None:
            self._logs.lines.finish(owner)

    def channel(self, chainlet: str) -> Channel:
        return InlineChannel(self._sets[chainlet])

    async def aclose(self, *, drain: bool = True) -> None:
        sets = set(self._sets.values())
        if drain:
            # A call may call any other chainlet: no replica goes before the last call has ended.
            while not all(replicas.idle for replicas in sets):
                for replicas in sets:
                    await replicas.drained()
        else:
            for replicas in sets:
                replicas.cancel_all()
            stopping = asyncio.gather(*(replicas.drained() for replicas in sets))
            with contextlib.suppress(TimeoutError):  # what does not stop is left behind
                await asyncio.wait_for(stopping, max(replicas.patience for replicas in sets))
        await asyncio.gather(*(replicas.aclose() for replicas in sets))
        if self._logs is not None:
            self._logs.end()
        self._environment.leave()


class InlineChannel(Channel):
    """The way to the replicas of one chainlet."""

    def __init__(self, replicas: ReplicaSet) -> None:
        self._replicas = replicas

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        return self._replicas.send(invocation, reply)


class _Logs:
    """What the calls of this process print and log, on its way to a sink."""

    def __init__(self, sink: LogSink) -> None:
        self.lines = LineAssembler(sink)
        self._capture = Capture(self.lines.feed, current_owner, pass_on=not isinstance(sink, LogView))

    def begin(self) -> None:
        self._capture.__enter__()

    def end(self) -> None:
        self._capture.__exit__()
        self.lines.finish_all()


class _Environment:
    """The `env` of all chainlets in this process's environment, put back at the end."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._wanted: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        owners: dict[str, str] = {}
        for definition in definitions.values():
            for key, value in definition.options.env.items():
                if self._wanted.setdefault(key, value) != value:
                    raise NotSupported(
                        f"{definition.name} and {owners[key]} want different values of the environment"
                        f" variable {key}, and share one process on the inline runner"
                    )
                owners[key] = definition.name

    def enter(self) -> None:
        for key, value in self._wanted.items():
            self._before[key] = os.environ.get(key)
            os.environ[key] = value

    def leave(self) -> None:
        for key, value in self._before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value

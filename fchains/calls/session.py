"""A runner in use: starts the chains that are called, and routes calls to their deployments."""

from __future__ import annotations

import abc
import asyncio
import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fchains.calls.context import PLACE
from fchains.calls.invocation import Failed, FailureKind
from fchains.calls.loglines import LogSink
from fchains.calls.portal import Portal, portal
from fchains.calls.runner import ALL_CAPABILITIES, Capability, Chain, Channel, Deployment, Runner
from fchains.calls.sources import StreamBuffer
from fchains.calls.unread import OpenStreams
from fchains.definition.checks import check_graph
from fchains.definition.graph import CallGraph
from fchains.definition.handle import definition_of
from fchains.definition.overrides import Overrides, current_overrides
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError, NotDeployed, NotSupported
from fchains.wire.failures import failure_of

logger = logging.getLogger(__name__)


class Route:
    """The way to one chainlet of a chain that is up or coming up."""

    def __init__(self, starting: Starting, chainlet: str) -> None:
        self._starting = starting
        self._chainlet = chainlet

    def open(self, then: Callable[[Channel], None], fail: Callable[[Failed], None]) -> None:
        """Give the channel, or the failure to start, on the portal's loop."""
        self._starting.when_up(lambda deployment: _open(deployment, self._chainlet, then, fail), fail)


class Session(abc.ABC):
    """Where calls go: the deployments of a runner, or the chain that a replica belongs to."""

    capabilities: frozenset[Capability] = ALL_CAPABILITIES

    @abc.abstractmethod
    def route(self, definition: Definition) -> Route:
        """The way to a chainlet; starts its chain if need be.

        Raises:
            DefinitionError: the chain is declared wrongly.
            NotDeployed: the running chain does not contain it.
        """

    def opened(self, stream: StreamBuffer[Any]) -> None:
        """Told of each stream that is opened through it."""
        return


class Starting:
    """A chain on its way up, then its deployment, or what it failed with."""

    def __init__(self, chain: Chain, runner: Runner, portal: Portal) -> None:
        self.chain = chain
        self._runner = runner
        self._portal = portal
        self._deployment: Deployment | None = None
        self._failed: Failed | None = None
        self._waiting: list[tuple[Callable[[Deployment], None], Callable[[Failed], None]]] = []
        self.task = portal.submit(self._start())

    def when_up(self, then: Callable[[Deployment], None], fail: Callable[[Failed], None]) -> None:
        """Call one of both, at once if it is settled; on the portal's loop."""
        if self._deployment is not None:
            then(self._deployment)
        elif self._failed is not None:
            fail(self._failed)
        else:
            self._waiting.append((then, fail))

    async def aclose(self, *, drain: bool) -> None:
        """End the deployment, also one that is still coming up; on the portal's loop."""
        await asyncio.wrap_future(self.task)
        if self._deployment is not None:
            await self._deployment.aclose(drain=drain)

    async def _start(self) -> None:
        try:
            self._deployment = await self._runner.start(self.chain)
        except Exception as error:
            logger.debug("%s did not start", self.chain.name, exc_info=True)
            self._failed = Failed(FailureKind.SETUP, failure_of(error))
        waiting, self._waiting = self._waiting, []
        for then, fail in waiting:
            self.when_up(then, fail)


class RunnerSession(Session):
    """The deployments of one runner, started when a chainlet of theirs is first called."""

    def __init__(
        self, runner: Runner, *, environment: str = "local", log_sink: LogSink | None = None
    ) -> None:
        self.runner = runner
        self.capabilities = runner.capabilities
        self._environment = environment
        self._log_sink = log_sink
        self._lock = threading.Lock()
        self._started: dict[Overrides, list[Starting]] = {}
        self._closed = False
        self._process = os.getpid()
        self._streams = OpenStreams()

    def opened(self, stream: StreamBuffer[Any]) -> None:
        self._streams.add(stream)

    def route(self, definition: Definition) -> Route:
        overrides = current_overrides()
        if not self.here:
            raise NotSupported(
                f"{definition.name}: this process was forked from the one that has the runner"
                f" {self.runner.name!r}; open one here: `with use_runner({self.runner.name!r}):`"
            )
        with self._lock:
            if self._closed:
                raise NotDeployed(f"{definition.name}: the runner {self.runner.name!r} has been closed")
            started = self._started.get(overrides, [])
            for starting in started:
                if starting.chain.definitions.get(definition.name) is definition:
                    return Route(starting, definition.name)
            starting = Starting(self._chain(definition, overrides), self.runner, portal())
            self._started.setdefault(overrides, []).append(starting)
            if overrides and not started:
                overrides.on_exit.append(lambda: self._end(overrides))
            return Route(starting, definition.name)

    @property
    def here(self) -> bool:
        """Whether its deployments belong to this process, and not to the one that this was forked from."""
        return self._process == os.getpid()

    def close(self, *, drain: bool = True) -> None:
        """End every deployment; from any thread but the portal's."""
        portal().submit(self.aclose(drain=drain)).result()

    async def aclose(self, *, drain: bool = True) -> None:
        """End every deployment, the newest first; on the portal's loop."""
        if not self.here:
            return
        with self._lock:
            self._closed = True
            started = [starting for group in self._started.values() for starting in group]
            self._started.clear()
        leaving = asyncio.get_running_loop().create_task(self._streams.cancel_unread())
        try:
            for starting in reversed(started):
                await starting.aclose(drain=drain)
        finally:
            leaving.cancel()
        await self.runner.aclose()

    def _end(self, overrides: Overrides) -> None:
        with self._lock:
            started = self._started.pop(overrides, [])

        async def end() -> None:
            for starting in reversed(started):
                await starting.aclose(drain=False)

        portal().submit(end()).result()

    def _chain(self, definition: Definition, overrides: Overrides) -> Chain:
        if overrides and Capability.OVERRIDES not in self.runner.capabilities:
            raise NotSupported(f'the runner {self.runner.name!r} cannot run fakes; use "inline"')
        graph = graph_around(definition)
        fakes = {original.name: fake for original, fake in overrides.fakes.items()}
        return Chain(
            name=definition.name,
            definitions=graph.definitions,
            version=_version(graph.definitions),
            environment=self._environment,
            resource_overrides=overrides.resources,
            fakes=fakes,
            log_sink=self._log_sink,
        )


def graph_around(definition: Definition) -> CallGraph:
    """The chain that a call of a chainlet starts: what it reaches, and its neighbours in the module.

    Neighbours are the chainlets that reach it, and those that share a group with one of the chain.
    So a script that calls first a step and then the chainlet above it gets one set of replicas of
    the step, not two. Mistakes in the neighbours are reported when those are called.

    Raises:
        DefinitionError: the chainlet, or something that it reaches, is declared wrongly.
    """
    graph = CallGraph.of([definition])
    problems = check_graph(graph)
    if problems:
        raise DefinitionError(problems=problems)
    wider = graph
    while True:
        roots = [*wider.roots, *_neighbours(wider)]
        if len(roots) == len(wider.roots):
            return graph if check_graph(wider) else wider
        wider = CallGraph.of(roots)


def _neighbours(graph: CallGraph) -> list[Definition]:
    inside = set(graph.definitions.values())
    groups = {definition.options.group for definition in inside} - {None}
    modules = {sys.modules.get(root.module) for root in graph.roots}
    found = [definition_of(value) for module in modules if module for value in list(vars(module).values())]
    return [
        other
        for other in dict.fromkeys(found)
        if other is not None
        and other not in inside
        and (other.options.group in groups or inside & set(CallGraph.of([other]).definitions.values()))
    ]


class ChainSession(Session):
    """The chain that a replica belongs to: its chainlets call those of the same chain."""

    def __init__(self, chain: Chain, deployment: Callable[[], Deployment]) -> None:
        self._chain = chain
        self._deployment = deployment

    def route(self, definition: Definition) -> Route:
        known = self._chain.definitions.get(definition.name)
        if known is None or known.function is not definition.function:
            place = PLACE.get()
            caller = place.where.chainlet if place else self._chain.name
            raise NotDeployed(
                f"{definition.name} is not part of the chain {self._chain.name!r}: no code that {caller}"
                f" reaches names it. Write @chainlet(calls=[{definition.name}]) on {caller}"
            )
        return _Up(self._deployment(), definition.name)


class _Up(Route):
    def __init__(self, deployment: Deployment, chainlet: str) -> None:
        self._deployment = deployment
        self._chainlet = chainlet

    def open(self, then: Callable[[Channel], None], fail: Callable[[Failed], None]) -> None:
        _open(self._deployment, self._chainlet, then, fail)


def _open(
    deployment: Deployment, chainlet: str, then: Callable[[Channel], None], fail: Callable[[Failed], None]
) -> None:
    try:
        channel = deployment.channel(chainlet)
    except Exception as error:  # of the runner: the call ends all the same, and others are not concerned
        fail(Failed(FailureKind.NOT_DEPLOYED, failure_of(error)))
    else:
        then(channel)


def _version(definitions: Mapping[str, Definition]) -> str:
    digest = hashlib.sha256()
    for name, definition in sorted(definitions.items()):
        code = definition.function.__code__
        digest.update(f"{name}:{definition.file}:{code.co_firstlineno}".encode())
        digest.update(code.co_code)
    return digest.hexdigest()[:12]

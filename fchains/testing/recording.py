"""A runner that notes every call on its way to another runner."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fchains.calls.invocation import Failed, Invocation, Outcome
from fchains.calls.opening import ResultOpener
from fchains.calls.runner import Chain, Channel, Deployment, Reply, Runner, Transfer
from fchains.calls.session import ChainSession
from fchains.definition.spec import Definition
from fchains.errors import InvalidArguments, SerializationError
from fchains.testing.inline import InlineRunner
from fchains.wire.payload import Payload


@dataclass(slots=True)
class RecordedCall:
    """One attempt of one call: what was passed, and what came of it.

    `arguments` is empty where they do not fit. `result` is there once it succeeded (for a stream, its
    items are in `items`), `error` once it
    failed; until then both are None and `done` is False.
    """

    chainlet: str
    arguments: Mapping[str, object]
    attempt: int
    caller: str | None
    done: bool = False
    result: Any = None
    error: BaseException | None = None
    items: list[Any] = field(default_factory=list[Any])


class RecordingRunner(Runner):
    """Passes calls on to another runner, and keeps them for a test to look at.

    Args:
        runner: where the calls run; a new `InlineRunner` when left out.
    """

    name = "recording"

    def __init__(self, runner: Runner | None = None) -> None:
        self.calls: list[RecordedCall] = []
        self._runner = runner or InlineRunner()
        self.capabilities = self._runner.capabilities

    def of(self, chainlet: str) -> list[RecordedCall]:
        """The calls of one chainlet, in the order they were sent."""
        return [call for call in self.calls if call.chainlet == chainlet]

    async def start(self, chain: Chain) -> Deployment:
        deployment = _RecordingDeployment(chain, self.calls)
        nested = ChainSession(chain, lambda: deployment)
        deployment.inner = await self._runner.start(replace(chain, nested=nested))
        return deployment

    async def aclose(self) -> None:
        await self._runner.aclose()


class _RecordingDeployment(Deployment):
    inner: Deployment

    def __init__(self, chain: Chain, calls: list[RecordedCall]) -> None:
        self._chain = chain
        self._calls = calls

    def channel(self, chainlet: str) -> Channel:
        return _RecordingChannel(self._chain.definitions[chainlet], self.inner.channel(chainlet), self._calls)

    async def aclose(self, *, drain: bool = True) -> None:
        await self.inner.aclose(drain=drain)


class _RecordingChannel(Channel):
    def __init__(self, definition: Definition, inner: Channel, calls: list[RecordedCall]) -> None:
        self._definition = definition
        self._inner = inner
        self._calls = calls

    def send(self, invocation: Invocation, reply: Reply) -> Transfer:
        arguments: Mapping[str, object] = {}
        with contextlib.suppress(InvalidArguments, SerializationError):  # for the replica to refuse
            arguments = self._definition.types.arguments.decode(invocation.arguments.detached())
        caller = invocation.path[-2] if len(invocation.path) > 1 else None
        call = RecordedCall(invocation.chainlet, arguments, invocation.attempt, caller)
        self._calls.append(call)
        opener, unary = ResultOpener(self._definition), self._definition.kind == "unary"
        return self._inner.send(invocation, _RecordingReply(call, reply, opener, unary=unary))


class _RecordingReply:
    def __init__(self, call: RecordedCall, inner: Reply, opener: ResultOpener, *, unary: bool) -> None:
        self._call = call
        self._inner = inner
        self._opener = opener
        self._unary = unary

    def accepted(self) -> None:
        self._inner.accepted()

    def item(self, payload: Payload) -> None:
        self._call.items.append(self._opener.value(payload.detached()))
        self._inner.item(payload)

    def consumed(self, stream: str, items: int, size: int) -> None:
        self._inner.consumed(stream, items, size)

    def finish(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            self._call.error = self._opener.error(outcome)
        elif self._unary:
            self._call.result = self._opener.value(outcome.payload.detached())
        self._call.done = True
        self._inner.finish(outcome)

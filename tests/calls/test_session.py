from __future__ import annotations

from concurrent.futures import Future

import pytest

from fchains import NotDeployed, chainlet
from fchains.calls.invocation import Failed, FailureKind
from fchains.calls.portal import portal
from fchains.calls.runner import Chain, Channel, Deployment, Runner
from fchains.calls.session import ChainSession, RunnerSession


@chainlet
def one(x: int) -> int:
    return x


@chainlet
def two(x: int) -> int:
    return one.remote(x).result()


@chainlet
def stranger(x: int) -> int:
    return x


class Broken(Deployment):
    """A deployment that has no channels."""

    def channel(self, chainlet: str) -> Channel:
        raise KeyError(chainlet)


class Noting(Runner):
    """Notes what it starts, and can fail."""

    name = "noting"

    def __init__(self, error: Exception | None = None) -> None:
        self.chains: list[Chain] = []
        self.closed = 0
        self._error = error

    async def start(self, chain: Chain) -> Deployment:
        self.chains.append(chain)
        if self._error is not None:
            raise self._error
        return Broken()

    async def aclose(self) -> None:
        self.closed += 1


def kind_of(call: object) -> FailureKind:
    assert isinstance(call, Failed)
    return call.kind


def opened(session: RunnerSession) -> Failed | Channel:
    result: Future[Failed | Channel] = Future()
    portal().post(session.route(one.definition).open, result.set_result, result.set_result)
    return result.result(10)


def test_chainlets_of_one_chain_share_a_deployment() -> None:
    runner = Noting()
    session = RunnerSession(runner)
    session.route(two.definition)
    session.route(one.definition)
    session.close()
    assert [set(chain.definitions) for chain in runner.chains] == [{"one", "two"}]
    assert runner.closed == 1


def test_a_runner_that_cannot_start_fails_each_call_and_closes_all_the_same() -> None:
    runner = Noting(OSError("no room"))
    session = RunnerSession(runner)
    assert kind_of(opened(session)) is FailureKind.SETUP
    assert kind_of(opened(session)) is FailureKind.SETUP
    session.close()
    assert runner.closed == 1


def test_a_deployment_that_gives_no_channel_fails_the_call() -> None:
    session = RunnerSession(Noting())
    assert kind_of(opened(session)) is FailureKind.NOT_DEPLOYED
    session.close()


def test_inside_a_chain_only_its_own_chainlets_are_reached() -> None:
    session = ChainSession(Chain("two", {"two": two.definition, "one": one.definition}, "1"), Broken)
    session.route(one.definition)
    with pytest.raises(NotDeployed, match=r"stranger is not part of the chain 'two'.*calls=\[stranger\]"):
        session.route(stranger.definition)

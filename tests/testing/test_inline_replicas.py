"""The end of inline deployments: what is accepted finishes, nothing waits for what never comes."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from fchains import InvalidArguments, NotDeployed, chainlet, setup, use, use_runner
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome
from fchains.calls.portal import portal
from fchains.calls.runner import Channel
from fchains.testing.recording import RecordingRunner
from fchains.wire.payload import Payload

go = threading.Event()
began = threading.Event()
stop = threading.Event()
stuck_setup = threading.Event()


@chainlet
def leaf(x: int) -> int:
    return x + 1


@chainlet
def parent(x: int) -> int:
    began.set()
    go.wait(10)
    return leaf.remote(x).result()


@chainlet(timeout=None, grace=0.0)
def deaf(x: int) -> int:
    began.set()
    while not stop.is_set():
        try:
            stop.wait(10)
        except Exception:
            continue
    return x


@setup
def never_there() -> int:
    began.set()
    stuck_setup.wait(10)
    return 1


@chainlet(replicas=1)
def needs_it(x: int, *, n: int = use(never_there)) -> int:
    return x + n


@pytest.fixture(autouse=True)
def fresh() -> None:
    for event in (go, began, stop, stuck_setup):
        event.clear()


class Answer:
    """A reply, which the test waits for."""

    def __init__(self) -> None:
        self.outcome: Future[Outcome] = Future()

    def accepted(self) -> None: ...

    def item(self, payload: Payload) -> None: ...

    def consumed(self, stream: str, items: int, size: int) -> None: ...

    def finish(self, outcome: Outcome) -> None:
        self.outcome.set_result(outcome)


def test_a_call_that_is_accepted_may_call_others_while_the_block_is_left() -> None:
    with use_runner("inline") as session:
        call = parent.remote(1)
        assert began.wait(10)
        # On the portal's loop and so after the end has begun; the chainlet called then has no replica yet.
        portal().loop.call_soon_threadsafe(portal().loop.call_later, 0.02, go.set)
        route = session.route(leaf.definition)
    assert call.result() == 2

    answer, sent = Answer(), Invocation("1", "1", "leaf", leaf.definition.types.arguments.encode({"x": 1}))

    def send(channel: Channel) -> None:
        channel.send(sent, answer)

    portal().post(route.open, send, answer.finish)
    refused = answer.outcome.result(10)
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.NOT_DEPLOYED


def test_code_that_does_not_stop_does_not_hold_up_a_block_left_by_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    block = use_runner("inline")
    block.__enter__()
    deaf.remote(1).forget()
    assert began.wait(10)
    error = KeyboardInterrupt()
    block.__exit__(type(error), error, None)
    stop.set()
    assert "its thread is left behind" in caplog.text


def test_a_setup_that_nobody_waits_for_does_not_hold_up_the_end() -> None:
    with use_runner("inline"):
        call = needs_it.remote(1)
        assert began.wait(10)
        call.cancel()
    stuck_setup.set()
    assert call.done()


def test_a_closed_runner_is_named_to_who_calls_through_it() -> None:
    with use_runner("inline") as session:
        pass
    with pytest.raises(NotDeployed, match="'inline' has been closed"):
        session.route(leaf.definition)


def test_a_recorded_call_with_bad_arguments_fails_as_one_that_is_not_recorded() -> None:
    runner = RecordingRunner()
    with use_runner(runner), pytest.raises(InvalidArguments, match="valid integer"):
        leaf.remote("x").result(10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert runner.calls[0].done
    assert runner.calls[0].error is not None

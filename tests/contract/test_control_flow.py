"""User code that raises what machinery uses for itself, or is stopped at an unlucky moment."""

from __future__ import annotations

import asyncio
import queue
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fchains import (
    CallCancelled,
    CallTimeout,
    Chainlet,
    RemoteError,
    StreamChainlet,
    batched,
    chainlet,
    gather,
    setup,
    use,
)
from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.calls.runner import Chain
from fchains.calls.session import ChainSession
from fchains.definition.spec import Definition
from fchains.wire.payload import Payload
from fchains.worker.replica import Admitted, Replica

KINDS: dict[str, tuple[BaseException, type[BaseException]]] = {
    "timeout": (TimeoutError("mine"), TimeoutError),
    "empty": (queue.Empty("mine"), queue.Empty),
    "call timeout": (CallTimeout("mine"), CallTimeout),
    "call cancelled": (CallCancelled("mine"), CallCancelled),
    "cancelled": (asyncio.CancelledError("mine"), RemoteError),
    "stop": (StopIteration("mine"), RemoteError),
    "async stop": (StopAsyncIteration("mine"), RemoteError),
    "exit": (SystemExit("mine"), RemoteError),
    "interrupt": (KeyboardInterrupt("mine"), RemoteError),
    "generator exit": (GeneratorExit("mine"), RemoteError),
}

EXPECTED = (RemoteError, RuntimeError, *(error for _, error in KINDS.values()))


@chainlet(replicas=1)
def sync_function(kind: str) -> int:
    raise KINDS[kind][0]


@chainlet(replicas=1)
async def async_function(kind: str) -> int:
    raise KINDS[kind][0]


@chainlet(replicas=1)
def sync_generator(kind: str) -> Iterator[int]:
    yield 1
    raise KINDS[kind][0]


@chainlet(replicas=1)
async def async_generator(kind: str) -> AsyncIterator[int]:
    yield 1
    raise KINDS[kind][0]


@chainlet
async def parent(kind: str) -> int:
    return await async_function.remote(kind)


@chainlet(replicas=1)
async def waits() -> None:
    await asyncio.Event().wait()


@chainlet(replicas=1)
@batched(max_size=2, max_wait=0)
async def waits_in_a_batch(items: list[int]) -> list[int]:
    await asyncio.Event().wait()
    return items


@setup
def exits() -> int:
    sys.exit(3)


@chainlet
def with_a_setup_that_exits(*, value: int = use(exits)) -> int:
    return value


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


def check(kind: str, error: BaseException) -> None:
    raised, arrives_as = KINDS[kind]
    text = "".join(traceback.format_exception(error))
    if isinstance(error, RuntimeError):  # what Python makes of the two in coroutines and generators
        assert type(raised).__name__ in text
        return
    assert type(error) is arrives_as
    assert "mine" in text
    if isinstance(error, RemoteError):
        assert error.type_name.endswith(f":{type(raised).__qualname__}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", [sync_function, async_function, parent])
async def test_what_a_function_raises_is_its_failure_and_the_replica_goes_on(
    function: Chainlet[..., Any, ..., Any], kind: str
) -> None:
    for _ in range(2):  # the same replica again
        call = function.remote(kind)
        with pytest.raises(EXPECTED) as caught:
            await call
        check(kind, caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("generator", [sync_generator, async_generator])
async def test_what_a_generator_raises_comes_after_its_items_and_the_replica_goes_on(
    generator: StreamChainlet[..., Any, ..., Any], kind: str
) -> None:
    for _ in range(2):
        stream = generator.remote(kind)
        assert await anext(stream) == 1
        with pytest.raises(EXPECTED) as caught:
            await anext(stream)
        check(kind, caught.value)


async def test_a_child_that_was_cancelled_elsewhere_does_not_look_like_ones_own_cancellation() -> None:
    call = waits.remote()
    call.cancel()
    with pytest.raises(CallCancelled) as caught:
        await call
    assert not isinstance(caught.value, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_setup_that_exits_fails_its_calls_and_nothing_else() -> None:
    calls = [with_a_setup_that_exits.remote() for _ in range(2)]
    for call in calls:
        with pytest.raises(Exception, match="SystemExit"):
            await call
    with pytest.raises(TimeoutError):
        await sync_function.remote("timeout")


async def test_failures_at_the_same_time_do_not_mix() -> None:
    calls = [sync_function.remote("timeout"), async_function.remote("empty"), parent.remote("call timeout")]
    errors = [await_error(call) for call in calls]
    assert [type(error) for error in await asyncio.gather(*errors)] == [
        TimeoutError,
        queue.Empty,
        CallTimeout,
    ]
    with pytest.raises(TimeoutError):
        await gather(*calls)


async def await_error(call: Any) -> BaseException:
    with pytest.raises(Exception, match="mine") as caught:
        await call
    return caught.value


class Hears:
    """A reply, and a replica's events."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.over = asyncio.Event()

    def accepted(self) -> None: ...

    def item(self, payload: Payload) -> None: ...

    def consumed(self, stream: str, items: int, size: int) -> None: ...

    def finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def ended(self, chainlet: str, call: str) -> None:
        self.over.set()

    def blocking(self, where: str) -> None: ...

    def stuck(self, why: str) -> None: ...


@pytest.mark.parametrize("target", [waits, waits_in_a_batch])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_code_that_is_cancelled_before_its_first_step_gives_its_slot_back(
    target: Any, turns: int
) -> None:
    definition: Definition = target.definition
    chain = Chain("chain", {definition.name: definition}, "1")
    session = ChainSession(chain, lambda: pytest.fail("it calls nothing"))
    hears = Hears()
    replica = Replica(chain, [definition], "one", session, hears)
    await replica.start()
    arguments = definition.types.arguments.encode({"items": 1} if definition.batch else {})
    admitted: list[Admitted] = []
    for number in range(definition.slots + 1):
        hears.over.clear()
        admitted.append(replica.submit(Invocation(f"{number}", "chain", definition.name, arguments), hears))
        for _ in range(turns):
            await asyncio.sleep(0)
        admitted[-1].cancel()
        async with asyncio.timeout(20):
            await hears.over.wait()
    outcomes = [outcome.kind for outcome in hears.outcomes if isinstance(outcome, Failed)]
    assert outcomes == [FailureKind.CANCELLED] * len(admitted)
    assert not any(isinstance(outcome, Success) for outcome in hears.outcomes)
    for _ in range(5):
        await asyncio.sleep(0)
    slots = replica._batches[definition.name].slots if definition.batch else replica._slots[definition.name]  # pyright: ignore[reportPrivateUsage]
    assert slots.used == 0
    await replica.aclose()

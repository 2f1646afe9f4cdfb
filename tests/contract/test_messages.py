"""What a user is told at the first mistake: where it is, and what to write instead."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from fchains import (
    CallTimeout,
    DefinitionError,
    FchainsError,
    Job,
    NotSupported,
    RunnerNotFound,
    SerializationError,
    chainlet,
    setup,
    use,
    use_runner,
)
from fchains.testing.contract import chainlets as c


class Model:
    def __init__(self, size: str) -> None:
        self.size = size


kept: list[weakref.ref[Model]] = []


@setup
def empty_message() -> Model:
    raise ValueError


@chainlet
def needs_it(*, model: Model = use(empty_message)) -> str:
    return model.size


@chainlet
def fails_with_something_large() -> None:
    large = Model("80 GB")
    kept.append(weakref.ref(large))
    raise LookupError("and it is let go")


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


async def test_a_call_in_place_of_its_result_is_named() -> None:
    call = c.add.remote(1)
    with pytest.raises(SerializationError, match=r"argument `a`.*[Cc]all"):
        c.add.remote(cast("int", call))
    assert await call == 2


async def test_a_stream_goes_where_a_stream_is_taken() -> None:
    assert await c.total.remote(c.count.remote(50)) == sum(range(50))
    assert await c.running_total.remote(c.running_total.remote(c.count.remote(4))) == [0, 1, 4, 10]


async def test_a_value_where_a_stream_is_taken_is_refused_at_the_call() -> None:
    with pytest.raises(TypeError, match="`numbers` is a stream: pass an async iterator"):
        c.total.remote(cast("AsyncIterator[int]", 3))


async def test_a_setup_that_fails_without_a_message_is_still_named_with_its_line() -> None:
    with pytest.raises(
        FchainsError, match=r"empty_message \(.*test_messages\.py:\d+\) failed: ValueError\(\)"
    ):
        await needs_it.remote()


async def test_durable_jobs_are_refused_and_not_silently_none() -> None:
    for start in (lambda: c.add.spawn(1), lambda: c.add.spawn_map([1]), lambda: Job.from_id("1")):
        with pytest.raises(NotSupported, match="job store"):
            start()


def test_an_unknown_runner_is_named_with_those_there_are() -> None:
    with pytest.raises(RunnerNotFound, match="inline"):
        use_runner("inlin")


async def test_the_number_of_a_wrong_limit_is_in_the_message() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        c.add.map([1], max_in_flight=0)
    with pytest.raises(TypeError, match=r"add\.map\(\) takes an iterable"):
        c.add.map(cast("list[int]", 3))


@pytest.mark.parametrize("options", [{"timeout": -5}, {"retries": -1}, {"timeout": "5s"}])
def test_options_of_a_call_are_checked_where_they_are_written(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"test_messages\.py:\d+"):
        c.add.options(**options)


async def test_one_except_clause_catches_every_timeout() -> None:
    with pytest.raises(TimeoutError) as caught:
        await c.too_slow.options(timeout=0.01).remote()
    assert isinstance(caught.value, CallTimeout)
    assert isinstance(caught.value, FchainsError)
    assert "too_slow" in str(caught.value)
    assert "0.01 s" in str(caught.value)


async def test_an_exception_keeps_no_local_variable_alive() -> None:
    with pytest.raises(LookupError, match="let go") as caught:
        await fails_with_something_large.remote()
    with pytest.raises(LookupError):
        await fails_with_something_large.remote()
    gc.collect()
    assert kept[0]() is None
    assert str(caught.value) == "and it is let go"


async def test_functions_that_were_made_without_a_file_work() -> None:
    names: dict[str, Any] = {"__name__": "made_by_exec"}
    exec("from fchains import chainlet\n@chainlet\ndef twice(x: int) -> int:\n    return 2 * x\n", names)
    assert await names["twice"].remote(2) == 4


async def test_a_module_may_be_executed_again() -> None:
    source = "from fchains import chainlet\n@chainlet\ndef same_name(x: int) -> int:\n    return x + {n}\n"
    for number in range(3):
        names: dict[str, Any] = {"__name__": "reloaded"}
        exec(source.format(n=number), names)
        assert await names["same_name"].remote(1) == 1 + number

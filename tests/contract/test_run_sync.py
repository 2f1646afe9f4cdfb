"""`run_sync` and `for` in sync code, where others' bridges deadlock or cannot be stopped."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from fchains import CallTimeout, FchainsError, chainlet, run_sync
from tests.contract.gate import Gate

first: contextvars.ContextVar[str] = contextvars.ContextVar("first", default="unset")
second: contextvars.ContextVar[str] = contextvars.ContextVar("second", default="unset")


@chainlet
async def shout(text: str) -> str:
    return text.upper()


@chainlet
async def words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


@chainlet(replicas=1, concurrency=1)
def sum_to(n: int) -> int:
    """Waits for itself through `run_sync`, in its only slot."""
    return n if n == 0 else n + run_sync(sum_to.remote(n - 1))


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


def read_both() -> tuple[str, str]:
    return first.get(), second.get()


def test_a_coroutine_and_a_call_are_run_with_the_callers_context_variables() -> None:
    async def read() -> tuple[str, str]:
        return read_both()

    first.set("one")
    second.set("two")
    assert run_sync(read()) == ("one", "two")
    assert run_sync(shout.remote("hi")) == "HI"


async def test_inside_an_event_loop_it_is_refused_at_once_and_names_await() -> None:
    ran = False

    async def work() -> None:
        nonlocal ran
        ran = True

    with pytest.raises(FchainsError, match=r"run_sync\(\) would block the running event loop: use `await`"):
        run_sync(work())
    assert not ran


async def test_reading_streams_with_for_inside_an_event_loop_is_refused_with_the_line_to_write() -> None:
    # Two streams, because a stream that is there already must not work by luck.
    for stream in (words.remote("a b"), shout.map(["a", "b"])):
        with pytest.raises(FchainsError, match=r"write:\s+async for _ in stream:"):
            for _ in stream:
                pass
        stream.cancel()


def test_a_timeout_cancels_the_coroutine() -> None:
    cancelled = Gate()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.open()
            raise

    with pytest.raises(CallTimeout, match=r"run_sync\(\) waited for 0\.1 s"):
        run_sync(work(), timeout=0.1)
    cancelled.pass_blocking()
    with pytest.raises(CallTimeout):  # nor is a coroutine forgotten that could not even begin
        run_sync(work(), timeout=0)


def test_what_a_coroutine_raises_is_raised_also_what_looks_like_control_flow() -> None:
    class Stop(BaseException):
        pass

    async def fail(error: BaseException) -> None:
        raise error

    for error in (ValueError("mine"), TimeoutError("mine"), Stop("mine"), SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            run_sync(fail(error), timeout=20)
        assert not isinstance(caught.value, CallTimeout)
    with pytest.raises(RuntimeError, match="StopIteration"):
        run_sync(fail(StopIteration(1)))
    assert run_sync(shout.remote("alive")) == "ALIVE"


def test_a_coroutine_that_was_cancelled_says_so_and_does_not_hang() -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_sync(cancel_itself(), timeout=20)


def test_a_coroutine_that_blocks_does_not_hold_up_the_calls_of_other_threads() -> None:
    began = Gate()
    answers: list[str] = []

    async def block_until_answered() -> str:
        began.open()
        other.join(timeout=20)
        return answers[0]

    def call() -> None:
        began.pass_blocking()
        answers.append(shout.remote("meanwhile").result())

    other = threading.Thread(target=call)
    other.start()
    assert run_sync(block_until_answered()) == "MEANWHILE"


def test_iterators_of_sync_callers_that_block_do_not_hold_up_the_calls_they_wait_for() -> None:
    async def answers() -> AsyncIterator[str]:
        for text in ("a", "b"):
            thread = threading.Thread(target=say, args=(text,))
            thread.start()
            thread.join(timeout=20)
            yield said[-1]

    def say(text: str) -> None:
        said.append(shout.remote(text).result())

    said: list[str] = []
    assert list(shout.map(answers())) == ["A", "B"]


def test_a_chainlet_waits_for_itself_with_run_sync_in_one_slot() -> None:
    assert sum_to.remote(5).result() == 15


def test_leaving_a_wait_with_ctrl_c_cancels_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def interrupted(*_: object) -> None:
        began.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_sync(work())
    assert cancelled.wait(20)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which IPython runs."""
    import sys
    from types import ModuleType

    module = ModuleType("IPython")
    module.get_ipython = object  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "IPython", module)
    return iter([None])


@pytest.mark.usefixtures("notebook")
async def test_in_a_notebook_waiting_works_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="blocks the notebook"):
        assert run_sync(shout.remote("hi")) == "HI"
    call = shout.remote("ho")
    with pytest.warns(UserWarning, match="blocks the notebook"):
        assert call.result() == "HO"

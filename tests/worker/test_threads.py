from __future__ import annotations

import gc
import queue
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar, copy_context
from functools import partial
from types import FrameType
from typing import Any

import pytest

from fchains.errors import CallCancelled
from fchains.worker import threads
from fchains.worker.threads import Raised, Result, Returned, Running, ThreadPool

LIMIT = 10.0  # seconds after which a test that waits for a thread fails

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Outcomes:
    """Receives outcomes and hands them to the test."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Result[Any]] = queue.SimpleQueue()

    def __call__(self, result: Result[Any]) -> None:
        self._queue.put(result)

    def next(self) -> Result[Any]:
        return self._queue.get(timeout=LIMIT)

    def value(self) -> Any:
        result = self.next()
        assert isinstance(result, Returned), result
        return result.value

    def error(self) -> BaseException:
        result = self.next()
        assert isinstance(result, Raised), result
        return result.error

    def empty(self) -> bool:
        return self._queue.empty()


class Spinning:
    """User code that runs until interrupted, at a bytecode and not in a blocking call."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        while True:
            pass


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool("work")
    yield pool
    pool.close()


@pytest.fixture
def done() -> Outcomes:
    return Outcomes()


@pytest.fixture
def short_turns() -> Iterator[None]:
    """Threads take turns so often that races do happen."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def join(thread: threading.Thread) -> None:
    thread.join(LIMIT)
    assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    """Spins until something that another thread is about to do is done."""
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0)


def idle_threads(pool: ThreadPool) -> list[threading.Thread]:
    return list(vars(pool)["_idle"])


def until_idle(pool: ThreadPool, threads: int = 1) -> list[threading.Thread]:
    until(lambda: len(idle_threads(pool)) == threads)
    return idle_threads(pool)


def test_a_function_runs_on_a_daemon_thread_of_its_chainlet(pool: ThreadPool, done: Outcomes) -> None:
    running = pool.run(threading.current_thread, done)
    thread = done.value()
    assert thread.name == "fchains-work-1"
    assert thread.daemon
    assert thread.ident == running.thread_id != threading.get_ident()
    assert running.finished


def test_the_given_context_is_entered_and_keeps_what_the_function_sets(
    pool: ThreadPool, done: Outcomes
) -> None:
    context = copy_context()
    context.run(variable.set, "given")

    def function() -> str:
        before = variable.get()
        variable.set("set inside")
        return before

    pool.run(function, done, context=context)
    assert done.value() == "given"
    assert context[variable] == "set inside"
    pool.run(variable.get, done)
    assert done.value() == "unset"


@pytest.mark.parametrize(
    "error", [ValueError, StopIteration, StopAsyncIteration, GeneratorExit, SystemExit, KeyboardInterrupt]
)
def test_whatever_is_raised_is_the_outcome_and_the_thread_lives(
    pool: ThreadPool, done: Outcomes, error: type[BaseException]
) -> None:
    def function() -> None:
        raise error("mine")

    pool.run(function, done)
    raised = done.error()
    assert (type(raised), raised.args) == (error, ("mine",))
    [thread] = until_idle(pool)
    assert thread.is_alive()


def test_threads_are_reused_last_in_first_out(pool: ThreadPool, done: Outcomes) -> None:
    gates = [threading.Event(), threading.Event()]
    running = [pool.run(partial(gate.wait, LIMIT), done) for gate in gates]
    for count, gate in enumerate(gates, 1):
        gate.set()
        assert done.value()
        until_idle(pool, count)
    assert running[0].thread_id != running[1].thread_id
    for _ in range(3):
        assert pool.run(int, done).thread_id == running[1].thread_id
        assert done.value() == 0
        until_idle(pool, 2)


def test_an_idle_thread_ends_after_a_while_and_the_next_call_gets_a_new_one(done: Outcomes) -> None:
    pool = ThreadPool("work", idle_seconds=0.005)
    pool.run(threading.current_thread, done)
    join(done.value())
    assert idle_threads(pool) == []
    pool.run(threading.current_thread, done)
    assert done.value().name == "fchains-work-2"


def test_closing_ends_idle_threads_at_once_and_busy_ones_after_their_work(
    pool: ThreadPool, done: Outcomes
) -> None:
    pool.run(threading.current_thread, done)
    done.value()
    [idle] = until_idle(pool)
    gate = threading.Event()
    busy = pool.run(partial(gate.wait, LIMIT), done)  # on the idle one
    pool.close()
    with pytest.raises(RuntimeError, match="'work' are closed"):
        pool.run(int, done)
    gate.set()
    assert done.value() is True
    assert busy.finished
    join(idle)


def test_a_receiver_that_fails_is_logged_and_harms_nothing(
    pool: ThreadPool, done: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    def receiver(_: Result[int]) -> None:
        raise ValueError("receiver")

    pool.run(int, receiver)
    [thread] = until_idle(pool)
    assert "its receiver failed" in caplog.text
    assert pool.run(int, done).thread_id == thread.ident
    assert done.value() == 0


def test_nothing_of_a_call_is_kept_alive_by_an_idle_thread(pool: ThreadPool) -> None:
    class Thing:
        pass

    class Failure(Exception):
        pass

    alive: list[weakref.ref[Any]] = []

    def receiver(result: Result[Any]) -> None:
        alive.append(weakref.ref(result.value if isinstance(result, Returned) else result.error))

    def fail(argument: Thing) -> None:
        raise Failure

    argument = Thing()
    alive.append(weakref.ref(argument))
    functions: list[Callable[[], Any]] = [partial(fail, argument), Thing]
    del argument
    gc.disable()
    try:
        while functions:
            pool.run(functions.pop(), receiver)
            until_idle(pool)
            until(lambda: not any(reference() for reference in alive[bool(functions) :]))
    finally:
        gc.enable()
    assert len(alive) == 3


def test_an_interrupt_is_raised_in_the_running_code(pool: ThreadPool, done: Outcomes) -> None:
    spinning = Spinning()
    running = pool.run(spinning, done)
    assert spinning.begun.wait(LIMIT)
    assert not running.finished
    assert running.interrupt(CallCancelled)
    assert isinstance(done.error(), CallCancelled)
    assert running.finished
    assert not running.interrupt(CallCancelled)


def test_an_interrupt_before_the_code_begins_keeps_it_from_running(pool: ThreadPool, done: Outcomes) -> None:
    gate = threading.Event()
    ran: list[int] = []

    def endless() -> Iterator[int]:
        gate.wait(LIMIT)
        yield 1

    iteration = pool.iterate(endless)
    iteration.pull(1, ran.append, done)
    second = iteration.pull(1, ran.append, done)  # waits for the first
    assert second.interrupt(CallCancelled)
    gate.set()
    assert done.value() is True
    assert isinstance(done.error(), CallCancelled)
    iteration.close(done)
    assert done.value() is None
    assert ran == [1]


def test_code_that_catches_an_interrupt_goes_on_and_can_be_interrupted_again(
    pool: ThreadPool, done: Outcomes
) -> None:
    caught = threading.Event()
    spinning = Spinning()

    def stubborn() -> None:
        try:
            spinning()
        except CallCancelled:
            caught.set()
        spinning()

    running = pool.run(stubborn, done)
    assert spinning.begun.wait(LIMIT)
    running.interrupt(CallCancelled)
    assert caught.wait(LIMIT)
    assert done.empty()
    running.interrupt(TimeoutError)
    assert isinstance(done.error(), TimeoutError)


def test_code_that_swallows_an_interrupt_may_still_return(pool: ThreadPool, done: Outcomes) -> None:
    spinning = Spinning()

    def careless() -> str:
        try:
            spinning()
        except BaseException:
            return "went on"
        return "never"

    running = pool.run(careless, done)
    assert spinning.begun.wait(LIMIT)
    running.interrupt(CallCancelled)
    assert done.value() == "went on"


def test_an_interrupt_in_a_finally_replaces_the_exception_on_its_way(
    pool: ThreadPool, done: Outcomes
) -> None:
    spinning = Spinning()

    def function() -> None:
        try:
            raise ValueError("first")
        finally:
            spinning()

    running = pool.run(function, done)
    assert spinning.begun.wait(LIMIT)
    running.interrupt(CallCancelled)
    error = done.error()
    assert isinstance(error, CallCancelled)
    assert isinstance(error.__context__, ValueError)


def test_code_blocked_in_c_is_interrupted_when_that_returns(pool: ThreadPool, done: Outcomes) -> None:
    blocked, begun = threading.Lock(), threading.Event()
    after: list[str] = []

    def function() -> None:
        begun.set()
        blocked.acquire()
        after.append("the line after")

    blocked.acquire()
    running = pool.run(function, done)
    assert begun.wait(LIMIT)
    assert running.interrupt(CallCancelled)
    assert not running.finished
    assert done.empty()
    blocked.release()
    assert isinstance(done.error(), CallCancelled)
    assert after == []


def test_code_may_interrupt_itself(pool: ThreadPool, done: Outcomes) -> None:
    handed: queue.SimpleQueue[Running] = queue.SimpleQueue()

    def function() -> str:
        handed.get(timeout=LIMIT).interrupt(CallCancelled)
        return "not reached"

    handed.put(pool.run(function, done))
    assert isinstance(done.error(), CallCancelled)


@pytest.mark.slow
@pytest.mark.usefixtures("short_turns")
def test_an_interrupt_that_races_with_the_return_never_harms_what_comes_after(
    pool: ThreadPool, done: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(0)
    interrupted = returned = 0

    def work(begun: list[bool], turns: int) -> int:
        begun.append(True)
        for _ in range(turns):
            pass
        return turns

    for number in range(2000):
        begun: list[bool] = []
        turns = chance.randrange(200)
        running = pool.run(partial(work, begun, turns), done)
        while number % 4 and not begun and not running.finished:
            pass
        for _ in range(1 + number % 2):  # every other time twice in a row
            running.interrupt(CallCancelled)
        result = done.next()
        if isinstance(result, Raised):
            assert isinstance(result.error, CallCancelled)
            interrupted += 1
        else:
            assert result.value == turns
            returned += 1
    assert done.empty()
    assert caplog.text == ""
    assert interrupted
    assert returned
    for thread in until_idle(
        pool, sum(each.name.startswith("fchains-work-") for each in threading.enumerate())
    ):
        assert thread.is_alive()


class Strikes:
    """User code that is interrupted at chosen instructions of the pool's code after its own end."""

    def __init__(self, *instructions: int) -> None:
        self.instructions = instructions
        self.passed = 0
        self.running: queue.SimpleQueue[Running] = queue.SimpleQueue()
        self._target: Running | None = None

    def __call__(self) -> str:
        self._target = self.running.get(timeout=LIMIT)
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        while frame.f_code.co_name != "run":
            frame.f_trace = self.trace
            frame.f_trace_opcodes = True
            assert frame.f_back is not None
            frame = frame.f_back
        sys.settrace(self.trace)
        return "returned"

    def trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != threads.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.passed += 1
            if self.passed in self.instructions and self._target is not None:
                self._target.interrupt(CallCancelled)
        return self.trace


def strike(*instructions: int) -> int:
    """Interrupts at instructions after the user's code and checks that nothing is lost, doubled or harmed."""
    pool, done = ThreadPool("work"), Outcomes()
    strikes = Strikes(*instructions)
    running = pool.run(strikes, done)
    strikes.running.put(running)
    result = done.next()
    if isinstance(result, Raised):
        assert isinstance(result.error, CallCancelled)
    else:
        assert result.value == "returned"
    pool.run(partial(sys.settrace, None), done)  # on the same thread or another: both must work
    assert done.value() is None
    pool.run(partial(sum, range(1000)), done)
    assert done.value() == 499500
    assert done.empty()
    pool.close()
    return strikes.passed


def test_an_interrupt_at_any_instruction_after_the_end_of_the_code_is_harmless() -> None:
    count = strike()
    assert count > 50
    for instruction in range(1, count + 1):
        strike(instruction)


class StruckLock:
    """Raises at chosen ones of the moments before it is taken and after it is given back."""

    def __init__(self, moments: tuple[int, ...]) -> None:
        self.moments = moments
        self.passed = 0
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._pass()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        self._pass()

    def _pass(self) -> None:
        self.passed += 1
        if self.passed in self.moments:
            raise CallCancelled


@pytest.mark.parametrize("moments", [(1,), (2,), (1, 2), (1, 3), (2, 3), (2, 4)])
def test_the_gate_is_shut_even_when_interrupts_strike_while_it_is_being_shut(
    pool: ThreadPool, done: Outcomes, moments: tuple[int, ...]
) -> None:
    handed: queue.SimpleQueue[Running] = queue.SimpleQueue()

    def function() -> str:
        vars(handed.get(timeout=LIMIT))["_lock"] = StruckLock(moments)
        return "returned"

    running = pool.run(function, done)
    handed.put(running)
    result = done.next()
    assert result == Returned("returned") or isinstance(result, Raised)
    assert running.finished
    assert not vars(running)["_inside"]
    [thread] = until_idle(pool)
    assert thread.is_alive()
    assert done.empty()


class Numbers:
    """A generator function that keeps track of where its code runs."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.threads: set[int] = set()
        self.closed = threading.Event()

    def __call__(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                self.threads.add(threading.get_ident())
                yield number
        finally:
            self.threads.add(threading.get_ident())
            self.closed.set()


def test_an_iterator_is_made_advanced_and_closed_on_one_thread(pool: ThreadPool, done: Outcomes) -> None:
    numbers = Numbers(10)
    items: list[int] = []
    iteration = pool.iterate(numbers)
    assert numbers.threads == set()
    for limit in (1, 2, 3):
        running = iteration.pull(limit, items.append, done)
        assert done.value() is True
        pool.run(threading.get_ident, done)  # others do not get its thread
        assert done.value() != running.thread_id
    iteration.close(done)
    assert done.value() is None
    assert items == [0, 1, 2, 3, 4, 5]
    assert numbers.closed.is_set()
    assert numbers.threads == {running.thread_id}
    until_idle(pool, 2)


def test_the_end_of_an_iterator_is_told_after_its_last_item(pool: ThreadPool, done: Outcomes) -> None:
    items: list[int] = []
    iteration = pool.iterate(Numbers(2))
    iteration.pull(5, items.append, done)
    assert done.value() is False
    iteration.pull(5, items.append, done)
    assert done.value() is False
    iteration.close(done)
    assert done.value() is None
    assert items == [0, 1]


def test_a_failing_iterator_gives_its_items_first(pool: ThreadPool, done: Outcomes) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("after one")

    items: list[int] = []
    iteration = pool.iterate(numbers)
    iteration.pull(5, items.append, done)
    assert done.error().args == ("after one",)
    assert items == [1]
    iteration.close(done)
    assert done.value() is None


def test_a_running_iterator_is_interrupted_and_cleans_up(pool: ThreadPool, done: Outcomes) -> None:
    spinning = Spinning()
    cleaned = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield 1
            spinning()
        finally:
            cleaned.set()

    iteration = pool.iterate(numbers)
    running = iteration.pull(2, lambda item: None, done)
    assert spinning.begun.wait(LIMIT)
    running.interrupt(CallCancelled)
    assert isinstance(done.error(), CallCancelled)
    assert cleaned.is_set()
    iteration.close(done)
    assert done.value() is None


def test_closing_an_iterator_can_be_interrupted_too(pool: ThreadPool, done: Outcomes) -> None:
    spinning = Spinning()

    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            spinning()

    iteration = pool.iterate(numbers)
    iteration.pull(1, lambda item: None, done)
    assert done.value() is True
    closing = iteration.close(done)
    assert spinning.begun.wait(LIMIT)
    closing.interrupt(CallCancelled)
    assert isinstance(done.error(), CallCancelled)
    until_idle(pool)


def test_a_generator_that_ignores_its_closing_is_an_error(pool: ThreadPool, done: Outcomes) -> None:
    def numbers() -> Iterator[int]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2
                return

    iteration = pool.iterate(numbers)
    iteration.pull(1, lambda item: None, done)
    assert done.value() is True
    iteration.close(done)
    assert "ignored GeneratorExit" in str(done.error())


def test_an_interrupt_does_not_strike_in_the_receiver_of_items(pool: ThreadPool, done: Outcomes) -> None:
    received: list[int] = []
    in_receiver, go_on = threading.Event(), threading.Event()

    def receiver(item: int) -> None:
        in_receiver.set()
        go_on.wait(LIMIT)
        received.append(item)

    iteration = pool.iterate(Numbers(10))
    running = iteration.pull(10, receiver, done)
    assert in_receiver.wait(LIMIT)
    running.interrupt(CallCancelled)
    go_on.set()
    assert isinstance(done.error(), CallCancelled)
    assert received == [0]
    iteration.close(done)
    assert done.value() is None


def test_the_context_of_an_iterator_is_the_same_for_all_its_steps(pool: ThreadPool, done: Outcomes) -> None:
    def numbers() -> Iterator[str]:
        variable.set("first step")
        yield ""
        yield variable.get()

    items: list[str] = []
    iteration = pool.iterate(numbers, context=copy_context())
    for _ in range(2):
        iteration.pull(1, items.append, done)
        assert done.value() is True
    iteration.close(done)
    assert done.value() is None
    assert items == ["", "first step"]
    assert variable.get() == "unset"


def test_an_iterator_that_was_never_pulled_never_runs(pool: ThreadPool, done: Outcomes) -> None:
    numbers = Numbers(1)
    iteration = pool.iterate(numbers)
    iteration.close(done)
    assert done.value() is None
    assert not numbers.closed.is_set()
    with pytest.raises(RuntimeError, match="closed"):
        iteration.pull(1, lambda item: None, done)
    with pytest.raises(RuntimeError, match="closed"):
        iteration.close(done)


def test_a_stuck_thread_does_not_keep_the_interpreter_from_exiting() -> None:
    program = (
        "import threading; from fchains.worker.threads import ThreadPool; begun = threading.Event()\n"
        "ThreadPool('work').run(lambda: (begun.set(), threading.Event().wait()), print)\n"
        "begun.wait(); print('over')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    assert ended.stdout == "over\n"

"""Chainlets that kill, stop, break or block the processes they run in, and those that suffer from it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fchains import CallCancelled, chainlet, setup, use

PATIENCE = 20.0
"""Seconds after which whoever waits in vain fails."""


NO_FILE = 4096
"""Bytes that a file may have where shared memory is to be impossible: enough for a mark."""


class Marks:
    """Files by which a test and chainlets in other processes tell each other how far they are."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(folder)

    def put(self, name: str, text: str = "") -> None:
        """Leave a mark; the text is there from the first moment on."""
        new = Path(self.folder, f".{name}.{os.getpid()}")
        new.write_text(text)
        new.rename(Path(self.folder, name))

    def has(self, name: str) -> bool:
        return Path(self.folder, name).exists()

    def number(self, name: str) -> int:
        """The number in a mark, once it is there."""
        self.wait(name)
        return int(Path(self.folder, name).read_text())

    def wait(self, name: str) -> None:
        """Wait for a mark in a thread."""
        until(lambda: self.has(name))

    async def passed(self, name: str) -> None:
        """Wait for a mark on an event loop."""
        async with asyncio.timeout(PATIENCE):
            while not self.has(name):  # noqa: ASYNC110 - other processes make it
                await asyncio.sleep(0.002)

    def add(self, name: str, line: str) -> None:
        """Add a line to a list."""
        with Path(self.folder, name).open("a") as file:
            file.write(f"{line}\n")

    def lines(self, name: str) -> list[str]:
        file = Path(self.folder, name)
        return file.read_text().splitlines() if file.exists() else []


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait in a thread for what nobody tells."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)


# Processes that die.


def segfault() -> None:
    ctypes.string_at(0)


def leave() -> None:
    sys.exit("enough")


def take_too_much() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), before[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


DEEDS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "segfault": segfault,
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "sys.exit": leave,
    "memory": take_too_much,
    "close": lambda: os.closerange(3, 4096),
}


@chainlet(replicas=1, concurrency=4, grace=0.2)
def victim(deed: str) -> int:
    """Does something to its process, and gives its id."""
    DEEDS[deed]()
    return os.getpid()


@chainlet(replicas=1)
def leaves_a_child(folder: str, how: str) -> None:
    """Dies before a process that it has started."""
    pid = subprocess.Popen(["/bin/sleep", "60"]).pid if how == "spawn" else os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    Marks(folder).put("child", str(pid))
    os.kill(os.getpid(), signal.SIGKILL)


@chainlet(replicas=1)
async def asks(folder: str) -> None:
    Marks(folder).put("asking", str(os.getpid()))
    await answers_never.remote(folder)


@chainlet(replicas=1)
async def answers_never(folder: str) -> None:
    marks = Marks(folder)
    try:
        marks.put("asked")
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        marks.put("cancelled")
        raise


@chainlet(replicas=1)
def eats() -> None:
    """Takes all the memory there is."""
    Path("/proc/self/oom_score_adj").write_text("1000")  # the kernel is to choose this one
    taken: list[bytearray] = []
    while True:
        taken.append(bytearray(os.urandom(1)) * (16 << 20))


@chainlet(replicas=2, concurrency=4)
async def waits(folder: str, name: str) -> int:
    """Says where it runs, and waits for `go`."""
    marks = Marks(folder)
    marks.put(name, str(os.getpid()))
    await marks.passed("go")
    return os.getpid()


@chainlet(replicas=1, grace=0.2, startup_timeout=2)
async def stopped(folder: str) -> int:
    """Stops its process, clocks included."""
    if folder:
        Marks(folder).put("stopped", str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    return os.getpid()


@chainlet(replicas=1)
async def counts(folder: str) -> AsyncIterator[int]:
    """Yields four numbers, then waits for ever."""
    for number in range(4):
        yield number
    await asyncio.sleep(0)  # what was yielded in this turn of the loop leaves at its end
    await asyncio.sleep(0)
    Marks(folder).put("counted", str(os.getpid()))
    await asyncio.Event().wait()


@chainlet(replicas=1)
def doubles(array: NDArray[np.float64], *, limit: bool) -> NDArray[np.float64]:
    """Gives twice the array, from a process that may make files of no size, unless it is without limit."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (NO_FILE if limit else most, most))
    return array * 2


# Replicas that do not come up. Their folder is in the environment of the process that starts them.


def attempts() -> Marks:
    return Marks(os.environ["FCHAINS_TEST_FOLDER"])


@setup
async def never_ready() -> AsyncIterator[None]:
    await asyncio.sleep(60)
    yield


@setup
def not_there() -> None:
    attempts().add("attempts", str(os.getpid()))
    raise FileNotFoundError("no weights in /models")


@setup
def deadly() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@chainlet(startup_timeout=0.5, replicas=(0, 1))
async def starts_never(*, _: None = use(never_ready)) -> None: ...


@chainlet(replicas=(0, 1))
async def lacks_weights(*, _: None = use(not_there)) -> None: ...


@chainlet(replicas=(0, 1))
async def dies_at_once(*, _: None = use(deadly)) -> None: ...


# Code that does not stop.


@chainlet(replicas=1, concurrency=2, grace=5.0)
def loops(folder: str, name: str) -> int:
    """Sleeps in small steps until `go`, and says that it began and ended."""
    marks = Marks(folder)
    try:
        marks.put(f"{name} began", str(os.getpid()))
        while not marks.has(f"{name} go"):
            time.sleep(0.002)
    finally:
        marks.put(f"{name} ended")
    return os.getpid()


@chainlet(replicas=1, concurrency=2, grace=0.2)
def sleeps(folder: str, name: str) -> int:
    """Blocked in C, where nothing strikes it; a second call in the same replica is not."""
    marks = Marks(folder)
    marks.put(f"{name} began", str(os.getpid()))
    if name == "deaf":
        time.sleep(30)
    if name == "neighbour":
        marks.wait("go")
    return os.getpid()


@chainlet(replicas=1, grace=0.2)
async def blocks_the_loop(folder: str, name: str) -> int:
    """Blocks what all calls of its replica share."""
    Marks(folder).put(f"{name} began", str(os.getpid()))
    if name == "deaf":
        time.sleep(30)  # noqa: ASYNC251 - what this is about
    return os.getpid()


@chainlet(replicas=1, grace=0.2, kill_on_cancel=True)
def killed_when_cancelled(folder: str, name: str) -> int:
    Marks(folder).put(f"{name} began", str(os.getpid()))
    if name == "deaf":
        time.sleep(30)
    return os.getpid()


@chainlet(replicas=1, grace=0.2)
def stubborn(folder: str, name: str) -> int:
    """Goes on when it is told to stop."""
    marks = Marks(folder)
    marks.put(f"{name} began", str(os.getpid()))
    while not marks.has(f"{name} go"):
        try:
            marks.wait(f"{name} go")
        except CallCancelled:
            marks.put(f"{name} heard")
    return os.getpid()


# Replicas that come and go.

well = True


def still_well() -> bool:
    return well


@chainlet(replicas=1, concurrency=4, health=still_well)
async def falls_ill(folder: str, name: str) -> int:
    """Makes its replica unhealthy, then waits for `go`."""
    marks = Marks(folder)
    marks.put(f"{name} began", str(os.getpid()))
    if name == "ill":
        globals()["well"] = False
        await marks.passed("go")
    return os.getpid()


@setup
def noted() -> Iterator[None]:
    yield
    attempts().add("torn down", str(os.getpid()))


@chainlet(replicas=(0, 2), concurrency=1, scaledown_window=0.2)
def scales(folder: str, name: str, *, _: None = use(noted)) -> int:
    """Waits for `go`; its teardown leaves a mark."""
    marks = Marks(folder)
    marks.put(name, str(os.getpid()))
    marks.wait("go")
    return os.getpid()


@setup
def counted() -> None:
    attempts().add("made", str(os.getpid()))


@chainlet(replicas=2)
def always_there(*, _: None = use(counted)) -> int:
    return os.getpid()


@chainlet(replicas=1, concurrency=1, max_queue=1)
def narrow(folder: str) -> int:
    """Waits for `go`, with room for one more call."""
    marks = Marks(folder)
    marks.add("began", str(os.getpid()))
    marks.wait("go")
    return os.getpid()


@chainlet(replicas=1, concurrency=1)
def factorial(n: int) -> int:
    """Calls itself from its only slot."""
    return 1 if n < 2 else n * factorial.remote(n - 1).result()


# One chain, and so one supervisor, for each file of tests.


@chainlet(
    replicas=(0, 1),
    calls=[victim, leaves_a_child, asks, waits, stopped, counts, doubles],
)
def faults() -> None: ...


@chainlet(replicas=(0, 1), calls=[starts_never, lacks_weights, dies_at_once])
def does_not_start() -> None: ...


@chainlet(replicas=(0, 1), calls=[loops, sleeps, blocks_the_loop, killed_when_cancelled, stubborn])
def stops() -> None: ...


@chainlet(replicas=(0, 1), calls=[falls_ill, scales, always_there, narrow, factorial])
def comes_and_goes() -> None: ...

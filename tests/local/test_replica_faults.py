"""Replicas that die, stop or talk nonsense, under real calls."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest

from fchains import CallTimeout, RemoteError, WorkerLost
from fchains.calls.call import Call
from tests.local.blocks import Block, is_alive, local_block
from tests.local.memory_groups import memory_group
from tests.local.victims import (
    NO_FILE,
    Marks,
    asks,
    counts,
    doubles,
    leaves_a_child,
    stopped,
    until,
    victim,
    waits,
)

pytestmark = pytest.mark.slow  # the first one pays for the start of the chain

LIMIT = 20.0
"""Seconds after which a call that should have ended has not."""


@pytest.fixture(scope="module", autouse=True)
def block(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Block]:
    with local_block(tmp_path_factory.mktemp("marks")) as block:
        yield block


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path)


def eight(marks: Marks, retries: int = 0) -> dict[str, Call[int]]:
    """Calls that fill two replicas, when all of them run."""
    names = [f"call {number}" for number in range(8)]
    calls = {name: waits.options(retries=retries).remote(marks.folder, name) for name in names}
    for name in names:
        marks.wait(name)
    return calls


def settled(call: Call[int]) -> int | BaseException:
    return call.exception(timeout=LIMIT) or call.result()


def test_a_killed_replica_fails_its_own_calls_and_no_others(marks: Marks) -> None:
    calls = eight(marks)
    places = {name: marks.number(name) for name in calls}
    dead, alive = set(places.values())
    os.kill(dead, signal.SIGKILL)
    lost = {name: settled(calls[name]) for name in calls if places[name] == dead}
    for error in lost.values():
        assert isinstance(error, WorkerLost)
        assert "was killed by SIGKILL" in str(error)
    start = time.monotonic()
    marks.put("go")
    after = [waits.remote(marks.folder, f"after {number}") for number in range(8)]
    assert dead not in {call.result(timeout=LIMIT) for call in after}
    took = time.monotonic() - start
    print(f"the next calls ran within {took:.3f} s")
    assert took < 5
    assert {settled(calls[name]) for name in calls if places[name] == alive} == {alive}
    assert len(lost) == 4


def test_calls_that_may_be_tried_again_outlive_their_replica(marks: Marks) -> None:
    calls = eight(marks, retries=1)
    dead = marks.number("call 0")
    os.kill(dead, signal.SIGKILL)
    marks.put("go")
    places = {settled(call) for call in calls.values()}
    assert dead not in places
    assert all(isinstance(place, int) for place in places)


@pytest.mark.parametrize(
    ("deed", "end"),
    [
        ("segfault", "crashed with SIGSEGV"),
        ("abort", "crashed with SIGABRT"),
        ("exit", "exited with code 3"),
        ("close", "(exited with code 1|was killed: it closed its connection to the supervisor)"),
    ],
)
def test_the_end_of_a_replica_is_named_and_the_next_call_works(deed: str, end: str) -> None:
    before = victim.remote("nothing").result(timeout=LIMIT)
    with pytest.raises(WorkerLost, match=f"victim: replica victim-.* {end}"):
        victim.remote(deed).result(timeout=LIMIT)
    after = victim.remote("nothing").result(timeout=LIMIT)
    assert after != before
    until(lambda: not is_alive(before))


def test_a_call_that_goes_to_a_replica_as_it_dies_is_sent_elsewhere() -> None:
    for _ in range(5):
        os.kill(victim.remote("nothing").result(timeout=LIMIT), signal.SIGKILL)
        assert victim.remote("nothing").result(timeout=LIMIT)


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_what_a_killed_replica_has_started_ends_with_it(how: str, marks: Marks) -> None:
    start = time.monotonic()
    with pytest.raises(WorkerLost, match="SIGKILL"):
        leaves_a_child.remote(marks.folder, how).result(timeout=LIMIT)
    assert time.monotonic() - start < 5
    child = marks.number("child")
    until(lambda: not is_alive(child))


def test_what_a_killed_replica_has_asked_others_for_is_cancelled(marks: Marks) -> None:
    call = asks.remote(marks.folder)
    marks.wait("asked")
    os.kill(marks.number("asking"), signal.SIGKILL)
    with pytest.raises(WorkerLost, match="asks: replica asks-0 was killed by SIGKILL"):
        call.result(timeout=LIMIT)
    marks.wait("cancelled")


def test_an_exit_in_user_code_is_an_error_and_the_replica_lives() -> None:
    before = victim.remote("nothing").result(timeout=LIMIT)
    with pytest.raises(RemoteError, match="enough"):
        victim.remote("sys.exit").result(timeout=LIMIT)
    assert victim.remote("nothing").result(timeout=LIMIT) == before


def test_memory_that_is_refused_is_an_error_of_the_user_and_the_replica_lives() -> None:
    before = victim.remote("nothing").result(timeout=LIMIT)
    with pytest.raises(MemoryError):
        victim.remote("memory").result(timeout=LIMIT)
    assert victim.remote("nothing").result(timeout=LIMIT) == before


PROGRAM = """
import sys
with open(sys.argv[1], "w") as group:
    group.write("0")  # all that it starts is in there, too

from fchains import WorkerLost, use_runner
from fchains_local.runner import LocalRunner
from tests.local.memory_groups import memory_group
from tests.local.victims import eats

with use_runner(LocalRunner()):
    try:
        eats.remote().result()
    except WorkerLost as error:
        print(error)
"""


def test_a_replica_killed_for_want_of_memory_is_told_from_others() -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with memory_group(512 << 20) as group:
        command = [sys.executable, "-c", PROGRAM, str(group / "cgroup.procs")]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert "eats-0 was killed by SIGKILL: out of memory, the kernel says" in done.stdout, done.stderr


def test_a_stopped_replica_costs_its_call_no_more_than_its_timeout(marks: Marks) -> None:
    start = time.monotonic()
    call = stopped.options(timeout=0.3).remote(marks.folder)
    old = marks.number("stopped")
    behind = stopped.remote("")
    with pytest.raises(CallTimeout, match=r"timeout of 0\.3 s"):
        call.result(timeout=LIMIT)
    assert time.monotonic() - start < 5
    assert behind.result(timeout=LIMIT) != old
    until(lambda: not is_alive(old))


def test_a_call_that_a_stopped_replica_never_takes_goes_to_its_successor(marks: Marks) -> None:
    old = stopped.remote("").result(timeout=LIMIT)
    os.kill(old, signal.SIGSTOP)
    with pytest.raises(CallTimeout, match="no replica took the call within its startup_timeout of 2 s"):
        stopped.remote("").result(timeout=LIMIT)
    assert stopped.remote("").result(timeout=LIMIT) != old
    until(lambda: not is_alive(old))


def test_the_reader_of_a_stream_gets_what_came_before_the_end_of_its_replica(marks: Marks) -> None:
    stream = counts.remote(marks.folder)
    pid = marks.number("counted")
    os.kill(pid, signal.SIGKILL)
    items: list[int] = []
    with pytest.raises(WorkerLost, match="SIGKILL"):
        items.extend(iter(stream))
    assert items == [0, 1, 2, 3]


# Sizes of their own: a segment that is there already would be used again.
@pytest.mark.parametrize(
    ("here", "there", "megabytes"), [(True, True, 50), (False, True, 25), (True, False, 100)]
)
def test_large_arrays_travel_without_shared_memory(here: bool, there: bool, megabytes: int) -> None:
    doubles.remote(np.zeros(1), limit=False).result(timeout=LIMIT)
    array = np.arange(megabytes * 1_000_000 / 8)
    with without_files(here):
        doubled = doubles.remote(array, limit=there).result(timeout=LIMIT)
    assert np.array_equal(doubled, array * 2)
    segment = 1 << (array.nbytes - 1).bit_length()
    if not here or there:  # what came from there may be open here
        assert (segment in shared_memory()) is not here


def test_nonsense_on_the_socket_of_a_replica_disturbs_nobody(block: Block, marks: Marks) -> None:
    calls = eight(marks)
    addresses = block.sockets("waits")
    assert len(addresses) == 2
    half = [connected(address, secrets.token_bytes(3)) for address in addresses]
    whole = [connected(address, secrets.token_bytes(5000)) for address in addresses]
    for address in addresses:
        for _ in range(200):
            connected(address).close()
    for sock in whole:
        while sock.recv(4096):  # hung up on
            pass
    marks.put("go")
    assert len({call.result(timeout=LIMIT) for call in calls.values()}) == 2
    for sock in half + whole:
        sock.close()


def connected(address: str, data: bytes = b"") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT)
    sock.connect(address)
    sock.sendall(data)
    return sock


def shared_memory() -> set[int]:
    """Sizes of the segments of shared memory of this process."""
    sizes: set[int] = set()
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "memfd:fchains" in str(file.readlink()):
                sizes.add(file.stat().st_size)
    return sizes


@contextlib.contextmanager
def without_files(limited: bool) -> Generator[None]:
    """Keep this process from making files of any size, which is what shared memory is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limited:
        resource.setrlimit(resource.RLIMIT_FSIZE, (NO_FILE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains_local import memory
from fchains_local.memory import (
    MemoryWatch,
    OomEvidence,
    counter_files,
    describe_exit,
    oom_kills,
    resident_pages,
    resident_size,
)
from tests.local.memory_groups import memory_group

GIB = 1024**3
MIB = 1024**2

VMSTAT = """\
nr_free_pages 5931011
oom_kill 2
numa_hit 2161735
"""
EVENTS = """\
low 0
high 12
max 341
oom 3
oom_kill 1
oom_group_kill 0
"""
OOM_CONTROL = """\
oom_kill_disable 0
under_oom 0
oom_kill 4
"""
OLD_OOM_CONTROL = "oom_kill_disable 0\nunder_oom 0\n"
VERSION_1 = """\
12:pids:/user.slice/user-1000.slice
11:cpu,cpuacct:/
4:hugetlb,memory:/docker/8c1f
1:name=systemd:/init.scope
0::/init.scope
"""


def test_the_memory_of_a_process_is_what_it_touched() -> None:
    before = resident_size(os.getpid())
    with mmap.mmap(-1, 16 * MIB) as block:
        block.write(b"1" * len(block))
        after = resident_size(os.getpid())

    assert before is not None
    assert after is not None
    assert 14 * MIB < after - before < 50 * MIB


def test_a_process_that_is_gone_has_no_memory() -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()

    assert resident_size(process.pid) is None


def test_the_second_number_of_statm_is_read() -> None:
    assert resident_pages("5487 1731 1043 1 0 653 0\n") == 1731


def test_ps_is_asked_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(query: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert query[1:] == ["-o", "rss=", "-p", "7"]
        if answers[0] is None:
            raise subprocess.CalledProcessError(1, query)
        return subprocess.CompletedProcess(query, 0, answers[0])

    answers: list[str | None] = ["  2048\n"]
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", answer)

    assert resident_size(7) == 2 * MIB
    for answers[0] in (None, "", "?"):
        assert resident_size(7) is None


def test_a_replica_with_too_much_memory_is_told_of_once() -> None:
    watch = MemoryWatch()

    assert watch.look("transcribe-0", 2 * GIB, limit=2 * GIB) == []
    assert watch.look("transcribe-0", 23 * GIB // 10, limit=2 * GIB) == [
        "transcribe-0 uses 2.3 GiB, transcribe asks for memory=2GiB: a container would be killed"
    ]
    assert watch.look("transcribe-0", 3 * GIB, limit=2 * GIB) == []
    assert watch.look("transcribe-0", None, limit=2 * GIB) == []
    assert watch.look("transcribe-1", 3 * GIB, limit=2 * GIB)


def test_it_is_told_of_again_after_it_grew_by_half() -> None:
    watch = MemoryWatch()
    sizes = [300, 200, 300, 449, 450, 100, 600, 675]

    told = [watch.look("f-0", size * MIB, limit=256 * MIB) for size in sizes]

    assert [size for size, text in zip(sizes, told, strict=True) if text] == [300, 450, 675]
    assert told[0] == ["f-0 uses 300 MiB, f asks for memory=256MiB: a container would be killed"]


def test_a_replica_that_is_gone_is_forgotten() -> None:
    watch = MemoryWatch()
    watch.look("f-0", 2 * GIB, limit=GIB)
    watch.forget("f-0")
    watch.forget("f-1")

    assert watch.look("f-0", 2 * GIB, limit=GIB)


@pytest.mark.parametrize(
    ("text", "count"),
    [(VMSTAT, 2), (EVENTS, 1), (OOM_CONTROL, 4), (OLD_OOM_CONTROL, None), ("", None), ("oom_kill x", None)],
)
def test_counters_of_kills_are_read(text: str, count: int | None) -> None:
    assert oom_kills(text) == count


@pytest.mark.parametrize(
    ("cgroups", "files"),
    [
        ("0::/\n", ["/sys/fs/cgroup/memory.events"]),
        (
            "0::/user.slice/run-r1.scope\n",
            ["/sys/fs/cgroup/user.slice/run-r1.scope/memory.events", "/sys/fs/cgroup/memory.events"],
        ),
        (
            VERSION_1,
            [
                "/sys/fs/cgroup/memory/docker/8c1f/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ],
        ),
        (
            "\n".join(reversed(VERSION_1.splitlines())),
            [
                "/sys/fs/cgroup/memory/docker/8c1f/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ],
        ),
        ("4:memory:/\n", ["/sys/fs/cgroup/memory/memory.oom_control"]),
        ("0::/a:b\n", ["/sys/fs/cgroup/a:b/memory.events", "/sys/fs/cgroup/memory.events"]),
        ("", []),
        ("nonsense\n", []),
    ],
)
def test_the_counter_of_a_control_group_is_found(cgroups: str, files: list[str]) -> None:
    assert counter_files(cgroups) == files


@pytest.mark.parametrize(
    ("earlier", "later", "killed"),
    [
        (OomEvidence(1, 5), OomEvidence(1, 5), False),
        (OomEvidence(1, 5), OomEvidence(2, 6), True),
        (OomEvidence(1, 5), OomEvidence(1, 6), False),
        (OomEvidence(None, 5), OomEvidence(None, 6), True),
        (OomEvidence(None, 5), OomEvidence(1, 5), False),
        (OomEvidence(None, 5), OomEvidence(1, 6), True),
        (OomEvidence(3, None), OomEvidence(None, None), False),
        (OomEvidence(), OomEvidence(), False),
    ],
)
def test_a_kill_shows_in_the_closest_counter(earlier: OomEvidence, later: OomEvidence, killed: bool) -> None:
    assert later.since(earlier) is killed


def test_counters_are_looked_for_where_the_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/gone\n",
        "/sys/fs/cgroup/memory.events": EVENTS,
        "/proc/vmstat": VMSTAT,
    }
    monkeypatch.setattr(memory, "_read", files.get)
    assert OomEvidence.now() == OomEvidence(group=1, machine=2)

    files.clear()
    assert OomEvidence.now() == OomEvidence()


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels count no kills")
def test_this_kernel_counts_kills() -> None:
    now = OomEvidence.now()

    assert now.group is not None or now.machine is not None
    assert not now.since(now)


def killed_by(number: int) -> int:
    return number


def exited_with(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("status", "oom", "text"),
    [
        (exited_with(0), False, "exited with code 0 by itself"),
        (exited_with(3), False, "exited with code 3"),
        (exited_with(137), True, "exited with code 137"),
        (killed_by(signal.SIGKILL), False, "was killed by SIGKILL"),
        (killed_by(signal.SIGKILL), True, "was killed by SIGKILL: out of memory, the kernel says"),
        (killed_by(signal.SIGTERM), True, "was killed by SIGTERM"),
        (killed_by(signal.SIGSEGV), False, "crashed with SIGSEGV"),
        (killed_by(signal.SIGSEGV) | 0x80, True, "crashed with SIGSEGV"),
        (killed_by(signal.SIGABRT), False, "crashed with SIGABRT"),
        (killed_by(42), False, "was killed by signal 42"),
    ],
)
def test_the_end_of_a_process_is_put_into_words(status: int, oom: bool, text: str) -> None:
    assert describe_exit(status, oom) == text


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 32 MiB, where one can be made."""
    with memory_group(32 * MIB) as group:
        yield group


WATCHER = """
import os, signal, sys
from fchains_local.memory import OomEvidence, describe_exit

open(sys.argv[1], "w").write("0")  # only now: what it has already counts elsewhere

def end_of(work):
    before, child = OomEvidence.now(), os.fork()
    if child == 0:
        open("/proc/self/oom_score_adj", "w").write("1000")
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(describe_exit(status, OomEvidence.now().since(before)))

end_of(lambda: os.kill(os.getpid(), signal.SIGKILL))
end_of(lambda: bytearray(os.urandom(1)) * (64 * 1024**2))
"""


@pytest.mark.slow
def test_a_kill_for_want_of_memory_is_told_from_another_one(small_group: Path) -> None:
    command = [sys.executable, "-c", WATCHER, str(small_group / "cgroup.procs")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [
        "was killed by SIGKILL",
        "was killed by SIGKILL: out of memory, the kernel says",
    ], done.stderr

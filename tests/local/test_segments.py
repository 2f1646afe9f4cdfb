from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fchains_local.segment import Segment
from fchains_local.segments import SegmentPool
from tests.local.ends import Ends

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


@pytest.fixture(params=["memory", "files"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where segments lie: both ways must do, though a system uses one of them."""
    if request.param == "files":
        return tmp_path
    if not hasattr(os, "memfd_create"):
        pytest.skip("no anonymous memory here")
    return None


def contents(segment: Segment) -> bytes:
    with Path(segment.address).open("rb") as file:
        return file.read()


def lease(pool: SegmentPool, size: int) -> Segment:
    segment = pool.lease(size)
    assert segment is not None
    return segment


def used(segment: Segment) -> int:
    """Bytes of memory that it takes."""
    return Path(segment.address).stat().st_blocks * 512


def descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def in_child(check: Callable[[], bool]) -> bool:
    """Whether something is so in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        good = False
        try:
            good = check()
        finally:
            os._exit(0 if good else 1)
    return os.waitpid(pid, 0)[1] == 0


def test_what_is_written_can_be_read_at_its_address(ends: Ends, directory: Path | None) -> None:
    segment = lease(ends.pool(directory=directory), 300 * KIB)
    for round_ in range(3):
        segment.write(0, bytes([round_]) * 70_000)
        segment.write(70_016, b"after it")
        segment.write(70_080, bytes([round_ + 100]) * 200_000)
        expected = bytes([round_]) * 70_000 + bytes(16) + b"after it" + bytes(56)
        assert contents(segment)[:270_080] == expected + bytes([round_ + 100]) * 200_000


def test_sizes_are_powers_of_two_and_memory_is_taken_only_where_something_was_written(
    ends: Ends, directory: Path | None
) -> None:
    pool = ends.pool(64 * MIB, directory=directory)
    assert [lease(pool, size).size for size in (1, 256 * KIB, 256 * KIB + 1, 9_000_000)] == [
        256 * KIB,
        256 * KIB,
        512 * KIB,
        16 * MIB,
    ]
    segment = lease(pool, 16 * MIB)
    segment.write(0, bytes(300_000))
    assert used(segment) < MIB


def test_a_segment_that_came_back_is_used_again(ends: Ends) -> None:
    pool = ends.pool()
    first = lease(pool, MIB)
    assert lease(pool, MIB) is not first
    pool.give_back(first)
    assert lease(pool, 600 * KIB) is first
    assert pool.leased == 2


def test_the_limit_holds_and_idle_segments_of_other_sizes_make_room(ends: Ends) -> None:
    pool = ends.pool(2 * MIB)
    small = lease(pool, MIB)
    other = lease(pool, MIB)
    assert pool.lease(1) is None
    pool.give_back(small)
    assert pool.lease(2 * MIB) is None
    pool.give_back(other)
    assert lease(pool, 2 * MIB).size == 2 * MIB
    assert small.dropped
    assert other.dropped
    assert pool.size == 2 * MIB


def test_there_are_not_more_segments_than_descriptors_may_be_spent_on(ends: Ends) -> None:
    pool = ends.pool(1 << 40)
    leased = [pool.lease(1) for _ in range(300)]
    assert sum(each is not None for each in leased) == 256


def test_nothing_larger_than_a_frame_is_leased(ends: Ends) -> None:
    pool = ends.pool(1 << 40)
    assert pool.lease((1 << 30) + 1) is None
    assert pool.lease(1 << 30) is not None


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), MemoryError(), ValueError("too long")])
def test_without_memory_there_is_no_lease_and_no_offer(ends: Ends, error: Exception) -> None:
    def fail(_number: int, _size: int, _directory: Path | None) -> Segment:
        raise error

    pool = ends.pool(create=fail)
    assert pool.lease(MIB) is None
    assert pool.offer() is None
    assert pool.size == 0


def test_a_directory_that_is_gone_is_no_memory(ends: Ends, tmp_path: Path) -> None:
    pool = ends.pool(directory=tmp_path / "nowhere")
    assert pool.lease(1) is None
    assert pool.offer() is None


def test_a_dropped_segment_is_closed_and_never_leased_again(ends: Ends, directory: Path | None) -> None:
    pool = ends.pool(directory=directory)
    segment = lease(pool, MIB)
    pool.drop(segment)
    pool.give_back(segment)
    assert lease(pool, MIB) is not segment
    assert not os.path.lexists(segment.address) or directory is None
    assert pool.size == MIB


def test_idle_memory_goes_back_bit_by_bit(ends: Ends) -> None:
    pool = ends.pool(idle_seconds=0)
    segment = lease(pool, 32 * MIB)
    for offset in range(0, 20 * MIB, MIB):
        segment.write(offset, bytes(MIB))
    assert not pool.trim()
    pool.give_back(segment)
    sizes: list[int] = []
    while pool.trim():
        sizes.append(used(segment) // MIB)
    assert sizes == [12, 4]
    assert segment.dropped
    assert pool.size == 0


def test_what_was_used_a_moment_ago_is_kept(ends: Ends) -> None:
    pool = ends.pool(idle_seconds=60)
    segment = lease(pool, MIB)
    pool.give_back(segment)
    assert not pool.trim()
    assert lease(pool, MIB) is segment


def test_the_last_link_that_goes_takes_idle_memory_with_it(ends: Ends) -> None:
    pool = ends.pool()
    pool.attach()
    pool.attach()
    pool.give_back(lease(pool, MIB))
    kept = lease(pool, 2 * MIB)
    pool.detach()
    assert pool.size == 3 * MIB
    pool.detach()
    assert pool.size == 2 * MIB
    pool.give_back(kept)


def test_a_closed_pool_lends_nothing_and_takes_back_what_is_out(ends: Ends, tmp_path: Path) -> None:
    pool = ends.pool(directory=tmp_path)
    assert pool.offer()
    kept = lease(pool, MIB)
    pool.close()
    assert pool.lease(1) is None
    assert pool.offer() is None
    kept.write(0, b"still good")
    pool.give_back(kept)
    assert pool.size == 0
    assert [*tmp_path.iterdir()] == []


def test_no_descriptor_is_left(ends: Ends, directory: Path | None) -> None:
    before = descriptors()
    pool = ends.pool(directory=directory)
    pool.offer()
    for size in (1, MIB, 4 * MIB):
        pool.give_back(lease(pool, size))
    pool.drop(lease(pool, 1))
    pool.close()
    assert descriptors() == before


def test_many_threads_lease_and_return(ends: Ends) -> None:
    pool = ends.pool(16 * MIB)
    clashes: list[int] = []

    def work(mark: int) -> None:
        for _ in range(100):
            segment = pool.lease(300 * KIB)
            if segment is None:
                continue
            segment.write(0, bytes([mark]) * 1000)
            if contents(segment)[:1000] != bytes([mark]) * 1000:
                clashes.append(mark)
            pool.give_back(segment)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []
    assert pool.leased == 0


def test_a_forked_child_begins_with_an_empty_pool_and_leaves_its_parents_alone(
    ends: Ends, directory: Path | None
) -> None:
    pool = ends.pool(directory=directory)
    offer = pool.offer()
    leased, idle = lease(pool, MIB), lease(pool, MIB)
    leased.write(0, b"of the parent")
    pool.give_back(idle)
    parent = os.getpid()

    def check() -> bool:
        fresh = pool.lease(MIB)
        pool.give_back(leased)
        pool.drop(leased)
        offered = pool.offer()
        if fresh is None or offered is None or offer is None:
            return False
        fresh.write(0, b"of the child!")
        mine = directory is not None or str(parent) not in fresh.address
        return pool.size == MIB and mine and offered["token"] != offer["token"]

    with pool._lock:  # pyright: ignore[reportPrivateUsage]  # as if another thread had it
        assert in_child(check)
    assert contents(leased)[:13] == b"of the parent"
    leased.write(0, b"again")
    assert lease(pool, MIB) is idle


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_an_anonymous_segment_can_not_be_made_smaller(ends: Ends) -> None:
    segment = lease(ends.pool(), MIB)
    fd = os.open(segment.address, os.O_RDWR)
    try:
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 10)
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    finally:
        os.close(fd)

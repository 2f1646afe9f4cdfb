from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.programs import Programs


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Starts programs in an empty folder; what is left of them after the test is killed."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are found again by their environment in /proc")
    started = Programs(tmp_path)
    yield started
    started.discard()


FAULTS = {
    "test_chaos",
    "test_interrupts",
    "test_keeper",
    "test_large_maps",
    "test_large_values",
    "test_loops_and_threads",
    "test_programs",
    "test_replica_faults",
    "test_replicas",
    "test_start_faults",
    "test_stopping",
    "test_streams_left",
    "test_supervisor_faults",
    "test_surroundings",
    "test_template",
}
"""Files that kill, hang and overload real processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem in FAULTS:
            item.add_marker(pytest.mark.faults)

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

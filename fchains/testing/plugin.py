"""Fixtures for tests of chains; pytest loads them by itself once fchains is installed.

`fchains_inline` runs the calls of a test in this process, `fchains_recording` does so and keeps them:

    def test_it(fchains_recording):
        assert shout.remote("hi").result() == "HI"
        assert fchains_recording.of("shout")[0].arguments == {"text": "hi"}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fchains.calls.session import RunnerSession
    from fchains.testing.recording import RecordingRunner

pytest.register_assert_rewrite("fchains.testing.contract")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of the contract suite."""
    config.addinivalue_line("markers", "fchains_needs(*capabilities): only for runners that have them")


@pytest.fixture
def fchains_inline() -> Iterator[RunnerSession]:
    """The calls of the test run on the inline runner."""
    from fchains.calls.using import use_runner

    with use_runner("inline") as session:
        yield session


@pytest.fixture
def fchains_recording() -> Iterator[RecordingRunner]:
    """The calls of the test run on the inline runner; the fixture's `calls` keeps them."""
    from fchains.calls.using import use_runner
    from fchains.testing.recording import RecordingRunner

    runner = RecordingRunner()
    with use_runner(runner):
        yield runner

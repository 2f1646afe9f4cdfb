"""What all parts of the contract share: a runner under test, and what it can do."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from fchains.calls.loglines import LogLine
from fchains.calls.runner import Capability, Runner
from fchains.calls.session import RunnerSession
from fchains.calls.using import use_runner

F = TypeVar("F", bound=Callable[..., Any])


def needs(*capabilities: Capability) -> Callable[[F], F]:
    """A test that only runners with these capabilities have to pass."""
    mark: Callable[[F], F] = pytest.mark.fchains_needs(*capabilities)
    return mark


class LogBook:
    """The lines that user code printed or logged."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def __call__(self, line: LogLine) -> None:
        self.lines.append(line)


class ContractPart(abc.ABC):
    """Base of the contract's parts."""

    @classmethod
    @abc.abstractmethod
    def make_runner(cls) -> Runner:
        """The runner under test; it is started once for the tests of a class."""

    @pytest.fixture(scope="class")
    @classmethod
    def anyio_backend(cls) -> str:
        return "asyncio"

    @pytest.fixture(scope="class")
    @classmethod
    def log_book(cls) -> LogBook:
        """What user code prints and logs during the tests of the class."""
        return LogBook()

    @pytest.fixture(scope="class")
    @classmethod
    def _runner(cls) -> Runner:
        return cls.make_runner()

    @pytest.fixture(scope="class")
    @classmethod
    def _started(cls, _runner: Runner, log_book: LogBook) -> Iterator[RunnerSession]:
        session = use_runner(_runner, log_sink=log_book)
        with session as started:
            yield started

    @pytest.fixture(autouse=True)
    def _in_use(self, request: pytest.FixtureRequest, _runner: Runner, _started: RunnerSession) -> None:
        """Every test calls through the runner under test, as far as it can do what the test needs."""
        marker = request.node.get_closest_marker("fchains_needs")
        lacking = [c for c in (marker.args if marker else ()) if c not in _runner.capabilities]
        if lacking:
            pytest.skip(f"{_runner.name} lacks {', '.join(c.value for c in lacking)}")

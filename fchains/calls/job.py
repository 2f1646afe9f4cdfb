"""Durable work: jobs that outlive the process that started them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from fchains.errors import NotSupported

if TYPE_CHECKING:
    from fchains.calls.settings import CallSettings
    from fchains.definition.spec import Definition

T_co = TypeVar("T_co", covariant=True)


class StoredWork:
    """What a job store keeps: it goes on, and is found again, when its starter has ended."""

    def __init__(self, id: str) -> None:
        _refuse()

    @property
    def id(self) -> str:
        """Identifier for `from_id`."""
        _refuse()

    def done(self) -> bool:
        """Whether it has a result, has failed, or was cancelled."""
        _refuse()

    def cancel(self) -> bool:
        """Cancel it; False when it was done already."""
        _refuse()


class Job(StoredWork, Generic[T_co]):
    """A durable call; `await` it or call `.result()`, in this process or in another."""

    @classmethod
    def from_id(cls, id: str) -> Job[Any]:
        """Find a job again.

        Raises:
            NotSupported: there is no job store yet.
        """
        return cls(id)

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the result; for sync code.

        Args:
            timeout: seconds to wait, None for no limit; the job itself goes on after it.
        """
        _refuse()

    def __await__(self) -> Generator[Any, None, T_co]:
        _refuse()


class MapJob(StoredWork, Generic[T_co]):
    """A durable call for each of many items; its result is the list of theirs, in order."""

    @classmethod
    def from_id(cls, id: str) -> MapJob[Any]:
        """Find a map job again.

        Raises:
            NotSupported: there is no job store yet.
        """
        return cls(id)

    def result(self, timeout: float | None = None) -> list[T_co]:
        """Wait for all results; for sync code.

        Args:
            timeout: seconds to wait, None for no limit; the job itself goes on after it.
        """
        _refuse()

    def __await__(self) -> Generator[Any, None, list[T_co]]:
        _refuse()


def start_job(
    definition: Definition, args: tuple[object, ...], kwargs: Mapping[str, object], settings: CallSettings
) -> Job[Any]:
    """Start a durable call of a chainlet."""
    _refuse()


def start_map_job(
    definition: Definition, items: object, kwargs: Mapping[str, object] | None, settings: CallSettings
) -> MapJob[Any]:
    """Start a durable call of a chainlet for each item."""
    _refuse()


def _refuse() -> NoReturn:
    raise NotSupported("durable jobs arrive with the job store; until then, call .remote() or .map()")

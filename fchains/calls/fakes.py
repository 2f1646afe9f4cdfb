"""What `.override(fake)` gives: a block, and proof for type checkers that the fake fits.

A fake may leave out the parameters that `use()` injects, so its signature is not the chainlet's, and
no parameter's type can say which of them it may leave out. What must hold is that the chainlet can
be called in each way the fake can. Both signatures are known once `.override(…)` has returned, and
only then, so checkers compare them where `with` looks up `__enter__`: a fake that does not fit is an
error there, which shows both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

Fake = TypeVar("Fake")
Fake_contra = TypeVar("Fake_contra", contravariant=True)
Real_co = TypeVar("Real_co", covariant=True)


class CalledAs(Generic[Real_co]):
    """Something that callers call with the signature of `Real_co`."""


class Enter(Protocol[Fake_contra]):
    """The method `__enter__` of what can be called in each way that the fake can."""

    def __get__(self, block: CalledAs[Fake_contra], owner: object) -> Callable[[], None]: ...


class Override(CalledAs[Real_co], AbstractContextManager[None], Generic[Fake, Real_co]):
    """A `with` block in which calls of a chainlet reach a fake."""

    def __init__(self, block: AbstractContextManager[None]) -> None:
        self._block = block

    if TYPE_CHECKING:
        __enter__: Enter[Fake]  # pyright: ignore[reportIncompatibleMethodOverride]
    else:

        def __enter__(self) -> None:
            self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)

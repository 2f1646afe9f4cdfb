"""What tests put in place of resources and chainlets, for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fchains.definition.resource import Resource
    from fchains.definition.spec import Definition


class Overrides:
    """The replacements in force; each block has its own, so that what was made for it ends with it."""

    def __init__(
        self, resources: Mapping[Resource[Any], object], fakes: Mapping[Definition, Definition]
    ) -> None:
        self.resources = resources
        self.fakes = fakes
        self.on_exit: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self.resources or self.fakes)


NO_OVERRIDES = Overrides({}, {})
_CURRENT: ContextVar[Overrides] = ContextVar("fchains_overrides", default=NO_OVERRIDES)


def current_overrides() -> Overrides:
    """The replacements that the surrounding blocks have put in force."""
    return _CURRENT.get()


@contextmanager
def overriding(
    *,
    resources: Mapping[Resource[Any], object] | None = None,
    fakes: Mapping[Definition, Definition] | None = None,
) -> Generator[None, None, None]:
    """Add replacements to those in force; at the end, what was made under them is closed."""
    outer = _CURRENT.get()
    mine = Overrides({**outer.resources, **(resources or {})}, {**outer.fakes, **(fakes or {})})
    token = _CURRENT.set(mine)
    with ExitStack() as closing:
        try:
            yield
        finally:
            for close in mine.on_exit:
                closing.callback(close)  # one that fails keeps none of the others from being closed
            with suppress(ValueError):  # left in another context than it was entered in, as some fixtures are
                _CURRENT.reset(token)

"""What users hold of a chainlet, as far as it needs no types."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fchains.definition.spec import Definition


class AnyChainlet:
    """A chainlet of any signature: what `calls=[…]` takes, and the base of the typed ones.

    A chainlet and the handles that its `.options(…)` gives are several objects with one definition.
    """

    __name__: str
    __qualname__: str

    def __init__(self, definition: Definition) -> None:
        for attribute in functools.WRAPPER_ASSIGNMENTS:
            if hasattr(definition.function, attribute):
                setattr(self, attribute, getattr(definition.function, attribute))
        self.definition = definition

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.definition.function)

    def __repr__(self) -> str:
        return repr(self.definition)


def definition_of(value: object) -> Definition | None:
    """The definition behind a chainlet or a handle made from it; None for anything else."""
    return value.definition if isinstance(value, AnyChainlet) else None

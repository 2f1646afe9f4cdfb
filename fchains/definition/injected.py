"""The mark that `use()` leaves on a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fchains.definition.resource import Resource


class Injected:
    """What `use()` leaves as a parameter's default: the resource to put there."""

    __slots__ = ("resource",)

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource

    def __repr__(self) -> str:
        return f"use({self.resource.name})"

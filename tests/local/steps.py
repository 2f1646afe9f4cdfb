"""Chainlets and resources of a module, for tests of how they travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fchains import chainlet, setup, use
from fchains.calls.chainlet import Chainlet


@setup
def model(size: str = "large") -> str:
    return f"a {size} model"


@setup
def client(*, inner: str = use(model)) -> str:
    return f"a client of {inner}"


@chainlet
def double(x: int) -> int:
    return 2 * x


@chainlet
def labelled(x: int, *, label: str = use(model.bind(size="small"))) -> str:
    return f"{label}: {x}"


quadruple = double.variant(name="quadruple", timeout=4)


def adding(n: int) -> Chainlet[[int], int, [int], int]:
    """What a factory makes belongs to the module that keeps it."""

    @chainlet(name=f"adding_{n}")
    def add(x: int) -> int:
        return x + n

    return add


def made(function: Callable[..., Any], **options: Any) -> Any:
    """A chainlet of any function."""
    return chainlet(**options)(function)

"""What `@batched` makes of functions, and what it says about everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from fchains import DefinitionError, batched, chainlet
from fchains.calls.decorator import make_chainlet
from fchains.definition.problems import collecting

batch: Callable[[object], object] = cast("Any", batched(max_size=4, max_wait=0.1))


def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def items(texts: list[str]) -> Iterator[int]:
    yield from lengths(texts)


class Service:
    def lengths(self, texts: list[str]) -> list[int]:
        return lengths(texts)


def test_it_keeps_the_function_and_the_limits() -> None:
    made = batched(max_size=4, max_wait=0.1)(lengths)
    assert made.function is lengths
    assert (made.max_size, made.max_wait) == (4, 0.1)


def test_it_cannot_be_called_without_chainlet_above_it() -> None:
    made = batched(max_size=4, max_wait=0.1)(lengths)
    assert not callable(made)
    assert "lacks @chainlet above @batched" in repr(made)


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (chainlet(lengths), "@batched stands above @chainlet", "swap them"),
        (items, "a batched function cannot yield", "return a list"),
        (Service, "not classes", "make a function of it"),
        (Service.lengths, "not methods", "out of its class"),
        (batch(lengths), "not <batched function lengths", "above a `def`"),
        (3, "not 3", "above a `def`"),
    ],
)
def test_what_it_cannot_decorate_is_refused_with_a_hint(value: object, message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        batch(value)
    assert message in str(caught.value)
    assert hint in str(caught.value)


def test_the_import_goes_on_while_problems_are_collected() -> None:
    with collecting() as problems:
        made = batch(items)
    assert len(problems) == 1
    assert problems[0].subject == "items"
    assert make_chainlet(made, {}).definition.batch is not None

from __future__ import annotations

from typing import Any, cast

import pytest

from fchains import DefinitionError, chainlet, setup, use


@setup
def small() -> int:
    return 1


@setup
def large() -> int:
    return 1000


@chainlet
def scale(value: int, *, factor: int = use(small)) -> int:
    return value * factor


def test_a_variant_gets_another_resource_by_the_name_of_its_parameter(fchains_inline: object) -> None:
    variant = scale.variant(name="scale-large", resources={"factor": large})
    assert (variant.remote(2).result(), scale.remote(2).result()) == (2000, 2)


def test_a_resource_as_a_key_is_refused_with_what_to_write() -> None:
    by_resource = cast("dict[str, Any]", {small: large})
    with pytest.raises(DefinitionError, match=r"no name of a parameter\n.*resources=\{'factor': …\}"):
        scale.variant(name="scale-large", resources=by_resource)

from __future__ import annotations

import pytest

from fchains import chainlet, setup, use


@setup
def factor() -> int:
    return 3


@chainlet
def scale(value: int, by: int = 1, *, times: int = use(factor)) -> int:
    return value * by * times


@pytest.mark.parametrize(
    ("kwargs", "message"), [({"byy": 2}, "Did you mean 'by'"), ({"times": 2}, r"use\(factor\) injects")]
)
def test_a_wrong_name_in_kwargs_is_refused_where_map_is_called(kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        scale.map([1], kwargs=kwargs, return_exceptions=True)


def test_what_all_items_share_is_passed_to_each(fchains_inline: object) -> None:
    assert list(scale.map([1, 2], kwargs={"by": 10})) == [30, 60]

from __future__ import annotations

import typing
from typing import Any, NotRequired, Optional, Union

import pytest
from pydantic import ValidationError

from fchains.wire.codec import Codec


class Inner(typing.TypedDict):
    a: int


class Outer(typing.TypedDict, total=False):
    inner: list[Inner]
    maybe: Optional[Inner]  # noqa: UP045 - both spellings
    either: Union[Inner, str]  # noqa: UP007
    free: Any


class Mixed(Inner):
    b: NotRequired[str]


def round_trip(annotation: Any, value: Any) -> Any:
    codec: Codec[Any] = Codec(annotation)
    return codec.decode(codec.encode(value, what="it"))


def test_the_typeddict_of_the_standard_library_travels() -> None:
    value = {"inner": [{"a": 1}], "maybe": None, "either": {"a": 2}, "free": [1, {"x": None}]}
    assert round_trip(Outer, value) == value
    assert round_trip(list[Outer | None], [{}, None]) == [{}, None]
    assert round_trip(dict[str, Inner], {"k": {"a": 1}}) == {"k": {"a": 1}}


def test_required_and_optional_keys_stay_what_they_are() -> None:
    assert round_trip(Mixed, {"a": 1}) == {"a": 1}
    assert round_trip(Mixed, {"a": 1, "b": "x"}) == {"a": 1, "b": "x"}
    with pytest.raises(ValidationError, match="a\n  Field required"):
        round_trip(Mixed, {"b": "x"})


def test_a_wrong_type_in_a_nested_one_names_its_path() -> None:
    with pytest.raises(ValidationError) as caught:
        round_trip(Outer, {"inner": [{"a": "x"}]})
    assert caught.value.errors()[0]["loc"][-3:] == ("inner", 0, "a")

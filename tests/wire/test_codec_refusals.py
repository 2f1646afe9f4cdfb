"""What cannot travel is refused: types when the codec is made, values where they are sent."""

import asyncio
import concurrent.futures
import io
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Literal, NewType, TypeVar

import numpy as np
import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from fchains.errors import SerializationError
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec, UntransferableType
from fchains.wire.tagged import encode_tagged
from tests.wire import samples

_make_variable: Any = TypeVar
VARIABLE = _make_variable("T")


def _list_of(item: Any) -> Any:
    generic: Any = list
    return generic[item]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            threading.Lock,
            "`threading.Lock` cannot travel between processes: pass what it protects, or make it in a @setup",
        ),
        (list[threading.Event], "`threading.Event` .* pass what it protects"),
        (dict[str, samples.Foreign], r"`tests.wire.samples.Foreign` .* pydantic model, a dataclass"),
        (Callable[[int], int], "a callable cannot travel"),
        (Iterator[int], r"pass list\(value\)"),
        (Generator[int], r"read only once .* annotate list"),
        (list[AsyncIterator[int]], "only a whole parameter"),
        (io.BytesIO, "pass its path, or its contents as bytes"),
        (asyncio.Future, "await it"),
        (concurrent.futures.Future, "wait for it"),
        (VARIABLE, "the type variable `T`"),
        (_list_of(VARIABLE), "the type variable `T`"),
        (BaseModel, "`pydantic.BaseModel` itself"),
        (type[int], "a class cannot travel"),
        (Exception, "raise it"),
        (memoryview, r"pass bytes\(value\)"),
        (np.float32, r"value.item\(\)"),
        ("Missing", "'Missing' is not defined"),
    ],
)
def test_a_type_that_cannot_travel_is_refused_with_a_way_out(annotation: Any, message: str) -> None:
    with pytest.raises(UntransferableType, match=message) as caught:
        Codec(annotation)
    assert str(caught.value).startswith(caught.value.reason)
    assert str(caught.value).endswith(caught.value.hint)


def encode(value: object) -> None:
    encode_tagged(value, ClassLookup(), what="argument `x`")


_make_alias: Any = TypeAliasType
SETTINGS = _make_alias("SETTINGS", dict[str, Any])
JSON = _make_alias("JSON", "dict[str, JSON] | list[JSON] | int | None")


class Text(str):
    __slots__ = ()


UNSENDABLE: list[tuple[Any, str]] = [
    (
        {"a": [1, threading.Lock()]},
        r"argument `x`\['a'\]\[1\]: a `_thread.lock` .* pass what it protects",
    ),
    (samples.Anything(value=samples.Foreign(1)), r"argument `x`.value: a `tests.wire.samples.Foreign`"),
    (samples.Crate(open), "argument `x`.content: a `builtin_function_or_method` .* call it"),
    (memoryview(b"a"), r"pass bytes\(value\)"),
    (iter([1]), r"pass list\(value\)"),
    (Text("a"), r"Text` .* pass str\(value\)"),
    (int, "a `type` .* pass its name"),
    (ValueError("a"), r"raise it, or pass str\(value\)"),
    ("\ud800", "not Unicode"),
    (np.array([object()]), "dtype object"),
    (np.ma.array([1]), r"numpy.asarray"),
    (np.datetime64("2024-01-01", "ns"), "no exact Python equal"),
]


@pytest.mark.parametrize(("value", "message"), UNSENDABLE)
def test_a_value_that_cannot_travel_is_refused_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(SerializationError, match="contains itself"):
        encode(loop)
    with pytest.raises(SerializationError, match="contains itself"):
        Codec[Any](list[Any]).encode(loop, what="value")


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = ()
    for _ in range(120):
        deep = (deep,)
    with pytest.raises(SerializationError, match="nested too deeply"):
        encode(deep)


def test_an_instance_of_a_local_class_is_refused() -> None:
    class Local(BaseModel):
        a: int

    with pytest.raises(SerializationError, match=r"Local` cannot be found by its name .* module level"):
        encode([Local(a=1)])


def test_any_allows_values_like_json_only() -> None:
    codec: Codec[Any] = Codec(dict[str, Any])
    value = {"a": [1, None, {"b": True, "c": 1.5}], "d": "text", "e": np.float64(0.5)}
    assert codec.decode(codec.encode(value, what="value")) == value
    for wrong, name in [({1}, "set"), ((1,), "tuple"), (samples.Point(x=1, y=2), "tests.wire.samples.Point")]:
        with pytest.raises(SerializationError) as caught:
            codec.encode({"a": [1, wrong]}, what="argument `x`")
        assert str(caught.value) == (
            f"argument `x`.a[1]: `Any` allows JSON-like values only, got a {name}: annotate its type"
        )


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (list, [1, {"a": None}]),
        (dict, {"a": 1, 2: 3}),
        (tuple, (1, "a")),
        (set, {1, "a"}),
        (object, {"a": 1}),
        (list[dict[str, Any] | None], [{"a": 1}, None]),
        (NewType("Settings", dict[str, Any]), {"a": 1}),
        (SETTINGS, {"a": {"b": 1}}),
        (_list_of(JSON), [{"a": [1, {"b": None}]}]),
    ],
)
def test_bare_containers_hold_values_like_json(annotation: Any, value: Any) -> None:
    codec: Codec[Any] = Codec(annotation)
    assert codec.decode(codec.encode(value, what="value")) == value


def test_other_annotations_beside_any_keep_their_types() -> None:
    codec: Codec[Any] = Codec(tuple[Any, samples.Point, Literal["a"]])
    value = ({"a": 1}, samples.Point(x=1, y=2), "a")
    assert codec.decode(codec.encode(value, what="value")) == value

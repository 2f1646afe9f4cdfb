"""The arguments of a call: what is given arrives, what is wrong is named."""

import base64
import json
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from fchains.errors import InvalidArguments, SerializationError
from fchains.wire.arguments import ArgumentsCodec
from fchains.wire.payload import Payload
from fchains.wire.refusal import UntransferableType
from tests.wire import samples
from tests.wire.equality import same

FIELDS: dict[str, Any] = {
    "url": str,
    "depth": int,
    "mode": Literal["fast", "good"] | None,
    "points": list[samples.Point],
    "options": samples.Options,
    "extra": dict[str, Any],
    "data": bytes,
    "grid": NDArray[np.float32],
}
CODEC = ArgumentsCodec(FIELDS, ["url"])


@pytest.mark.parametrize(
    "values",
    [
        {"url": "a"},
        {"url": "a", "depth": 3, "mode": None},
        {"url": "a", "points": [samples.Point(x=1, y=2)], "options": {"depth": 1, "value": 0.5}},
        {"url": "a", "extra": {"$": 1, "b": [None]}, "data": b"\xff", "grid": np.ones((2, 2), "f4")},
    ],
)
def test_what_is_given_arrives(values: dict[str, Any]) -> None:
    arrived = CODEC.decode(CODEC.encode(values))
    assert arrived.keys() == values.keys()
    for name, value in values.items():
        assert np.array_equal(arrived[name], value) if name == "grid" else same(arrived[name], value)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    codec = ArgumentsCodec({"a": int}, [])
    assert codec.encode({}) == Payload(b"{}")
    assert codec.decode(Payload(b"{}")) == {}
    assert ArgumentsCodec({}, []).decode(Payload(b"{}")) == {}


def test_scalars_go_without_tags() -> None:
    codec = ArgumentsCodec({"a": int, "b": str}, ["a"])
    assert codec.encode({"a": 1, "b": "x"}) == Payload(b'{"a":1,"b":"x"}')


def test_numpy_scalars_are_taken_as_numbers() -> None:
    codec = ArgumentsCodec({"a": int, "b": float, "c": bool}, [])
    arrived = codec.decode(codec.encode({"a": np.int64(3), "b": np.float32(0.5), "c": np.True_}))
    assert same(arrived, {"a": 3, "b": 0.5, "c": True})


def message(codec: ArgumentsCodec, values: dict[str, Any]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        codec.decode(codec.encode(values))
    return str(caught.value)


def test_each_error_is_one_line_with_the_path() -> None:
    codec = ArgumentsCodec({"a": int, "b": dict[str, list[int | str]], "c": list[samples.Point]}, ["a"])
    assert message(codec, {"a": "x"}) == "`a`: Input should be a valid integer, got 'x' (str)"
    assert message(codec, {"b": {}}) == "`a`: a value is required"
    assert message(codec, {"a": True, "b": {"path": [1, 2, 3, None]}}).splitlines() == [
        "`a`: Input should be a valid integer, got True (bool)",
        "`b.path[3]`: Input should be a valid integer, got None (NoneType)",
        "`b.path[3]`: Input should be a valid string, got None (NoneType)",
    ]
    assert message(codec, {"a": 1, "c": [{"x": 1}]}).startswith(
        "`c[0]`: Input should be an instance of Point"
    )


def test_errors_are_plain_data_that_starts_with_the_parameter() -> None:
    codec = ArgumentsCodec({"a": list[int]}, ["a"])
    with pytest.raises(InvalidArguments) as caught:
        codec.decode(codec.encode({"a": [1, {2}]}))
    assert caught.value.errors == [
        {"type": "int_type", "loc": ["a", 1], "msg": "Input should be a valid integer", "input": "{2}"}
    ]


def test_a_value_that_cannot_travel_is_named_by_its_parameter() -> None:
    codec = ArgumentsCodec({"a": int, "options": dict[str, list[samples.Anything]]}, [])
    with pytest.raises(SerializationError, match=r"^argument `options`\['path'\]\[0\].value: a `function`"):
        codec.encode({"options": {"path": [samples.Anything(value=lambda: 1)]}})

    class Text(str):
        __slots__ = ()

    with pytest.raises(SerializationError, match=r"^argument `url`: .*pass str\(value\)"):
        CODEC.encode({"url": Text("a")})
    with pytest.raises(SerializationError, match=r"^argument `extra`.a: `Any` allows"):
        CODEC.encode({"url": "a", "data": b"1", "extra": {"a": {1}}})


def test_a_parameter_whose_type_cannot_travel_is_named() -> None:
    with pytest.raises(UntransferableType, match=r"^parameter `b`: a callable cannot travel"):
        ArgumentsCodec({"a": int, "b": list[Callable[[], int]]}, [])


def test_a_clients_json_is_read_as_pydantic_does() -> None:
    text = base64.b64encode(b"\xff\xfe").decode()
    body = {"url": "a", "depth": "3", "points": [{"x": 1, "y": "2"}], "data": text, "grid": [[1, 2]]}
    values = CODEC.parse_json(json.dumps(body))
    assert values["depth"] == 3
    assert values["points"] == [samples.Point(x=1, y=2)]
    assert values["data"] == b"\xff\xfe"
    assert values["grid"].dtype == np.float32
    assert values["grid"].tolist() == [[1.0, 2.0]]


def test_parsed_objects_are_read_the_same_way() -> None:
    assert CODEC.parse_object({"url": "a", "data": b"\xff", "depth": "1"}) == {
        "url": "a",
        "depth": 1,
        "data": b"\xff",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"url": "a", "dept": 1}', "`dept` is not a parameter; did you mean `depth`?"),
        ('{"url": "a", "zzzz": 1}', "`zzzz` is not a parameter; the parameters are: url, depth,"),
        ("{}", "`url`: a value is required"),
        ('{"url": "a", "options": {}}', "`options.depth`: a value is required"),
        ("[]", "Input should be an object, got [] (list)"),
        ("{", "Invalid JSON: "),
        ('{"url": "a", "grid": [[1], [2, 3]]}', "`grid`: Input should be an array: "),
    ],
)
def test_what_is_wrong_in_a_clients_json_is_named(text: str, expected: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        CODEC.parse_json(text)
    assert str(caught.value).startswith(expected)


def test_there_is_a_json_schema_for_every_signature() -> None:
    schema = CODEC.json_schema()
    assert schema["required"] == ["url"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["data"]["type"] == "string"
    assert ArgumentsCodec({"a": samples.Holder, "b": complex}, []).json_schema()["properties"].keys() == {
        "a",
        "b",
    }

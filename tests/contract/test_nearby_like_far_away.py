"""A call in this process goes the way of a remote one: what deployment would break, breaks here first."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import BaseModel

from fchains import InvalidArguments, InvalidResult, RemoteError, SerializationError, chainlet, setup, use


class Box(BaseModel, frozen=True):
    content: list[int]


class TwoArguments(Exception):
    """`super().__init__` gets one text, `__init__` takes two values: no naive copy can be made of it."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code
        self.where = where


class Model:
    """A resource's value, with a lock in it, that never travels."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = 0


@setup
def model() -> Model:
    return Model()


@chainlet
def defaults(a: int, b: int = 2, *, c: list[int] | None = None) -> tuple[int, int, list[int] | None]:
    return a, b, c


@chainlet
async def calls_with_defaults(a: int) -> tuple[int, int, list[int] | None]:
    return await defaults.remote(a)


@chainlet
def grow(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    numbers += 1
    return numbers


@chainlet
async def grow_twice(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    once = await grow.remote(numbers)
    once += 1
    return once


@chainlet
def append(values: list[int], table: dict[str, list[int]]) -> int:
    values.append(1)
    table["new"] = values
    return len(values)


@chainlet
def falsy(kind: str) -> int | str | bool | list[int] | None:
    values: dict[str, int | str | bool | list[int] | None]
    values = {"zero": 0, "empty": "", "false": False, "list": [], "none": None}
    return values[kind]


@chainlet
def wrong(kind: str) -> list[int]:
    values: dict[str, Any] = {"text": "12", "items": ["1"], "none": None, "array": np.array([1, 2])}
    return values[kind]  # type: ignore[no-any-return]


@chainlet
def returns_its_model(*, model: Model = use(model)) -> Any:
    return model


@chainlet
def count_calls(*, model: Model = use(model)) -> int:
    model.calls += 1
    return model.calls


@chainlet(group="shares", replicas=1)
def first_of_a_group(*, model: Model = use(model)) -> int:
    return id(model)


@chainlet(group="shares", replicas=1)
async def second_of_a_group(*, model: Model = use(model)) -> int:
    return id(model)


@chainlet
def takes_anything(value: Any) -> Any:
    return value


@chainlet
def fail(kind: str) -> None:
    match kind:
        case "two":
            raise TwoArguments(7, "home")
        case "key":
            raise KeyError("missing")
        case "validation":
            Box.model_validate({"content": ["x"]})
        case "unpicklable":
            error = RuntimeError("holds a lock", threading.Lock())
            vars(error)["lock"] = threading.Lock()
            raise error
        case "cause":
            try:
                raise ConnectionError("the first")
            except ConnectionError as cause:
                raise TwoArguments(8, "work") from cause
        case "bad repr":
            raise RuntimeError(BadRepr())
        case _:
            raise AssertionError(kind)


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no text for me")


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


async def test_defaults_apply_from_python_and_from_a_chainlet() -> None:
    assert await defaults.remote(1) == (1, 2, None)
    assert await calls_with_defaults.remote(1) == (1, 2, None)


async def test_an_explicit_none_does_not_stand_for_a_default() -> None:
    with pytest.raises(InvalidArguments, match=r"`?b`?"):
        await defaults.remote(1, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArguments, match=r"`?b`?"):
        defaults.definition.types.arguments.parse_json('{"a": 1, "b": null}')


def test_unknown_and_misspelt_keys_of_a_clients_json_are_refused() -> None:
    with pytest.raises(InvalidArguments, match="bb"):
        defaults.definition.types.arguments.parse_json('{"a": 1, "bb": 3}')


async def test_arrays_can_be_written_to_where_they_arrive_and_the_senders_stay_as_they_are() -> None:
    mine = np.zeros(3)
    assert (await grow_twice.remote(mine)).tolist() == [2, 2, 2]
    assert mine.tolist() == [0, 0, 0]
    result = await grow.remote(mine)
    result += 1
    assert result.tolist() == [2, 2, 2]


async def test_what_a_callee_changes_stays_with_the_callee() -> None:
    values, table = [0], {"old": [1]}
    assert await append.remote(values, table) == 2
    assert (values, table) == ([0], {"old": [1]})


async def test_what_a_caller_changes_after_the_call_is_not_seen_by_the_callee() -> None:
    values = [0]
    call = append.remote(values, {})
    values += [1, 2, 3]
    assert await call == 2


async def test_results_that_count_as_false_are_results() -> None:
    assert [await falsy.remote(kind) for kind in ("zero", "empty", "false", "list", "none")] == [
        0,
        "",
        False,
        [],
        None,
    ]
    assert await falsy.map(["zero", "none", "empty"]) == [0, None, ""]


@pytest.mark.parametrize("kind", ["text", "items", "none", "array"])
async def test_a_wrong_result_is_named_with_its_chainlet_before_it_reaches_the_caller(kind: str) -> None:
    with pytest.raises(InvalidResult, match="wrong"):
        await wrong.remote(kind)


async def test_what_cannot_travel_is_named_with_its_argument_at_the_call() -> None:
    with pytest.raises(SerializationError, match=r"`value`.*\[1\].*lock"):
        takes_anything.remote({"a": [1, threading.Lock()]})
    with pytest.raises(SerializationError, match=r"the result of returns_its_model.*Model"):
        await returns_its_model.remote()


async def test_an_open_file_is_refused_and_not_read() -> None:
    with open(__file__) as file, pytest.raises(SerializationError, match=r"`value`"):  # noqa: ASYNC230, PTH123
        takes_anything.remote(file)


async def test_a_resource_is_shared_by_its_replica_and_reached_through_calls_alone() -> None:
    assert [await count_calls.remote() for _ in range(3)] == [1, 2, 3]
    assert count_calls() == 1, "a plain call has a resource of its own"


async def test_chainlets_of_a_group_share_one_resource() -> None:
    assert await first_of_a_group.remote() == await second_of_a_group.remote()


async def test_an_exception_with_another_constructor_keeps_class_attributes_and_cause() -> None:
    with pytest.raises(TwoArguments) as caught:
        await fail.remote("two")
    assert (caught.value.code, caught.value.where, caught.value.args) == (7, "home", ("7 at home",))
    with pytest.raises(TwoArguments) as caught:
        await fail.remote("cause")
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert str(caught.value.__cause__) == "the first"


async def test_the_message_of_an_exception_is_not_replaced_by_a_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        await fail.remote("key")
    assert caught.value.args == ("missing",)
    assert "raise KeyError" in "".join(traceback.format_exception(caught.value))


async def test_an_exception_of_a_library_arrives_with_its_text() -> None:
    with pytest.raises((ValueError, RemoteError), match="valid integer"):
        await fail.remote("validation")


@pytest.mark.parametrize("kind", ["unpicklable", "bad repr"])
async def test_an_exception_that_cannot_travel_whole_still_arrives_and_harms_nobody(kind: str) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await fail.remote(kind)
    with pytest.raises(KeyError):
        await fail.remote("key")

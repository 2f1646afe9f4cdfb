"""Models and dataclasses arrive in the state in which they left."""

import dataclasses
from typing import Any

import pytest
from pydantic import BaseModel

from fchains.errors import SerializationError
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec
from fchains.wire.tagged import encode_tagged
from tests.wire import samples
from tests.wire.equality import same


def carried(annotation: Any, value: Any) -> Any:
    codec: Codec[Any] = Codec(annotation)
    return codec.decode(codec.encode(value, what="value"))


def test_a_subclass_instance_arrives_as_itself() -> None:
    value = samples.Point3(x=1, y=2, z=3)
    assert same(carried(samples.Point, value), value)
    assert same(carried(list[samples.Point], [value]), [value])
    assert same(carried(samples.Size, samples.Volume(1, 2, 3)), samples.Volume(1, 2, 3))


def test_a_subclass_made_after_the_codec_arrives_as_itself() -> None:
    class Base(BaseModel):
        a: int

    codec: Codec[Any] = Codec(Base)
    assert not codec.encode(Base(a=1), what="value").tagged

    class Derived(Base):
        b: int

    assert codec.encode(Base(a=1), what="value").tagged
    with pytest.raises(SerializationError, match=r"^the result: `.*Derived` .* define it at module level"):
        codec.encode(Derived(a=1, b=2), what="the result")


def test_classes_of_the_annotation_may_be_local_ones() -> None:
    class Inner(BaseModel):
        number: complex

    @dataclasses.dataclass
    class Outer:
        inner: Inner

    value = Outer(Inner(number=1j))
    assert same(carried(Outer, value), value)


def test_validators_do_not_run_again() -> None:
    value = samples.Hashed(secret="word")
    assert value.secret == "hash(word)"
    assert carried(samples.Hashed, value).secret == "hash(word)"
    assert carried(dict[str, samples.Hashed], {"a": value})["a"].secret == "hash(word)"


def test_post_init_does_not_run_again() -> None:
    value = samples.Derived("ab", doubled=True)
    arrived = carried(samples.Derived, value)
    assert (arrived.text, arrived.length) == ("ab!", 4)


def test_private_attributes_travel() -> None:
    value = samples.Private(name="a")
    value.see()
    assert same(carried(samples.Private, value), value)
    assert carried(samples.Private, value).see() == 2


@pytest.mark.parametrize(
    "value",
    [
        samples.Basket(),
        samples.Basket(owner="nobody"),
        samples.Basket(items=[], labels={}),
        samples.Reading(value=1.0, maybe=None),
        samples.Ticket(),
        samples.Aliased.model_validate({"innerName": 1, "OTHER": "x"}),
        samples.Open.model_validate({"name": "a", "when": {1, 2}}),
        samples.Numbers([1, 2]),
    ],
)
def test_which_fields_were_set_is_kept(value: BaseModel) -> None:
    arrived = carried(type(value), value)
    assert same(arrived, value)
    assert arrived.model_fields_set == value.model_fields_set


def test_a_default_that_was_changed_in_place_is_kept() -> None:
    value = samples.Basket()
    value.items.append(samples.Place(x=1, y=2))
    assert "items" not in value.model_fields_set
    assert same(carried(samples.Basket, value), value)


def test_hidden_and_computed_fields_do_not_get_in_the_way() -> None:
    assert same(carried(samples.Hidden, samples.Hidden(shown=1, hidden=2)), samples.Hidden(shown=1, hidden=2))
    assert same(carried(samples.Closed, samples.Closed(name="a")), samples.Closed(name="a"))


@pytest.mark.parametrize(
    "annotation",
    [
        samples.Reading,
        list[samples.Reading],
        tuple[samples.Reading, int],
        dict[str, samples.Reading],
        samples.Reading | int,
        samples.Reading | None,
        samples.Box[samples.Reading],
    ],
)
def test_not_a_number_survives_in_models_that_write_it_as_null(annotation: Any) -> None:
    reading = samples.Reading(value=float("nan"), maybe=float("inf"))
    value = {
        list[samples.Reading]: [reading],
        tuple[samples.Reading, int]: (reading, 1),
        dict[str, samples.Reading]: {"a": reading},
        samples.Box[samples.Reading]: samples.Box[samples.Reading](content=reading),
    }.get(annotation, reading)
    codec: Codec[Any] = Codec(annotation)
    payload = codec.encode(value, what="value")
    assert not payload.tagged
    assert same(codec.decode(payload), value)


def test_recursive_models_travel() -> None:
    value = samples.Tree(value=1)
    for number in range(60):
        value = samples.Tree(value=number, left=value)
    assert same(carried(samples.Tree, value), value)


def test_generic_models_are_found_by_their_origin_and_arguments() -> None:
    value = [samples.Box[int](content=1), samples.Box[list[str] | None](content=None)]
    assert same(carried(samples.Anything, samples.Anything(value=value)).value, value)
    nested = samples.Box[samples.Box[int]](content=samples.Box[int](content=1))
    assert same(carried(samples.Box[samples.Box[int]], nested), nested)
    assert same(carried(samples.Box, nested), nested)


def test_generic_dataclasses_travel() -> None:
    value = samples.Crate[int](1)
    assert same(carried(samples.Crate[int], value), value)
    assert carried(samples.Crate, value).content == 1


def test_a_field_of_any_type_keeps_the_type_of_its_value() -> None:
    value = samples.Anything(value={"set": {1}, "point": samples.Point(x=1, y=2)})
    assert same(carried(samples.Anything, value), value)


def test_attributes_that_are_no_fields_travel_with_a_tagged_dataclass() -> None:
    value = samples.Derived("a")
    value.note = "seen"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert carried(samples.Derived, value).note == "seen"


def test_a_dataclass_that_is_also_a_builtin_container_is_refused() -> None:
    @dataclasses.dataclass
    class Odd(list[int]):
        a: int = 0

    with pytest.raises(SerializationError, match=r"pass list\(value\)"):
        encode_tagged(Odd(), ClassLookup([Odd]), what="value")

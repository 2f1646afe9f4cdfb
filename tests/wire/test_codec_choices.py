"""Values that look alike in JSON keep their own type."""

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, Union
from uuid import UUID

import pytest
from pydantic import ValidationError

from fchains.wire.codec import Codec
from tests.wire import samples
from tests.wire.equality import same

POINT = samples.Point(x=1, y=2)
PLACE = samples.Place(x=1, y=2)
NOW = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


def carried(annotation: Any, value: Any) -> Any:
    codec: Codec[Any] = Codec(annotation)
    return codec.decode(codec.encode(value, what="value"))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (samples.Point | samples.Place, POINT),
        (samples.Point | samples.Place, PLACE),
        (samples.Place | samples.Point, POINT),
        (list[samples.Point] | list[samples.Place], [PLACE]),
        (samples.Size | samples.Area, samples.Area(1, 2)),
        (samples.Size | samples.Area, samples.Size(1, 2)),
        (samples.Size | samples.Point | dict[str, int], {"width": 1, "height": 2}),
        (samples.Point | dict[str, int], {"x": 1, "y": 2}),
        (samples.Point | samples.Options, {"depth": 1}),
        (samples.Color | Literal["red"], "red"),
        (samples.Color | Literal["red"], samples.Color.RED),
        (samples.Mood | str, samples.Mood.GOOD),
        (samples.Mood | str, "good"),
        (samples.Level | int, samples.Level.LOW),
        (samples.Level | int, 1),
        (samples.Level | float, samples.Level.LOW),
        (datetime | str, NOW),
        (datetime | str, NOW.isoformat()),
        (datetime | date, NOW),
        (date | datetime, date(2024, 2, 29)),
        (UUID | str, UUID(int=1)),
        (UUID | str, str(UUID(int=1))),
        (set[int] | list[int], {1}),
        (set[int] | list[int], [1]),
        (tuple[int, ...] | list[int], (1,)),
        (tuple[int, ...] | list[int], [1]),
        (frozenset[int] | set[int], {1}),
        (bool | int, True),
        (bool | int, 1),
        (int | float, 1),
        (int | float, 1.0),
        (float | int, 1),
        (Literal[1, True], True),
        (Literal[True, 1], 1),
        (bytes | str, b"a"),
        (bytes | str, "a"),
        (int | str | None, None),
        (samples.Point | int | None, POINT),
    ],
)
def test_a_choice_arrives_as_the_type_that_was_sent(annotation: Any, value: Any) -> None:
    assert same(carried(annotation, value), value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (float, True),
        (int, 1.0),
        (int, "1"),
        (str, 1),
        (bool, 1),
        (str, b"a"),
        (bytes, "a"),
        (bytes, bytearray(b"a")),
        (date, NOW),
        (datetime, NOW.isoformat()),
        (list[int], (1,)),
        (list[int], {1}),
        (tuple[int, ...], [1]),
        (set[int], [1]),
        (list[int], [True]),
        (dict[str, float], {"a": True}),
        (samples.Color, "red"),
        (samples.Point, {"x": 1, "y": 2}),
        (samples.Point, PLACE),
        (list[samples.Point], [POINT, PLACE]),
        (samples.Size, samples.Area(1)),
        (dict[str, samples.Size], {"a": samples.Area(1)}),
        (samples.Size, {"width": 1}),
        (Literal["a"], "b"),
        (int | str, 1.5),
        (tuple[()], (1,)),
    ],
)
def test_a_value_of_another_type_is_refused_where_it_arrives(annotation: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        carried(annotation, value)


def test_an_integer_is_taken_for_a_float() -> None:
    assert same(carried(float, 1), 1.0)
    assert same(carried(list[float], [1, 2.5]), [1.0, 2.5])


def test_values_that_json_tells_apart_go_without_tags() -> None:
    class Answer(enum.Enum):
        YES = "yes"

    for annotation, value in [
        (int | str | None, "a"),
        (float | bool | list[int], [1]),
        (samples.Place | int, PLACE),
        (Answer, Answer.YES),
        (dict[UUID, set[date]], {UUID(int=1): {date(2024, 1, 1)}}),
        (list[samples.Reading], [samples.Reading(value=1.5, at=NOW)]),
        (tuple[datetime, time, timedelta], (datetime(2024, 1, 1), time(1, 2), timedelta(3))),
        (dict[str, Decimal], {"a": Decimal("1.50")}),
        (samples.Basket, samples.Basket(owner="a")),
        (samples.Shelf, samples.Shelf([samples.Area(1)])),
        (Union[samples.Tree, None], samples.Tree(value=1)),  # noqa: UP007
    ]:
        codec: Codec[Any] = Codec(annotation)
        payload = codec.encode(value, what="value")
        assert not payload.tagged, annotation
        assert same(codec.decode(payload), value)


def test_a_directly_passed_enum_of_strings_is_not_cut_down_on_the_way() -> None:
    payload = Codec[Any](str).encode(samples.Mood.GOOD, what="value")
    assert payload.tagged
    assert b"Mood" in payload.body

"""Types that others refuse, or change on the way."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Optional

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from fchains import chainlet


class Frozen(BaseModel, frozen=True):
    x: int


class Box(BaseModel, frozen=True):
    content: list[int]


class Color(enum.Enum):
    RED = 1


@dataclass
class Point:
    x: float


class Row(TypedDict):
    a: int


class Pair(NamedTuple):
    a: int
    b: str


@pytest.fixture(autouse=True)
def inline(fchains_inline: object) -> None:
    """Calls run in this process."""


ACCEPTED: list[tuple[Any, Any]] = [
    (Optional[int], None),  # noqa: UP045
    (int | None, 1),
    (int | str, "1"),
    (Any, {"a": [1, None, "x"]}),
    (list, [1, "a"]),
    (dict, {"a": 1}),
    (list[list[int]], [[1], []]),
    (dict[str, Any], {"a": [1]}),
    (dict[str, list[int]], {"a": [1]}),
    (list[dict[str, str]], [{"a": "b"}]),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (Literal["a", "b"], "a"),
    (Color, Color.RED),
    (dt.datetime, dt.datetime(2024, 1, 2, tzinfo=dt.UTC)),
    (dt.timedelta, dt.timedelta(microseconds=1)),
    (Point, Point(1.5)),
    (Row, {"a": 1}),
    (Pair, Pair(1, "b")),
    (list[Optional[int]], [1, None]),  # noqa: UP045
    (Annotated[int, Field(gt=0)], 1),
    (Sequence[int], [1, 2]),
    (complex, 1 + 2j),
    (bytes, b"\xff\xfe\x00"),
    (str, "\x00ä🙂"),
    (dict[Frozen, int], {Frozen(x=1): 2}),
    (Box, Box(content=[1])),
    (int, 2**200),
    (float, float("inf")),
]


@pytest.mark.parametrize(("annotation", "value"), ACCEPTED, ids=str)
async def test_types_that_others_refuse_or_change_come_back_as_they_are(annotation: Any, value: Any) -> None:
    def echo(value: Any) -> Any:
        return value

    echo.__annotations__ = {"value": annotation, "return": annotation}
    got: object = await chainlet(echo).remote(value)
    assert got == value
    assert type(got) is type(value)

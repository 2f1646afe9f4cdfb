"""Random values of every kind that travels, and random annotations with values that fit them."""

from __future__ import annotations

import ipaddress
import re
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import HttpUrl, PostgresDsn, SecretBytes, SecretStr

from tests.wire import samples

Fitting = tuple[Any, Any]
"""An annotation and a value that fits it."""
Values = SearchStrategy[Any]

_offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_named = st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), timezone(timedelta(hours=2), "here")])
_clock_zones = st.one_of(st.none(), st.just(UTC), _offsets)

SCALARS: dict[Any, Values] = {
    None: st.none(),
    bool: st.booleans(),
    int: st.integers(-(10**40), 10**40),
    float: st.floats(),
    str: st.text(),
    bytes: st.binary(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.one_of(_clock_zones, _named)),
    time: st.times(timezones=_clock_zones),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    samples.Color: st.sampled_from(samples.Color),
    samples.Level: st.sampled_from(samples.Level),
    samples.Mood: st.sampled_from(samples.Mood),
    samples.Access: st.sampled_from([*samples.Access, samples.Access(3), samples.Access(0)]),
    samples.Odd: st.sampled_from(samples.Odd),
    typing.Literal["a", 1, True] | None: st.sampled_from(["a", 1, True, None]),
    Path: st.sampled_from([Path("/tmp/a"), Path("b/c.txt")]),
    complex: st.complex_numbers(allow_nan=False),
}
"""Annotations without parts."""

OTHER_KINDS: Values = st.one_of(
    st.binary().map(bytearray),
    st.fractions(),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 5)),
    st.ip_addresses(),
    st.sampled_from([PurePosixPath("a/b"), PureWindowsPath("c:\\d"), Path()]),
    st.sampled_from([re.compile("a+", re.IGNORECASE), re.compile(b"\xff.")]),
    st.sampled_from([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64")]),
    st.sampled_from([HttpUrl("https://a.b/c?d=1"), PostgresDsn("postgres://u:p@h:1/db")]),
    st.sampled_from([SecretStr("secret"), SecretBytes(b"\xfe")]),
    _named,
    _offsets,
)


_atoms = st.one_of(*SCALARS.values(), OTHER_KINDS)
_keys = st.one_of(st.text(), st.integers(), st.booleans(), st.just("$"), st.tuples(st.integers()), st.dates())


def _defaulting(items: dict[Any, Any]) -> defaultdict[Any, Any]:
    return defaultdict(list, items)


def _bounded(items: list[Any]) -> deque[Any]:
    return deque(items, maxlen=5)


def _containers(values: Values) -> Values:
    pairs = st.dictionaries(_keys, values, max_size=3)
    return st.one_of(
        st.lists(values, max_size=3),
        st.lists(values, max_size=3).map(tuple),
        st.lists(values, max_size=3).map(_bounded),
        st.dictionaries(st.text(), values, max_size=3),
        pairs,
        pairs.map(OrderedDict),
        pairs.map(_defaulting),
        st.builds(samples.Anything, value=values),
        st.builds(samples.Open, name=st.text(), other=values),
        st.builds(samples.Crate[Any], values),
        st.tuples(st.integers(), st.text()).map(samples.Pair._make),
    )


any_values: Values = st.recursive(
    st.one_of(
        _atoms,
        st.sets(st.one_of(st.integers(), st.text()), max_size=3),
        st.frozensets(st.dates(), max_size=3),
        st.text().map(Counter),
    ),
    _containers,
    max_leaves=8,
)
"""Values of every kind, nested."""

_models: list[SearchStrategy[Fitting]] = [
    st.tuples(st.just(samples.Point), st.builds(samples.Point, x=st.integers(), y=st.integers())),
    st.tuples(
        st.just(samples.Reading),
        st.builds(
            samples.Reading,
            value=st.floats(),
            maybe=st.one_of(st.none(), st.floats()),
            at=st.one_of(st.none(), SCALARS[datetime]),
        ),
    ),
    st.tuples(
        st.just(samples.Basket),
        st.one_of(
            st.builds(samples.Basket),
            st.builds(samples.Basket, items=st.just([samples.Place(x=1, y=2)])),
            st.builds(samples.Basket, labels=st.just({"a": 1}), owner=st.text()),
        ),
    ),
    st.tuples(
        st.just(samples.Tree),
        st.recursive(
            st.builds(samples.Tree, value=st.integers()),
            lambda trees: st.builds(samples.Tree, value=st.integers(), left=trees, right=trees),
            max_leaves=4,
        ),
    ),
    st.tuples(st.just(samples.Aliased), st.builds(samples.Aliased, innerName=st.integers())),
    st.tuples(st.just(samples.Populated), st.builds(samples.Populated, inner_name=st.integers())),
    st.tuples(st.just(samples.Ticket), st.builds(samples.Ticket)),
    st.tuples(st.just(samples.Closed), st.builds(samples.Closed, name=st.text())),
    st.tuples(st.just(samples.Numbers), st.builds(samples.Numbers, st.lists(st.integers()))),
    st.tuples(st.just(samples.Box[int]), st.builds(samples.Box[int], content=st.integers())),
    st.tuples(
        st.just(samples.Pet),
        st.one_of(st.builds(samples.Cat, name=st.text()), st.builds(samples.Dog, name=st.text())),
    ),
    st.tuples(st.just(samples.Size), st.builds(samples.Size, width=st.integers())),
    st.tuples(st.just(samples.Frozen), st.builds(samples.Frozen, st.text(), st.lists(st.text()).map(tuple))),
    st.tuples(st.just(samples.Derived), st.builds(samples.Derived, st.text())),
    st.tuples(
        st.just(samples.Shelf),
        st.builds(
            samples.Shelf,
            st.lists(st.builds(samples.Area, st.integers()), max_size=2),
            value=st.one_of(st.none(), st.floats()),
        ),
    ),
    st.tuples(st.just(samples.Checked), st.builds(samples.Checked, st.integers(0, 9))),
    st.tuples(st.just(samples.Pair), st.builds(samples.Pair, st.integers(), st.text())),
    st.tuples(
        st.just(samples.Options),
        st.one_of(
            st.integers().map(lambda depth: {"depth": depth}),
            st.tuples(st.integers(), st.floats()).map(lambda both: {"depth": both[0], "value": both[1]}),
        ),
    ),
]

_scalars: SearchStrategy[Fitting] = st.sampled_from(list(SCALARS)).flatmap(
    lambda annotation: st.tuples(st.just(annotation), SCALARS[annotation])
)
_hashable_scalars = st.sampled_from([int, str, UUID, date, samples.Color, Decimal, tuple[int, ...]])
_HASHABLE: dict[Any, Values] = {**SCALARS, tuple[int, ...]: st.lists(st.integers(), max_size=2).map(tuple)}


def _of(generic: Any, *arguments: Any) -> Any:
    return generic[arguments]


@st.composite
def _sets(draw: st.DrawFn) -> Fitting:
    item = draw(_hashable_scalars)
    kind: Any = draw(st.sampled_from([set, frozenset]))
    return _of(kind, item), kind(draw(st.lists(_HASHABLE[item], max_size=3)))


@st.composite
def _lists(draw: st.DrawFn, inner: SearchStrategy[Fitting]) -> Fitting:
    annotation, value = draw(inner)
    items = [value] * draw(st.integers(0, 2))
    choices: list[Fitting] = [
        (_of(list, annotation), items),
        (_of(tuple, annotation, ...), tuple(items)),
        (_of(deque, annotation), deque(items)),
        (_of(typing.Sequence, annotation), items),
        (_of(dict, str, annotation), {f"key{index}": item for index, item in enumerate(items)}),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def _dicts(draw: st.DrawFn, inner: SearchStrategy[Fitting]) -> Fitting:
    key = draw(_hashable_scalars)
    annotation, value = draw(inner)
    keys = draw(st.lists(_HASHABLE[key], max_size=2))
    return _of(dict, key, annotation), dict.fromkeys(keys, value)


@st.composite
def _unions(draw: st.DrawFn, inner: SearchStrategy[Fitting]) -> Fitting:
    choices = draw(st.lists(inner, min_size=1, max_size=3))
    annotations = [annotation for annotation, _ in choices]
    return _of(typing.Union, *annotations), draw(st.sampled_from([value for _, value in choices]))


@st.composite
def _tuples(draw: st.DrawFn, inner: SearchStrategy[Fitting]) -> Fitting:
    choices = draw(st.lists(inner, min_size=1, max_size=3))
    annotations = [annotation for annotation, _ in choices]
    return _of(tuple, *annotations), tuple(value for _, value in choices)


fitting: SearchStrategy[Fitting] = st.recursive(
    st.one_of(_scalars, _sets(), *_models),
    lambda inner: st.one_of(_lists(inner), _dicts(inner), _unions(inner), _tuples(inner)),
    max_leaves=5,
)
"""Annotations with a value that fits."""

"""Values without parts: how each kind is written into a tagged tree, and read again.

The JSON data of a kind stands under "v". Only exact types are listed: a subclass is another type.
"""

from __future__ import annotations

import ipaddress
import pathlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import TzInfo

from fchains.wire.refusal import Refused, name_of
from fchains.wire.tree import Tree


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value without parts."""

    tag: str
    type: type
    write: Callable[[Any], Tree]
    read: Callable[[Tree], object]


def _write_zone(zone: tzinfo | None) -> Tree:
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    offset = zone.utcoffset(None)
    if type(zone) is TzInfo and offset is not None:
        return offset.total_seconds()
    if type(zone) is timezone and offset is not None:
        name = zone.tzname(None)
        plain = timezone(offset).tzname(None) == name
        return [offset // timedelta(microseconds=1), None if plain else name]
    raise Refused(f"`{name_of(type(zone))}` is a time zone without a key: use zoneinfo.ZoneInfo(name)")


def _read_zone(tree: Tree) -> tzinfo | None:
    if tree is None:
        return None
    if isinstance(tree, str):
        return ZoneInfo(tree)
    if not isinstance(tree, int | float):
        microseconds, name = tree
        offset = timedelta(microseconds=microseconds)
        return timezone(offset) if name is None else timezone(offset, name)
    return TzInfo(tree)


def _write_clock(value: datetime | time) -> Tree:
    return [value.replace(tzinfo=None).isoformat(), _write_zone(value.tzinfo), value.fold]


def _read_datetime(tree: Tree) -> datetime:
    text, zone, fold = tree
    return datetime.fromisoformat(text).replace(tzinfo=_read_zone(zone), fold=fold)


def _read_time(tree: Tree) -> time:
    text, zone, fold = tree
    return time.fromisoformat(text).replace(tzinfo=_read_zone(zone), fold=fold)


def _read_pattern(tree: Tree) -> re.Pattern[Any]:
    text, encoding, flags = tree
    return re.compile(text.encode(encoding) if encoding else text, flags)


def _write_pattern(value: re.Pattern[Any]) -> Tree:
    text = value.pattern
    if isinstance(text, bytes):
        return [text.decode("latin-1"), "latin-1", value.flags]
    return [text, None, value.flags]


_IP_CLASSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
KINDS: tuple[Kind, ...] = (
    Kind("datetime", datetime, _write_clock, _read_datetime),
    Kind("time", time, _write_clock, _read_time),
    Kind("date", date, date.isoformat, date.fromisoformat),
    Kind("timedelta", timedelta, lambda v: [v.days, v.seconds, v.microseconds], lambda t: timedelta(*t)),
    Kind("timezone", timezone, _write_zone, _read_zone),
    Kind("zone", ZoneInfo, _write_zone, _read_zone),
    Kind("tzinfo", TzInfo, _write_zone, _read_zone),
    Kind("decimal", Decimal, str, Decimal),
    Kind("fraction", Fraction, lambda v: [v.numerator, v.denominator], lambda t: Fraction(*t)),
    Kind("complex", complex, lambda v: [v.real, v.imag], lambda t: complex(*t)),
    Kind("uuid", uuid.UUID, str, uuid.UUID),
    Kind("range", range, lambda v: [v.start, v.stop, v.step], lambda t: range(*t)),
    Kind("pattern", re.Pattern, _write_pattern, _read_pattern),
    *(Kind(cls.__name__, cls, str, cls) for cls in _IP_CLASSES),
    Kind("path", type(pathlib.Path()), str, pathlib.Path),
    Kind("pure_posix_path", pathlib.PurePosixPath, str, pathlib.PurePosixPath),
    Kind("pure_windows_path", pathlib.PureWindowsPath, str, pathlib.PureWindowsPath),
)

"""Sizes as people write them: memory such as "2GiB" to bytes, CPU such as "500m" to cores."""

from __future__ import annotations

import re
from fractions import Fraction

from fchains.definition.numeric import finite, whole
from fchains.definition.problems import BadValue, shown

MAX_CPU = 448  # vCPUs of the largest EC2 instances with their own hypervisor
_MIB = 1024**2
_UNITS = {
    "TiB": 1024**4,
    "TB": 1000**4,
    "GiB": 1024**3,
    "GB": 1000**3,
    "MiB": _MIB,
    "MB": 1000**2,
    "KiB": 1024,
    "KB": 1000,
    "B": 1,
}
_BY_SUFFIX = {
    **{name.lower(): size for name, size in _UNITS.items()},
    **{name.lower()[:2]: size for name, size in _UNITS.items() if name.endswith("iB")},
}
_SIZE = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([a-zA-Z]*)\s*")
_CPU = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(m?)\s*")


def parse_memory(value: object) -> int:
    """Bytes of a size such as "2GiB", "16Gi" or "512MB"; an int counts bytes.

    Raises:
        BadValue: this is no size, or less than 1 MiB.
    """
    size = _bytes_of(value)
    if size >= _MIB:
        return size
    if whole(value) is not None and size > 0:
        raise BadValue(f"is only {size} bytes: an int counts bytes", f'write "{size}GiB" or "{size}MiB"')
    raise BadValue(f"must be at least 1MiB, not {shown(value)}", 'write for example "2GiB"')


def _bytes_of(value: object) -> int:
    size = whole(value)
    if size is not None:
        return size
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadValue(f"is no size: {shown(value)}", 'write for example "2GiB", or an int of bytes')
    number, unit = match.groups()
    factor = _BY_SUFFIX.get(unit.lower())
    if factor is None:
        raise BadValue(_unit_message(value, unit), f'write "{number}GiB", or "{number}GB" for powers of ten')
    return round(Fraction(number) * factor)


def _unit_message(value: object, unit: str) -> str:
    return f"has an unknown unit: {shown(value)}" if unit else f"has no unit: {shown(value)}"


def format_memory(size: int) -> str:
    """A number of bytes in the largest unit that is exact, as in "2GiB"."""
    for name, factor in _UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor}{name}"
    return f"{size}B"


def parse_cpu(value: object) -> float:
    """Cores of a number such as 2 or 0.5, or of thousandths such as "500m".

    Raises:
        BadValue: this is no number of cores between 0 and 448.
    """
    cores = _cores_of(value)
    if not 0 < cores <= MAX_CPU:
        raise BadValue(f"must be more than 0 and at most {MAX_CPU} cores, not {shown(value)}", "write cpu=2")
    return cores


def _cores_of(value: object) -> float:
    cores = finite(value)
    if cores is not None:
        return cores
    match = _CPU.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadValue(f"is no number of cores: {shown(value)}", 'write for example cpu=2 or cpu="500m"')
    return float(match[1]) / (1000 if match[2] else 1)

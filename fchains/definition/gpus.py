"""GPUs as chainlets ask for them: a name, perhaps a count, perhaps several in order of preference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from fchains.definition.problems import BadValue, did_you_mean, parse_each, shown

ANY = "any"
KNOWN = (
    "T4",
    "T4G",
    "L4",
    "A10G",
    "L40S",
    "V100",
    "A100-40GB",
    "A100-80GB",
    "H100",
    "H200",
    "B200",
    "B300",
    "RTX-PRO-6000",
    ANY,
)
MAX_COUNT = 16
_ALIASES = {"a100": "A100-40GB"}
_BY_LOWER = {**{name.lower(): name for name in KNOWN}, **_ALIASES}
_HINT = 'write for example gpu="L4", gpu="A100-80GB:2", or a list in order of preference'


@dataclass(frozen=True, slots=True)
class Gpu:
    """GPUs of one kind.

    Args:
        name: one of `KNOWN`.
        count: how many each replica gets, 1 to 16.
    """

    name: str
    count: int = 1

    def __str__(self) -> str:
        return self.name if self.count == 1 else f"{self.name}:{self.count}"


def parse_gpu(value: object) -> Gpu:
    """One GPU request such as "L4" or "A100-80GB:2", in any case.

    Raises:
        BadValue: the name is unknown, or the count is no number from 1 to 16.
    """
    if not isinstance(value, (str, Gpu)):
        raise BadValue(f"must be a name, not {shown(value)}", _HINT)
    word, colon, count = str(value).partition(":")
    name = _BY_LOWER.get(word.strip().lower())
    if name is None:
        meant = did_you_mean(word.strip(), KNOWN, quote="'")
        raise BadValue(f"names no known GPU: {shown(word)}{meant}", f"known are {', '.join(KNOWN)}")
    return Gpu(name, _count_of(count.strip(), value) if colon else 1)


def _count_of(digits: str, value: object) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 2 and 1 <= int(digits) <= MAX_COUNT):
        raise BadValue(
            f"must have a count from 1 to {MAX_COUNT} after the colon: {shown(value)}",
            'write for example "L4:2"',
        )
    return int(digits)


def parse_gpus(value: object) -> tuple[Gpu, ...]:
    """The GPUs that will do, the preferred one first; None and () stand for none.

    Raises:
        BadValue: see `parse_gpu`; in an ExceptionGroup where a list was given.
    """
    if value is None:
        return ()
    if isinstance(value, (tuple, list)):
        return parse_each(parse_gpu, cast("Sequence[object]", value))
    return (parse_gpu(value),)

"""Persistent storage shared by replicas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from fchains.packaging.places import calling_place, fault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Volume:
    """Storage that outlives replicas: a directory locally, a Docker volume, EFS on AWS.

    Volumes of one name are the same volume.

    Args:
        name: 1 to 64 letters, digits, `-`, `_` or `.`, the first a letter or digit.

    Raises:
        DefinitionError: the name is not of that form.
    """

    name: str

    def __post_init__(self) -> None:
        name = cast("object", self.name)
        if not isinstance(name, str):
            raise fault(
                calling_place(),
                "Volume",
                f"the name must be a string, not {name!r}",
                'write Volume("my-data")',
            )
        if not _NAME.fullmatch(name):
            raise fault(
                calling_place(),
                "Volume",
                f"{name!r} is no volume name",
                "use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit"
                + _suggestion(name),
            )


def _suggestion(name: str) -> str:
    """A valid name made from an invalid one, as the end of a hint."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64]
    return f', as in Volume("{cleaned}")' if cleaned else ""

"""The steps of an image that need no local file, each as text of a Dockerfile."""

from __future__ import annotations

import json
import re
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from fchains.packaging.context import ContextFile
from fchains.packaging.places import Place

# An interpreter that the distribution manages (PEP 668) would refuse; in an image nobody else installs.
PIP = "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install"
PIP_CACHE = "--mount=type=cache,target=/root/.cache/pip"
DEBIAN = "bookworm"


class Stage(IntEnum):
    """The part of a Dockerfile to which a step belongs; what changes seldom comes first."""

    SYSTEM = 1
    PYTHON = 2
    REST = 3


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One thing that an image is made with.

    Args:
        place: the user's line that asked for it.
    """

    fixed: ClassVar[bool] = False  # later packages may depend on it: they do not move in front of it

    place: Place = field(compare=False, repr=False)

    @property
    def python(self) -> str | None:
        """The minor version of Python that a base is known to have."""
        return None

    @property
    def stage(self) -> Stage:
        """Where the step belongs."""
        return Stage.REST

    @abstractmethod
    def text(self, folder: str) -> str:
        """The instruction; `folder` is where the step's files lie in the build context."""

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        """The step's files in the build context."""
        del folder
        return ()

    def declared(self) -> str:
        """What the declaration says, as can be told where local files and sources are missing."""
        return self.text("")


@dataclass(frozen=True, slots=True)
class DebianSlim(Step):
    """The official image of a Python version on Debian."""

    version: str

    @property
    def python(self) -> str:
        return self.version

    def text(self, folder: str) -> str:
        return f"FROM python:{self.version}-slim-{DEBIAN}"


@dataclass(frozen=True, slots=True)
class Registry(Step):
    """An image of a registry."""

    reference: str

    def text(self, folder: str) -> str:
        return f"FROM {self.reference}"


@dataclass(frozen=True, slots=True)
class AptInstall(Step):
    """Debian packages."""

    names: tuple[str, ...]

    @property
    def stage(self) -> Stage:
        return Stage.SYSTEM

    def text(self, folder: str) -> str:
        return (
            "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
            f"{shlex.join(self.names)} && rm -rf /var/lib/apt/lists/*"
        )


@dataclass(frozen=True, slots=True)
class PipInstall(Step):
    """Python packages by name."""

    requirements: tuple[str, ...]
    index_url: str | None = None
    extra_index_url: str | None = None
    find_links: str | None = None
    pre: bool = False

    @property
    def stage(self) -> Stage:
        """A path names what an earlier step put there, so that the step keeps its place."""
        paths = (*self.requirements, self.find_links or "")
        return Stage.REST if any(path.startswith("/") or "file:" in path for path in paths) else Stage.PYTHON

    def text(self, folder: str) -> str:
        options = {
            "--index-url": self.index_url,
            "--extra-index-url": self.extra_index_url,
            "--find-links": self.find_links,
        }
        words = [word for option, value in options.items() if value for word in (option, value)]
        words += ["--pre"] * self.pre
        return f"RUN {PIP_CACHE} {PIP} {shlex.join([*words, *self.requirements])}"


@dataclass(frozen=True, slots=True)
class Env(Step):
    """Environment variables."""

    fixed = True
    variables: tuple[tuple[str, str], ...]

    def text(self, folder: str) -> str:
        return "ENV " + " ".join(f"{name}={_quoted(name, value)}" for name, value in self.variables)


@dataclass(frozen=True, slots=True)
class Workdir(Step):
    """The working directory."""

    path: str

    def text(self, folder: str) -> str:
        return f"WORKDIR {self.path}"


@dataclass(frozen=True, slots=True)
class Command(Step):
    """A shell command."""

    fixed = True
    command: str

    def text(self, folder: str) -> str:
        command = self.command.strip()
        # What a Dockerfile would read as more than a command, or less, goes to the shell as JSON.
        if not command.isprintable() or "<<" in command or command[0] in "[#" or command[-1] == "\\":
            return "RUN " + json.dumps(["/bin/sh", "-c", self.command])
        return f"RUN {command}"


def _quoted(name: str, value: str) -> str:
    """A value in double quotes, taken literally but for `$NAME`, its own former value."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    return '"' + re.sub(rf"\\(\${name}\b|\$\{{{name}\}})", r"\1", escaped) + '"'

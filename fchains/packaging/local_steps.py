"""The steps of an image that bring local files into it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from fchains.packaging.context import ContextFile, context_file, plain_name, tree
from fchains.packaging.places import fault
from fchains.packaging.requirements import requirement_files
from fchains.packaging.steps import PIP, PIP_CACHE, Stage, Step
from fchains.packaging.uv_lock import locked_inputs

UV_VERSION = "0.13.8"
_FROM_CONTEXT = re.compile(r"(?im)^\s*(COPY|ADD|RUN\s+--mount=type=bind)\b(?!.*from=)")


@dataclass(frozen=True, slots=True)
class Dockerfile(Step):
    """The user's own Dockerfile as base, with its folder as build context."""

    path: Path

    def text(self, folder: str) -> str:
        return self.path.read_text(encoding="utf-8").strip()

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        # Without a COPY from the context its files have no part in the image.
        if not _FROM_CONTEXT.search(self.text("")):
            return ()
        rules = self.path.parent / ".dockerignore"
        ignore = rules.read_text(encoding="utf-8").splitlines() if rules.is_file() else []
        found = tree(self.path.parent, self.place, "from_dockerfile", ignore)
        return tuple(context_file(name, path) for name, path in found if name != ".dockerignore")

    def declared(self) -> str:
        return f"dockerfile {self.path.name}"


@dataclass(frozen=True, slots=True)
class Requirements(Step):
    """Python packages of a requirements file, and of the files that it names."""

    path: Path

    @property
    def stage(self) -> Stage:
        return Stage.PYTHON

    def text(self, folder: str) -> str:
        bind = f"--mount=type=bind,source={folder},target=/tmp/requirements"
        return f"RUN {bind} {PIP_CACHE} {PIP} -r /tmp/requirements/{plain_name(self.path.name)}"

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        found = requirement_files(self.path, self.place)
        return tuple(ContextFile(f"{folder}/{name}", content) for name, content in found.items())


@dataclass(frozen=True, slots=True)
class UvSync(Step):
    """The locked dependencies of a uv project, without the project itself."""

    project: Path
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    frozen: bool = True

    @property
    def stage(self) -> Stage:
        return Stage.PYTHON

    def text(self, folder: str) -> str:
        choices = [f"--group {name}" for name in self.groups] + [f"--extra {name}" for name in self.extras]
        options = ["--no-default-groups", "--no-install-workspace", "--inexact", *choices]
        if self.frozen:
            options.append("--frozen")
        # The packages go where `pip_install` puts its own: into the image's interpreter.
        return (
            f"RUN --mount=type=bind,source={folder},target=/tmp/project,rw "
            "--mount=type=cache,target=/root/.cache "
            f"{PIP} uv=={UV_VERSION} && UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never "
            """UV_PROJECT_ENVIRONMENT="$(python3 -c 'import sys; print(sys.prefix)')" """
            f"python3 -m uv sync --project /tmp/project {' '.join(options)}"
        )

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        inputs = locked_inputs(self.project, self.frozen)
        return tuple(ContextFile(f"{folder}/{name}", content) for name, content in inputs.items())


@dataclass(frozen=True, slots=True)
class AddFile(Step):
    """One local file."""

    local: Path
    remote: str

    def text(self, folder: str) -> str:
        return _copy(f"{folder}/{plain_name(self.local.name)}", self.remote)

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        return (context_file(f"{folder}/{plain_name(self.local.name)}", self.local),)


@dataclass(frozen=True, slots=True)
class AddDir(Step):
    """The files of a local folder."""

    local: Path
    remote: str
    ignore: tuple[str, ...] = ()

    def text(self, folder: str) -> str:
        return _copy(f"{folder}/", f"{self.remote.rstrip('/')}/")

    def files(self, folder: str) -> tuple[ContextFile, ...]:
        found = tree(self.local, self.place, "add_local_dir", self.ignore)
        files = tuple(context_file(f"{folder}/{name}", path) for name, path in found)
        if not files:
            raise fault(self.place, "add_local_dir", f"{self.local} holds no file to add", "correct the path")
        return files

    def declared(self) -> str:
        return f"{self.text('')} {self.local.name} {self.ignore}"


def _copy(source: str, target: str) -> str:
    return f"COPY {json.dumps([source, target])}" if " " in target else f"COPY {source} {target}"

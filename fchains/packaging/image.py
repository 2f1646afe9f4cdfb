"""Container images as values: what they are made of, their Dockerfile, and a digest of both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Never, cast

from fchains.packaging.baking import SetupResource, run_setup_step
from fchains.packaging.context import IMAGE_VARIABLE, ContextFile, locate
from fchains.packaging.local_steps import AddDir, AddFile, Dockerfile, Requirements, UvSync
from fchains.packaging.packages import (
    checked_apt_packages,
    checked_names,
    checked_option,
    checked_python,
    checked_reference,
    checked_remote,
    checked_requirements,
    checked_variables,
    checked_words,
)
from fchains.packaging.pickles import PYTHON_MINOR
from fchains.packaging.places import Place, calling_place, fault
from fchains.packaging.steps import AptInstall, Command, DebianSlim, Env, PipInstall, Registry, Step, Workdir
from fchains.packaging.uv_lock import check_uv_project

RUNTIME_VERSION = "1"  # of what runners add to every image; another value rebuilds everybody's images
LocalPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Layer:
    """One instruction of a Dockerfile, and the line of the user's code that asked for it."""

    text: str
    place: Place
    files: tuple[ContextFile, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """A container image, declared step by step; every method gives a new image.

    Start with `Image.debian_slim()`, `Image.from_registry(…)` or `Image.from_dockerfile(…)`. System
    packages are installed before Python packages and those before anything else, so that what changes
    often rebuilds little. `env` and `run_commands` keep their place: what is installed after them may
    depend on them. Relative local paths count from the folder of the declaring file, then from the
    project root.
    """

    base: Step
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(cast("object", self.base), Step):
            hint = "write Image.debian_slim(), Image.from_registry(…) or Image.from_dockerfile(…)"
            raise fault(calling_place(), "Image", f"an image cannot be made of {self.base!r}", hint)

    @classmethod
    def debian_slim(cls, python: str | None = None) -> Image:
        """The official Python image on Debian.

        Args:
            python: "3.11" to "3.14"; by default the version that runs now.

        Raises:
            DefinitionError: there is no such version.
        """
        place = calling_place()
        return cls(DebianSlim(place, checked_python(PYTHON_MINOR if python is None else python, place)))

    @classmethod
    def from_registry(cls, ref: str, /, *values: Never) -> Image:
        """An image of a registry, as in "nvidia/cuda:12.6.0-runtime-ubuntu24.04"; it must have `python3`.

        Raises:
            DefinitionError: this is no reference of an image.
        """
        place = calling_place()
        if values:
            hint = f'write Image.from_registry("{ref}:{values[0]}")'
            raise fault(place, "from_registry", "one argument names image and tag", hint)
        return cls(Registry(place, checked_reference(ref, place)))

    @classmethod
    def from_dockerfile(cls, path: LocalPath) -> Image:
        """The last stage of a Dockerfile, whose folder, less `.dockerignore`, is its build context.

        Raises:
            DefinitionError: there is no such file.
        """
        place = calling_place()
        return cls(Dockerfile(place, _local_file(path, place, "from_dockerfile")))

    def pip_install(
        self,
        *packages: str,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        find_links: str | None = None,
        pre: bool = False,
    ) -> Image:
        """Install Python packages.

        Args:
            packages: requirements, as in "numpy==2.1.0"; without a version, that of the first build stays.
            index_url: the index to use instead of PyPI.
            extra_index_url: an index to use besides.
            find_links: a page or folder of the image with further packages.
            pre: allow pre-releases.

        Raises:
            DefinitionError: something is no requirement.
        """
        place = calling_place()
        step = PipInstall(
            place,
            checked_requirements(packages, place),
            checked_option(index_url, place, "index_url"),
            checked_option(extra_index_url, place, "extra_index_url"),
            checked_option(find_links, place, "find_links"),
            bool(pre),
        )
        return self._with(step)

    def pip_install_from_requirements(self, path: LocalPath) -> Image:
        """Install the packages of a requirements file and of the files that it names.

        Raises:
            DefinitionError: there is no such file.
        """
        place = calling_place()
        return self._with(Requirements(place, _local_file(path, place, "pip_install_from_requirements")))

    def uv_sync(
        self,
        project_dir: LocalPath = ".",
        groups: Sequence[str] = (),
        extras: Sequence[str] = (),
        frozen: bool = True,
    ) -> Image:
        """Install the dependencies that `uv.lock` pins, without the project itself.

        Args:
            project_dir: the folder with `pyproject.toml` and `uv.lock`.
            groups: dependency groups besides; the default groups are left out.
            extras: optional dependencies besides.
            frozen: take the lock as it is; without, uv resolves anew where it does not fit.

        Raises:
            DefinitionError: a file is missing, it is a workspace, or a group or extra is not defined.
        """
        place = calling_place()
        chosen = (
            checked_names(groups, place, "uv_sync", "groups"),
            checked_names(extras, place, "uv_sync", "extras"),
        )
        project = locate(Path(project_dir) / "pyproject.toml", place, "uv_sync").parent
        if IMAGE_VARIABLE not in os.environ:
            check_uv_project(project, *chosen, frozen, place)
        return self._with(UvSync(place, project, *chosen, bool(frozen)))

    def apt_install(self, *packages: str) -> Image:
        """Install Debian packages, as in "ffmpeg".

        Raises:
            DefinitionError: something is no name of a package.
        """
        place = calling_place()
        return self._with(AptInstall(place, checked_apt_packages(packages, place)))

    def env(self, variables: Mapping[str, str] | None = None, /, *values: Never, **named: str) -> Image:
        """Set environment variables, from a dict or by name.

        Values are taken literally, but for a variable's own former value: `PATH="/opt/bin:$PATH"`.

        Raises:
            DefinitionError: a name or value is not fit.
        """
        place = calling_place()
        if values:
            hint = f'write .env({{"{variables}": "{values[0]}"}})'
            raise fault(place, "env", "the variables are one dict, or arguments by name", hint)
        checked = checked_variables({} if variables is None else variables, named, place)
        return self._with(Env(place, tuple(checked.items())))

    def workdir(self, path: str) -> Image:
        """Set the working directory, an absolute path in the image.

        Raises:
            DefinitionError: the path is not absolute.
        """
        place = calling_place()
        return self._with(Workdir(place, checked_remote(path, place, "workdir")))

    def run_commands(self, *commands: str) -> Image:
        """Run shell commands while the image is built, each as a layer of its own.

        Raises:
            DefinitionError: a command is empty.
        """
        place = calling_place()
        checked = checked_words(commands, place, "run_commands", "command", '"ffmpeg -version"')
        return self._with(*(Command(place, command) for command in checked))

    def add_local_file(self, local: LocalPath, remote: str) -> Image:
        """Copy a local file into the image.

        Args:
            local: the file.
            remote: an absolute path in the image; with a slash at its end, the folder.

        Raises:
            DefinitionError: there is no such file, or the path in the image is not absolute.
        """
        place = calling_place()
        target = checked_remote(remote, place, "add_local_file", local)
        file = _local_file(local, place, "add_local_file")
        return self._with(AddFile(place, file, target + file.name if target.endswith("/") else target))

    def add_local_dir(self, local: LocalPath, remote: str, ignore: Sequence[str] = ()) -> Image:
        """Copy what a local folder holds into a folder of the image.

        Args:
            local: the folder; `.gitignore` has no part in it.
            remote: an absolute path in the image.
            ignore: patterns in `.gitignore` syntax of what to leave out.

        Raises:
            DefinitionError: there is no such folder, or the path in the image is not absolute.
        """
        place = calling_place()
        target = checked_remote(remote, place, "add_local_dir", local)
        folder = locate(local, place, "add_local_dir")
        if folder.is_file():
            raise fault(place, "add_local_dir", f"{folder} is a file", "use .add_local_file(…)")
        patterns = checked_names(ignore, place, "add_local_dir", "ignore")
        return self._with(AddDir(place, folder, target, patterns))

    def run_setup(self, resource: SetupResource) -> Image:
        """Make a resource once while the image is built, so that the weights it downloads are part of it.

        It runs again when its source changes.

        Raises:
            DefinitionError: this is no resource at the top level of a file.
        """
        place = calling_place()
        return self._with(run_setup_step(resource, place))

    @contextmanager
    def imports(self) -> Generator[None, None, None]:
        """Import what only this image has: an ImportError in the block is raised in the image alone."""
        try:
            yield
        except ImportError:
            if os.environ.get(IMAGE_VARIABLE) == self.fingerprint():
                raise

    def layers(self) -> tuple[Layer, ...]:
        """The instructions in the order of the Dockerfile, with their places and files.

        Raises:
            DefinitionError: a local file is gone, or unfit.
        """
        layers: list[Layer] = []
        for step in self._in_build_order():
            folder = f".fchains/{len(layers)}"
            layers.append(Layer(step.text(folder), step.place, step.files(folder)))
        return tuple(layers)

    def dockerfile(self) -> str:
        """The Dockerfile, without what the runner adds."""
        return "".join(f"{layer.text}\n" for layer in self.layers())

    def context(self) -> tuple[ContextFile, ...]:
        """The files that the Dockerfile copies, named as it names them."""
        return tuple(file for layer in self.layers() for file in layer.files)

    def digest(self, platform: str = "linux/amd64") -> str:
        """SHA-256 over all that decides what is built, in hex digits; equal on every machine.

        Args:
            platform: the operating system and architecture, as Docker names them.
        """
        layers = self.layers()
        files = [(file.name, file.executable, file.digest()) for layer in layers for file in layer.files]
        return _sha256([RUNTIME_VERSION, platform, [layer.text for layer in layers], sorted(files)])

    def fingerprint(self) -> str:
        """SHA-256 over the declaration without the contents of local files.

        It can be told inside the image, too, where those files are missing: runners put it into the
        variable FCHAINS_IMAGE there.
        """
        return _sha256([RUNTIME_VERSION, [step.declared() for step in self._in_build_order()]])

    @property
    def python(self) -> str | None:
        """The minor version of Python; None where the base does not tell."""
        return self.base.python if isinstance(self.base, DebianSlim) else None

    def __repr__(self) -> str:
        return f"<Image {self.base.declared().removeprefix('FROM ')} with {len(self.steps)} steps>"

    def _with(self, *steps: Step) -> Image:
        return Image(self.base, (*self.steps, *steps))

    def _in_build_order(self) -> list[Step]:
        part, keyed = 0, list[tuple[tuple[int, int], Step]]()
        for step in self.steps:
            part += step.fixed
            keyed.append(((part, 0 if step.fixed else step.stage), step))
        return [self.base, *(step for _, step in sorted(keyed, key=lambda item: item[0]))]


def _local_file(path: LocalPath, place: Place, method: str) -> Path:
    found = locate(path, place, method)
    if found.is_dir():
        hint = "use .add_local_dir(…)" if method == "add_local_file" else "give the file in it"
        raise fault(place, method, f"{found} is a folder", hint)
    return found


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

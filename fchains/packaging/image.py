"""Container images as values: what they are made of, their Dockerfile, and a digest of both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Never

from fchains.packaging.places import Place, calling_place

if TYPE_CHECKING:
    from fchains.packaging.baking import SetupResource
    from fchains.packaging.context import ContextFile
    from fchains.packaging.steps import Step

RUNTIME_VERSION = "1"  # of what runners add to every image; another value rebuilds everybody's images
LocalPath = str | os.PathLike[str]
# `declarations` and all it needs is imported by the methods: `import fchains` stays cheap.


class Layer(NamedTuple):
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
        from fchains.packaging import declarations

        declarations.checked_base(self.base, calling_place())

    @classmethod
    def debian_slim(cls, python: str | None = None) -> Image:
        """The official Python image on Debian.

        Args:
            python: "3.11" to "3.14"; by default the version that runs now.

        Raises:
            DefinitionError: there is no such version.
        """
        from fchains.packaging import declarations

        return cls(declarations.debian_slim(python, calling_place()))

    @classmethod
    def from_registry(cls, ref: str, /, *values: Never) -> Image:
        """An image of a registry, as in "nvidia/cuda:12.6.0-runtime-ubuntu24.04"; it must have `python3`.

        Raises:
            DefinitionError: this is no reference of an image.
        """
        from fchains.packaging import declarations

        return cls(declarations.from_registry(ref, values, calling_place()))

    @classmethod
    def from_dockerfile(cls, path: LocalPath) -> Image:
        """The last stage of a Dockerfile, whose folder, less `.dockerignore`, is its build context.

        Raises:
            DefinitionError: there is no such file.
        """
        from fchains.packaging import declarations

        return cls(declarations.from_dockerfile(path, calling_place()))

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
        from fchains.packaging import declarations

        urls = {"index_url": index_url, "extra_index_url": extra_index_url, "find_links": find_links}
        return self._with(declarations.pip_install(packages, urls, pre, calling_place()))

    def pip_install_from_requirements(self, path: LocalPath) -> Image:
        """Install the packages of a requirements file and of the files that it names.

        Raises:
            DefinitionError: there is no such file.
        """
        from fchains.packaging import declarations

        return self._with(declarations.pip_install_from_requirements(path, calling_place()))

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
        from fchains.packaging import declarations

        return self._with(declarations.uv_sync(project_dir, groups, extras, frozen, calling_place()))

    def apt_install(self, *packages: str) -> Image:
        """Install Debian packages, as in "ffmpeg".

        Raises:
            DefinitionError: something is no name of a package.
        """
        from fchains.packaging import declarations

        return self._with(declarations.apt_install(packages, calling_place()))

    def env(self, variables: Mapping[str, str] | None = None, /, *values: Never, **named: str) -> Image:
        """Set environment variables, from a dict or by name.

        Values are taken literally, but for a variable's own former value: `PATH="/opt/bin:$PATH"`.

        Raises:
            DefinitionError: a name or value is not fit.
        """
        from fchains.packaging import declarations

        return self._with(declarations.env(variables, values, named, calling_place()))

    def workdir(self, path: str) -> Image:
        """Set the working directory, an absolute path in the image.

        Raises:
            DefinitionError: the path is not absolute.
        """
        from fchains.packaging import declarations

        return self._with(declarations.workdir(path, calling_place()))

    def run_commands(self, *commands: str) -> Image:
        """Run shell commands while the image is built, each as a layer of its own.

        Raises:
            DefinitionError: a command is empty.
        """
        from fchains.packaging import declarations

        return self._with(*declarations.run_commands(commands, calling_place()))

    def add_local_file(self, local: LocalPath, remote: str) -> Image:
        """Copy a local file into the image.

        Args:
            local: the file.
            remote: an absolute path in the image; with a slash at its end, the folder.

        Raises:
            DefinitionError: there is no such file, or the path in the image is not absolute.
        """
        from fchains.packaging import declarations

        return self._with(declarations.add_local_file(local, remote, calling_place()))

    def add_local_dir(self, local: LocalPath, remote: str, ignore: Sequence[str] = ()) -> Image:
        """Copy what a local folder holds into a folder of the image.

        Args:
            local: the folder; `.gitignore` has no part in it.
            remote: an absolute path in the image.
            ignore: patterns in `.gitignore` syntax of what to leave out.

        Raises:
            DefinitionError: there is no such folder, or the path in the image is not absolute.
        """
        from fchains.packaging import declarations

        return self._with(declarations.add_local_dir(local, remote, ignore, calling_place()))

    def run_setup(self, resource: SetupResource) -> Image:
        """Make a resource once while the image is built, so that the weights it downloads are part of it.

        It runs again when its source changes.

        Raises:
            DefinitionError: this is no resource at the top level of a file.
        """
        from fchains.packaging import declarations

        return self._with(declarations.run_setup(resource, calling_place()))

    @contextmanager
    def imports(self) -> Generator[None, None, None]:
        """Import what only this image has: an ImportError in the block is raised in the image alone."""
        try:
            yield
        except ImportError:
            if os.environ.get("FCHAINS_IMAGE") == self.fingerprint():
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
        return self.base.python

    def __repr__(self) -> str:
        return f"<Image {self.base.declared().removeprefix('FROM ')} with {len(self.steps)} steps>"

    def _with(self, *steps: Step) -> Image:
        return Image(self.base, (*self.steps, *steps))

    def _in_build_order(self) -> list[Step]:
        part = 0
        keyed: list[tuple[tuple[int, int], Step]] = []
        for step in self.steps:
            part += step.fixed
            keyed.append(((part, 0 if step.fixed else step.stage), step))
        return [self.base, *(step for _, step in sorted(keyed, key=lambda item: item[0]))]


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

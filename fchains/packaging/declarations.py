"""What the methods of an image check, and the steps they make."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fchains.packaging.baking import SetupResource, run_setup_step
from fchains.packaging.context import IMAGE_VARIABLE, locate
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
from fchains.packaging.places import Place, fault
from fchains.packaging.steps import AptInstall, Command, DebianSlim, Env, PipInstall, Registry, Step, Workdir
from fchains.packaging.uv_lock import check_uv_project

LocalPath = str | os.PathLike[str]


def checked_base(base: object, place: Place) -> Step:
    """The first step of an image.

    Raises:
        DefinitionError: it is none.
    """
    if isinstance(base, Step):
        return base
    hint = "write Image.debian_slim(), Image.from_registry(…) or Image.from_dockerfile(…)"
    raise fault(place, "Image", f"an image cannot be made of {base!r}", hint)


def debian_slim(python: str | None, place: Place) -> Step:
    """The step of `Image.debian_slim`."""
    return DebianSlim(place, checked_python(PYTHON_MINOR if python is None else python, place))


def from_registry(reference: str, others: Sequence[object], place: Place) -> Step:
    """The step of `Image.from_registry`."""
    if others:
        hint = f'write Image.from_registry("{reference}:{others[0]}")'
        raise fault(place, "from_registry", "one argument names image and tag", hint)
    return Registry(place, checked_reference(reference, place))


def from_dockerfile(path: LocalPath, place: Place) -> Step:
    """The step of `Image.from_dockerfile`."""
    return Dockerfile(place, _local_file(path, place, "from_dockerfile"))


def pip_install(packages: Sequence[str], urls: Mapping[str, str | None], pre: bool, place: Place) -> Step:
    """The step of `pip_install`; `urls` are its options that are URLs."""
    requirements = checked_requirements(packages, place)
    checked = {name: checked_option(url, place, name) for name, url in urls.items()}
    return PipInstall(place, requirements, **checked, pre=bool(pre))


def pip_install_from_requirements(path: LocalPath, place: Place) -> Step:
    """The step of `pip_install_from_requirements`."""
    return Requirements(place, _local_file(path, place, "pip_install_from_requirements"))


def uv_sync(folder: LocalPath, groups: object, extras: object, frozen: bool, place: Place) -> Step:
    """The step of `uv_sync`."""
    chosen = (
        checked_names(groups, place, "uv_sync", "groups"),
        checked_names(extras, place, "uv_sync", "extras"),
    )
    project = locate(Path(folder) / "pyproject.toml", place, "uv_sync").parent
    if IMAGE_VARIABLE not in os.environ:
        check_uv_project(project, *chosen, frozen, place)
    return UvSync(place, project, *chosen, bool(frozen))


def apt_install(packages: Sequence[str], place: Place) -> Step:
    """The step of `apt_install`."""
    return AptInstall(place, checked_apt_packages(packages, place))


def env(
    variables: Mapping[str, str] | None, others: Sequence[object], named: Mapping[str, str], place: Place
) -> Step:
    """The step of `env`."""
    if others:
        hint = f'write .env({{"{variables}": "{others[0]}"}})'
        raise fault(place, "env", "the variables are one dict, or arguments by name", hint)
    checked = checked_variables({} if variables is None else variables, named, place)
    return Env(place, tuple(checked.items()))


def workdir(path: str, place: Place) -> Step:
    """The step of `workdir`."""
    return Workdir(place, checked_remote(path, place, "workdir"))


def run_commands(commands: Sequence[str], place: Place) -> list[Step]:
    """The steps of `run_commands`."""
    checked = checked_words(commands, place, "run_commands", "command", '"ffmpeg -version"')
    return [Command(place, command) for command in checked]


def add_local_file(local: LocalPath, remote: str, place: Place) -> Step:
    """The step of `add_local_file`."""
    target = checked_remote(remote, place, "add_local_file", local)
    file = _local_file(local, place, "add_local_file")
    return AddFile(place, file, target + file.name if target.endswith("/") else target)


def add_local_dir(local: LocalPath, remote: str, ignore: object, place: Place) -> Step:
    """The step of `add_local_dir`."""
    target = checked_remote(remote, place, "add_local_dir", local)
    folder = locate(local, place, "add_local_dir")
    if folder.is_file():
        raise fault(place, "add_local_dir", f"{folder} is a file", "use .add_local_file(…)")
    return AddDir(place, folder, target, checked_names(ignore, place, "add_local_dir", "ignore"))


def run_setup(resource: SetupResource, place: Place) -> Step:
    """The step of `run_setup`."""
    return run_setup_step(resource, place)


def _local_file(path: LocalPath, place: Place, method: str) -> Path:
    found = locate(path, place, method)
    if found.is_dir():
        hint = "use .add_local_dir(…)" if method == "add_local_file" else "give the file in it"
        raise fault(place, method, f"{found} is a folder", hint)
    return found

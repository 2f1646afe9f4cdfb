"""What of a uv project decides which packages it installs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import cast

from fchains.packaging.places import Place, fault

_DECISIVE = ("name", "requires-python", "dependencies", "optional-dependencies")
_OWN_VERSION = re.compile(r'version = "[^"]*"(\nsource = \{ (?:virtual|editable) = "\." \})')


def locked_inputs(project: Path, frozen: bool) -> dict[str, bytes]:
    """`pyproject.toml` and `uv.lock` without what leaves the packages as they are.

    A new version of the project itself, or another setting of its linter, rebuilds nothing.
    """
    about = read_pyproject(project)
    own = cast("dict[str, object]", about.get("project", {}))
    tools = cast("dict[str, object]", about.get("tool", {}))
    decisive: dict[str, object] = {
        "project": {"version": "0", **{key: own[key] for key in _DECISIVE if key in own}},
        "dependency-groups": about.get("dependency-groups", {}),
        "tool": {"uv": tools.get("uv", {})},
    }
    text = "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in decisive.items())
    inputs = {"pyproject.toml": text.encode()}
    lock = project / "uv.lock"
    if frozen or lock.is_file():
        inputs["uv.lock"] = _OWN_VERSION.sub(r'version = "0"\1', lock.read_text(encoding="utf-8")).encode()
    return inputs


def read_pyproject(project: Path) -> dict[str, object]:
    """The parsed pyproject.toml of a folder."""
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


def check_uv_project(
    project: Path, groups: tuple[str, ...], extras: tuple[str, ...], frozen: bool, place: Place
) -> None:
    """See that `uv sync` can work with the project.

    Raises:
        DefinitionError: a file is missing, it is a workspace, or a group or extra is not defined.
    """

    def refuse(message: str, hint: str) -> None:
        raise fault(place, "uv_sync", message, hint)

    if not (project / "pyproject.toml").is_file():
        refuse(f"there is no pyproject.toml in {project}", "give the project's folder as project_dir")
    if frozen and not (project / "uv.lock").is_file():
        refuse(f"there is no uv.lock in {project}", "run `uv lock`, or pass frozen=False")
    about = read_pyproject(project)
    own = cast("dict[str, dict[str, object]]", about.get("project", {}))
    tools = cast("dict[str, dict[str, dict[str, object]]]", about.get("tool", {}))
    if "workspace" in tools.get("uv", {}):
        hint = (
            "run `uv export --no-emit-workspace -o requirements.txt` and use .pip_install_from_requirements()"
        )
        refuse("uv workspaces are not supported", hint)
    known = {
        "groups": cast("dict[str, object]", about.get("dependency-groups", {})),
        "extras": own.get("optional-dependencies", {}),
    }
    for option, names in (("groups", groups), ("extras", extras)):
        for name in names:
            if _normal(name) not in map(_normal, known[option]):
                choices = ", ".join(sorted(known[option])) or "none"
                refuse(f"{option}={[name]!r} is not in pyproject.toml", f"it defines {choices}")


def _toml(value: object) -> str:
    """A value as TOML on one line."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, cast("list[object]", value))) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

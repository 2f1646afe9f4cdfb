"""Checks of the words that users put into an image: packages, commands, variables, paths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import cast

from fchains.packaging.places import Place, fault

PYTHON_VERSIONS = ("3.11", "3.12", "3.13", "3.14")
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9][a-z0-9._/-]*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_PIP_HINTS = {
    "-r": "use .pip_install_from_requirements(path)",
    "--requirement": "use .pip_install_from_requirements(path)",
    "-e": "your own code travels by itself; install others' by name or URL",
    "--editable": "your own code travels by itself; install others' by name or URL",
    "--pre": "pass pre=True",
    "-i": "pass index_url=…",
    "--index-url": "pass index_url=…",
    "--extra-index-url": "pass extra_index_url=…",
    "-f": "pass find_links=…",
    "--find-links": "pass find_links=…",
}
_PIP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)")
_APT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:-]+(?:[=/][A-Za-z0-9.+:~_-]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def checked_python(version: object, place: Place) -> str:
    """A minor version of Python that has an image.

    Raises:
        DefinitionError: there is no such version, or it is no string.
    """
    if isinstance(version, str) and version in PYTHON_VERSIONS:
        return version
    message = f"python={version!r} " + ("is not supported" if isinstance(version, str) else "is no string")
    shorter = ".".join(str(version).split(".")[:2])
    meant = f'write python="{shorter}"' if shorter in PYTHON_VERSIONS else ""
    raise fault(place, "debian_slim", message, meant or f"choose one of {', '.join(PYTHON_VERSIONS)}")


def checked_reference(reference: object, place: Place) -> str:
    """The reference of an image in a registry.

    Raises:
        DefinitionError: it is none.
    """
    if isinstance(reference, str) and _REFERENCE.fullmatch(reference):
        return reference
    hint = 'write a name with its tag, as in "nvidia/cuda:12.6.0-runtime-ubuntu24.04"'
    raise fault(place, "from_registry", f"{reference!r} is no reference of an image", hint)


def checked_words(words: Sequence[object], place: Place, method: str, kind: str, example: str) -> list[str]:
    """The arguments of a method that takes one string per thing.

    Raises:
        DefinitionError: there are none, or one is a list, empty, no string, or has a line break.
    """
    hint = f"write .{method}({example})"
    if not words:
        raise fault(place, method, f"no {kind} is given", hint)
    for word in words:
        if isinstance(word, list | tuple | set | frozenset):
            shown = ", ".join(f'"{item}"' for item in cast("Sequence[object]", word))
            message = f"the {kind}s are arguments, not a {type(cast('object', word)).__name__}"
            raise fault(place, method, message, f"write .{method}({shown})" if shown else hint)
        if not isinstance(word, str):
            raise fault(place, method, f"{word!r} is no {kind}: it must be a string", hint)
        if not word.strip():
            raise fault(place, method, f"{word!r} is an empty {kind}", hint)
    return cast("list[str]", list(words))


def checked_requirements(words: Sequence[object], place: Place) -> tuple[str, ...]:
    """The arguments of `pip_install`.

    Raises:
        DefinitionError: one is no requirement.
    """
    requirements = checked_words(words, place, "pip_install", "package", '"numpy==2.1.0"')
    for word in requirements:
        message, hint = _fault_of_requirement(word, requirements)
        if message:
            raise fault(place, "pip_install", f"{word!r} {message}", hint)
    return tuple(word.strip() for word in requirements)


def _fault_of_requirement(word: str, words: Sequence[str]) -> tuple[str, str]:
    """What is wrong with one requirement, and what to write; empty when it is well."""
    if not word.isprintable():
        return "has a line break or control character", "give one package per argument"
    if word.strip().startswith("-"):
        option = re.split(r"[\s=]", word.strip())[0]
        fallback = 'use .run_commands("python3 -m pip install …")'
        return "is an option, not a package", _PIP_HINTS.get(option, fallback)
    if re.fullmatch(r"[=<>~!]*\d+(\.[\d*]+)*", word.strip()):
        before = next((other for other in words if other != word), "name")
        return "is a version, not a package", f'write "{before}=={word.lstrip("=<>~! ")}"'
    if word.startswith(("/", "file:")) or "://" in word.partition("@")[0]:
        return "", ""
    if word.startswith((".", "~")):
        return "is a local path", "add it with .add_local_file(…) first and give its path in the image"
    found = _PIP_NAME.fullmatch(word.strip())
    if not found:
        return "is no requirement", 'write a name with an optional version, as in "numpy==2.1.0"'
    rest = found["rest"]
    if re.match(r"=[^=]", rest):
        return "has a single =", f'write "{word.replace("=", "==", 1)}"'
    if rest and not rest.startswith(("==", ">", "<", "!=", "~=", "@", ";", "(")):
        return "is more than one package", f"write .pip_install({', '.join(map(json.dumps, word.split()))})"
    return "", ""


def checked_apt_packages(words: Sequence[object], place: Place) -> tuple[str, ...]:
    """The arguments of `apt_install`.

    Raises:
        DefinitionError: one is no name of a Debian package.
    """
    names = checked_words(words, place, "apt_install", "package", '"ffmpeg"')
    for name in names:
        if not _APT_NAME.fullmatch(name):
            hint = 'give one name per argument, as in "ffmpeg" or "ffmpeg=7:5.1.6-0+deb12u1"'
            if name.startswith("-"):
                hint = 'use .run_commands("apt-get install …") for options'
            raise fault(place, "apt_install", f"{name!r} is no Debian package", hint)
    return tuple(names)


def checked_option(value: object, place: Place, name: str) -> str | None:
    """An option of `pip_install` that is one URL or path.

    Raises:
        DefinitionError: it is neither None nor a string without spaces.
    """
    if value is None or (isinstance(value, str) and re.fullmatch(r"\S+", value) and value[0] != "-"):
        return value
    raise fault(place, "pip_install", f"{name}={value!r} is no URL", f'write {name}="https://…"')


def checked_names(values: object, place: Place, method: str, name: str) -> tuple[str, ...]:
    """A list of strings given for an option.

    Raises:
        DefinitionError: it is one string, or has something else in it.
    """
    if isinstance(values, str):
        raise fault(place, method, f"{name}={values!r} is a string", f'write {name}=["{values}"]')
    items: list[object] = (
        list(cast("Sequence[object]", values)) if isinstance(values, list | tuple) else [None]
    )
    for item in items:
        if not isinstance(item, str) or not item.strip():
            raise fault(place, method, f"{name}={values!r} is no list of strings", f'write {name}=["…"]')
    return cast("tuple[str, ...]", tuple(items))


def checked_variables(variables: object, named: Mapping[str, object], place: Place) -> dict[str, str]:
    """The variables that `env` sets.

    Raises:
        DefinitionError: there are none, or a name or value is not fit for one.
    """
    hint = 'write .env({"HF_HOME": "/cache"}) or .env(HF_HOME="/cache")'
    if not isinstance(variables, Mapping):
        raise fault(place, "env", f"the variables must be a dict, not {variables!r}", hint)
    every: dict[object, object] = {**cast("Mapping[object, object]", variables)}
    every.update(named)
    if not every:
        raise fault(place, "env", "no variable is given", hint)
    for name, value in every.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise fault(place, "env", f"{name!r} is no name of a variable", hint)
        if not isinstance(value, str):
            raise fault(
                place,
                "env",
                f"the value of {name} must be a string, not {value!r}",
                f'write .env({name}="{int(value) if isinstance(value, bool) else value}")',
            )
        if not value.isprintable():
            message = f"the value of {name} has a line break or control character: {value!r}"
            raise fault(place, "env", message, "set it at run time with @chainlet(env={…})")
    return cast("dict[str, str]", every)


def checked_remote(path: object, place: Place, method: str, local: object = None) -> str:
    """A path in the image.

    Raises:
        DefinitionError: it is not absolute, or has characters that a Dockerfile would not take as they are.
    """
    if not isinstance(path, str):
        raise fault(place, method, f"the path in the image must be a string, not {path!r}", 'write "/data"')
    if not path.startswith("/"):
        hint = f'write "/{path.removeprefix("./")}"'
        if str(local).startswith("/"):
            hint = f"the local path comes first; to swap the two, write .{method}({path!r}, {local!r})"
        raise fault(place, method, f"{path!r}, the path in the image, must be absolute", hint)
    if not path.isprintable() or set('$\\"') & set(path) or ".." in path.split("/"):
        raise fault(place, method, f"{path!r} is no plain path", 'leave out "..", quotes, $ and backslashes')
    plain = str(PurePosixPath("/", path.lstrip("/")))
    return f"{plain}/" if path.endswith("/") and plain != "/" else plain

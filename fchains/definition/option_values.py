"""What users may write for each option: one parser per option, in the table at the end.

A parser takes what the user wrote and returns the value to store, or raises `BadValue` with what is
wrong and what to write instead (an ExceptionGroup of them for several items).
"""

from __future__ import annotations

import inspect
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from fchains.definition.cron import parse_schedule
from fchains.definition.gpus import parse_gpus
from fchains.definition.numeric import finite, whole
from fchains.definition.problems import BadValue, parse_each, shown
from fchains.definition.replicas import parse_replicas
from fchains.definition.retry import parse_retries
from fchains.definition.sizes import parse_cpu, parse_memory

if TYPE_CHECKING:
    from fchains.packaging.image import Image
    from fchains.packaging.volume import Volume

NAME_RULE = "1 to 63 letters, digits, `_` or `-`, a letter first"
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,62}")


def name_from(text: str) -> str:
    """The text as far as it can be a chainlet's name."""
    return re.sub(r"[^a-zA-Z0-9_-]", "", text).lstrip("0123456789_-")[:63] or "chainlet"


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadValue(f"must be {NAME_RULE}, not {shown(value)}", 'write for example "transcribe"')
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"must be True or False, not {shown(value)}", "write True or False")
    return value


def _int_from(least: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = whole(value)
        if number is None or number < least:
            hint = f"write for example {max(least, 1) * 8}"
            raise BadValue(f"must be an int of at least {least}, not {shown(value)}", hint)
        return number

    return parse


def _seconds(*, zero: bool) -> Callable[[object], float]:
    rule = "a number of seconds, 0 or more" if zero else "a number of seconds above 0"

    def parse(value: object) -> float:
        if isinstance(value, timedelta):
            raise BadValue(f"must be {rule}, not {shown(value)}", f"write {value.total_seconds():g}")
        seconds = finite(value)
        if seconds is None or seconds < 0 or (seconds == 0 and not zero):
            raise BadValue(f"must be {rule}, not {shown(value)}", "write for example 30")
        return seconds

    return parse


def _timeout(value: object) -> float | None:
    try:
        return None if value is None else _seconds(zero=False)(value)
    except BadValue as fault:
        raise BadValue(fault.message, f"{fault.hint}, or None for no limit") from None


def _image(value: object) -> Image:
    from fchains.packaging.image import Image

    if isinstance(value, Image):
        return value
    hint = (
        f"write Image.from_registry({shown(value)})"
        if isinstance(value, str)
        else "write Image.debian_slim()"
    )
    raise BadValue(f"must be an Image, not {shown(value)}", hint)


def _health(value: object) -> Callable[..., object]:
    if not callable(value):
        raise BadValue(f"must be a function without arguments, not {shown(value)}", "write health=is_healthy")
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # built-in functions may have no signature
        return value
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    if needed:
        hint = "leave them out, or inject them: `def healthy(model: Model = use(load)) -> bool`"
        raise BadValue(f"must need no arguments, but needs {', '.join(needed)}", hint)
    return value


def _items(value: object, example: str) -> Sequence[object]:
    if not isinstance(value, (tuple, list)):
        raise BadValue(f"must be a list, not {shown(value)}", f"write {example}")
    return cast("Sequence[object]", value)


def _secrets(value: object) -> tuple[str, ...]:
    example = f"secrets=[{value!r}]" if isinstance(value, str) else 'secrets=["HF_TOKEN"]'
    return tuple(dict.fromkeys(parse_each(_secret, _items(value, example))))


def _secret(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"must name secrets, not {shown(value)}", 'write secrets=["HF_TOKEN"]')
    return value


def _calls(value: object) -> tuple[object, ...]:
    named = getattr(value, "__name__", None)
    return parse_each(_callee, _items(value, f"calls=[{named if isinstance(named, str) else 'other'}]"))


def _callee(value: object) -> object:
    from fchains.definition.spec import Definition

    if isinstance(value, Definition):
        return value
    hint = "decorate it with @chainlet" if inspect.isfunction(value) else "write calls=[other]"
    raise BadValue(f"must list chainlets, not {shown(value)}", hint)


def _pairs(value: object, example: str) -> list[tuple[object, object]]:
    if not isinstance(value, Mapping):
        raise BadValue(f"must be a dict, not {shown(value)}", f"write {example}")
    return list(cast("Mapping[object, object]", value).items())


def _env(value: object) -> dict[str, str]:
    return dict(parse_each(_variable, _pairs(value, 'env={"LOG_LEVEL": "info"}')))


def _variable(pair: object) -> tuple[str, str]:
    name, value = cast("tuple[object, object]", pair)
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        raise BadValue(f"has {shown(name)} as the name of a variable", 'write env={"LOG_LEVEL": "info"}')
    if not isinstance(value, str) or "\0" in value:
        hint = f'write {shown(name)}: "{shown(value)}"' if finite(value) is not None else "write text"
        raise BadValue(f"must map names to text, but {name} is {shown(value)}", hint)
    return name, value


def _volumes(value: object) -> dict[str, Volume]:
    mounts = parse_each(_mount, _pairs(value, 'volumes={"/cache": Volume("cache")}'))
    volumes = dict(mounts)
    if len(volumes) < len(mounts):
        raise BadValue(f"mounts two volumes at one path: {shown(value)}", "mount each at a path of its own")
    return volumes


def _mount(pair: object) -> tuple[str, Volume]:
    from fchains.packaging.volume import Volume

    path, volume = cast("tuple[object, object]", pair)
    clean = posixpath.normpath(f"/{path.lstrip('/')}") if isinstance(path, str) and path[:1] == "/" else "/"
    if clean == "/" or "\0" in clean:
        hint = 'write volumes={"/cache": Volume("cache")}'
        raise BadValue(f"needs an absolute path below /, not {shown(path)}", hint)
    if not isinstance(volume, Volume):
        hint = (
            f"write Volume({volume!r})" if isinstance(volume, str) else f'write {{{path!r}: Volume("cache")}}'
        )
        raise BadValue(f"needs a Volume at {path}, not {shown(volume)}", hint)
    return clean, volume


def _or_none(parse: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else parse(value)


PARSERS: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "entrypoint": _flag,
    "expose": _flag,
    "image": _or_none(_image),
    "gpu": parse_gpus,
    "cpu": parse_cpu,
    "memory": parse_memory,
    "disk": _or_none(parse_memory),
    "replicas": _or_none(parse_replicas),
    "group": _or_none(_name),
    "concurrency": _or_none(_int_from(1)),
    "max_queue": _int_from(0),
    "scaledown_window": _seconds(zero=True),
    "timeout": _timeout,
    "grace": _seconds(zero=True),
    "startup_timeout": _seconds(zero=False),
    "retries": parse_retries,
    "kill_on_cancel": _flag,
    "health": _or_none(_health),
    "secrets": _secrets,
    "env": _env,
    "volumes": _volumes,
    "schedule": parse_schedule,
    "calls": _calls,
}

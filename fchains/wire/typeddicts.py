"""`typing.TypedDict` classes as pydantic takes them before Python 3.12.

There pydantic accepts only those of typing_extensions, because those of `typing` do not say enough
about themselves: their subclasses forget which keys came from where. What a codec needs (the keys,
their types and which are required) they do say, so a twin of the other kind takes their place.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from typing import Any

import typing_extensions

_CONFIG = "__pydantic_config__"


def needs_twin(annotation: object) -> bool:
    """Whether pydantic refuses this class on this version of Python."""
    return (
        sys.version_info < (3, 12)
        and typing.is_typeddict(annotation)
        and type(annotation).__module__ == "typing"
    )


def twin_of(typed_dict: Any, prepare: Callable[[Any], Any]) -> Any:
    """A class with the same name and keys; itself where a key's type cannot be resolved.

    Args:
        typed_dict: a class for which `needs_twin` holds.
        prepare: gives the type to use for a key's type, which may hold such classes again.
    """
    try:
        hints = typing.get_type_hints(typed_dict, include_extras=True)
    except NameError:
        return typed_dict  # pydantic's own message says which name
    keys = {key: _key(typed_dict, key, hint, prepare) for key, hint in hints.items()}
    make: Any = typing_extensions.TypedDict
    twin = make(typed_dict.__name__, keys)
    for attribute in ("__module__", "__qualname__", "__doc__", _CONFIG):
        if hasattr(typed_dict, attribute):
            setattr(twin, attribute, getattr(typed_dict, attribute))
    return twin


def _key(typed_dict: Any, key: str, hint: Any, prepare: Callable[[Any], Any]) -> Any:
    # With `from __future__ import annotations` the class itself has not seen its own NotRequired.
    wrapper = typing.get_origin(hint)
    if wrapper in (typing.Required, typing.NotRequired):
        return wrapper[prepare(typing.get_args(hint)[0])]
    required = key in typed_dict.__required_keys__
    return (typing.Required if required else typing.NotRequired)[prepare(hint)]

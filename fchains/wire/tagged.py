"""The tagged engine: any supported value as a JSON tree that says what each part was.

JSON-native values, lists and string-keyed dictionaries stand for themselves. All else is an
object `{"$": tag, "v": …}`; bytes and arrays stand beside the body, referred to by position.
Reading makes values of listed kinds and of classes that the lookup finds: nothing is unpickled,
and no constructor or validator of a user's class runs.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from fchains.errors import SerializationError
from fchains.wire import adapters, containers, objects
from fchains.wire.classes import ClassLookup
from fchains.wire.payload import Payload
from fchains.wire.refusal import Refused, hint_for, name_of
from fchains.wire.tree import TAG, Reader, WriteHandler, Writer

_WRITE = containers.WRITE
_READ = {**containers.READ, **objects.READ, adapters.TAG: adapters.read}
_TAG_IN_BODY = f'"{TAG}"'.encode()


def encode_tagged(value: object, classes: ClassLookup, *, what: str) -> Payload:
    """Write a value as a tagged payload.

    Args:
        value: any value of a supported kind.
        classes: decides which classes the receiver can find.
        what: names the value in messages, such as "argument `opts`".

    Raises:
        SerializationError: a part of the value cannot travel; the message names its path.
    """
    writer = new_writer(classes)
    try:
        return writer.payload(writer.write(value))
    except Refused as refused:
        raise SerializationError(f"{what}{refused.path}: {refused.reason}") from refused.__cause__


def decode_tagged(payload: Payload, classes: ClassLookup) -> Any:
    """Read a tagged payload.

    Raises:
        SerializationError: the payload names a class that cannot be found or used here.
        ValueError: the payload is malformed.
    """
    tree = from_json(payload.body)
    if _TAG_IN_BODY not in payload.body:
        return tree
    try:
        return Reader(payload.buffers, classes, _READ).read(tree)
    except (SerializationError, ValueError):
        raise
    except Exception as exc:
        raise ValueError(f"the payload is malformed: {type(exc).__name__}: {exc}") from exc


def new_writer(classes: ClassLookup) -> Writer:
    """A walk that knows every kind."""
    return Writer(classes, _WRITE, _find_writer)


def can_travel(cls: type) -> bool:
    """Whether instances of exactly that class are of a known kind."""
    return cls in _WRITE or adapters.adapter_for(cls) is not None or objects.find_writer(cls) is not None


def _find_writer(cls: type) -> WriteHandler:
    handler = adapters.find_writer(cls) or objects.find_writer(cls)
    if handler is None:
        raise Refused(f"a `{name_of(cls)}` cannot travel between processes: {hint_for(cls)}")
    return handler

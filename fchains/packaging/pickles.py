"""Code by value: cloudpickle with the checks that it lacks."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from fchains.errors import SerializationError
from fchains.packaging.journeys import Journey, explained
from fchains.packaging.places import Place

PYTHON_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class ByValue:
    """A function of a notebook, a closure or a lambda, as cloudpickle's bytes.

    Args:
        pickled: what cloudpickle made.
        python: minor version of the Python that made it; no other can load it.
        digest: SHA-256 of `pickled`, in hex digits.
        modules: modules that loading it imports.
    """

    pickled: bytes = field(repr=False)
    python: str
    digest: str
    modules: tuple[str, ...] = ()


def pickled(function: Callable[..., object], place: Place) -> ByValue:
    """Pickle a function by value, and load it once to see that all of it survives.

    Raises:
        DefinitionError: something that the function uses cannot travel; the message names it.
    """
    journey = Journey()
    try:
        data, modules = journey.try_out(function)
    except Exception as error:
        name = getattr(function, "__qualname__", None) or repr(function)
        raise explained(error, function, name, place, journey) from error
    return ByValue(data, PYTHON_MINOR, hashlib.sha256(data).hexdigest(), modules)


def unpickled(reference: ByValue) -> object:
    """Load a function that travelled by value.

    Raises:
        SerializationError: another Python minor version made it, its bytes are damaged, or it does not load.
    """
    if reference.python != PYTHON_MINOR:
        raise SerializationError(
            f"this function travels by value from Python {reference.python}, and this is Python"
            f' {PYTHON_MINOR}: give the image python="{reference.python}", or move the function into a'
            " module, which any version can load"
        )
    digest = hashlib.sha256(reference.pickled).hexdigest()
    if digest != reference.digest:
        raise SerializationError(f"the pickled function is damaged: {digest=}, not {reference.digest}")
    try:
        return pickle.loads(reference.pickled)  # noqa: S301 (code, not a value)
    except Exception as error:
        raise SerializationError(
            f"the pickled function does not load here: {type(error).__name__}: {error}"
        ) from error

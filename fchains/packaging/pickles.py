"""Code by value: cloudpickle with the checks that it lacks."""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from fchains.errors import SerializationError
from fchains.packaging.places import Place, fault

PYTHON_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_REMEDY = "move it into a module of the project and import it: code in modules travels as source"


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
    name = getattr(function, "__qualname__", None) or repr(function)
    try:
        data, modules = _round_trip(function)
    except Exception as error:
        used, culprit, reason = _culprit(function) or ("", function, error)
        what = f"it uses `{used}`, {_described(culprit)}, which" if used else "it"
        why = str(reason) if isinstance(reason, _LostFieldsError) else f"{type(reason).__name__}: {reason}"
        message = f"{what} does not survive the journey to a worker: {why}"
        raise fault(place, name, message, _remedy(culprit)) from error
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


class _LostFieldsError(Exception):
    """Raised when a pydantic model arrives otherwise than it left."""


class _FreshUnpickler(pickle.Unpickler):
    """Loads as another process would: cloudpickle's memory of classes it has seen is not asked."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.copies: dict[str, type] = {}
        self.modules: set[str] = set()

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        found = super().find_class(module_name, global_name)
        self.modules.add(module_name)
        if module_name != "cloudpickle.cloudpickle":
            return found
        if global_name == "subimport":
            return self._noting_module(found)
        # All three take the id by which the class is remembered in front of `extra`, or last.
        position = {"_make_skeleton_class": 4, "_make_skeleton_enum": 5, "_make_typevar": 5}.get(global_name)
        return found if position is None else self._making_anew(found, position)

    def _noting_module(self, subimport: Callable[[str], ModuleType]) -> Callable[[str], ModuleType]:
        def noting(name: str) -> ModuleType:
            self.modules.add(name)
            return subimport(name)

        return noting

    def _making_anew(self, make: Callable[..., Any], position: int) -> Callable[..., Any]:
        def making(*arguments: object) -> Any:
            made = make(*arguments[:position], None, *arguments[position + 1 :])
            self.copies[cast("str", arguments[position])] = made
            return made

        return making


def _round_trip(value: object) -> tuple[bytes, tuple[str, ...]]:
    """Pickle a value and load it as a worker would; gives the bytes and the modules that were needed."""
    cloudpickle = importlib.import_module("cloudpickle.cloudpickle")
    data: bytes = cloudpickle.dumps(value)
    unpickler = _FreshUnpickler(data)
    unpickler.load()
    # Without cloudpickle's memory, should that go, only the check of models is lost.
    originals: Mapping[str, type] = getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
    for identity, copy in unpickler.copies.items():
        _check_model(originals.get(identity, copy), copy)
    return data, tuple(sorted(unpickler.modules - {"builtins", "cloudpickle.cloudpickle"}))


def _check_model(original: type, copy: type) -> None:
    """See that a pydantic model still has its fields.

    Some versions of pydantic load a model whose validator knows no fields, without an error: it
    then accepts anything and dumps nothing. Asked to validate an empty object, it shows.
    """
    if hasattr(original, "__pydantic_validator__") and _empty_outcome(original) != _empty_outcome(copy):
        from pydantic import VERSION

        raise _LostFieldsError(f"the model {original.__qualname__} loses fields with pydantic {VERSION}")


def _empty_outcome(model: Any) -> object:
    try:
        return sorted(model.__pydantic_validator__.validate_python({}).__dict__)
    except Exception as error:
        errors: Callable[[], list[dict[str, object]]] | None = getattr(error, "errors", None)
        return [(item["type"], item["loc"]) for item in errors()] if errors else type(error)


def _culprit(value: object, seen: tuple[object, ...] = ()) -> tuple[str, object, Exception] | None:
    """The innermost name, of those that a function uses, whose value does not survive; and why."""
    if not isinstance(value, FunctionType) or value in seen:
        return None
    for name, used in _used_values(value):
        try:
            _round_trip(used)
        except Exception as error:
            return _culprit(used, (*seen, value)) or (name, used, error)
    return None


def _used_values(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What a function refers to by name: closure, globals, defaults."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    for name in sorted(_global_names(code) & set(function.__globals__)):
        yield name, function.__globals__[name]
    positional = code.co_varnames[: code.co_argcount]
    yield from zip(reversed(positional), reversed(function.__defaults__ or ()), strict=False)
    yield from (function.__kwdefaults__ or {}).items()


def _global_names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_global_names, inner))


def _described(value: object) -> str:
    kind = value if isinstance(value, type) else type(value)
    return (
        f"a {kind.__module__}.{kind.__qualname__}" if kind is not value else f"the class {kind.__qualname__}"
    )


def _remedy(value: object) -> str:
    if isinstance(value, type | FunctionType):
        return _REMEDY
    return f"make it in a @setup function and inject it with use(), or {_REMEDY}"

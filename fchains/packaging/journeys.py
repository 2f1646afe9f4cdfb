"""What values go through on their way to another process by cloudpickle, tried out before they leave."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from fchains.errors import DefinitionError
from fchains.packaging.places import Place, fault

_REMEDY = "move it into a module of the project and import it: code in modules travels as source"


class Journey:
    """How values travel; a subclass may let some of them be found by a name instead."""

    def dumps(self, value: object) -> bytes:
        """The value as cloudpickle's bytes."""
        data: bytes = importlib.import_module("cloudpickle.cloudpickle").dumps(value)
        return data

    def named(self, name: Any) -> object:
        """What stands under a name that the bytes have in place of a value."""
        raise pickle.UnpicklingError(f"nothing is named {name!r}")

    def function_of(self, value: object) -> object:
        """The function whose code decides whether the value survives; the value itself where that is all."""
        return value

    def also_used(self, value: object) -> Mapping[str, object]:
        """What a value uses by name besides what the code of its function does."""
        return {}

    def try_out(self, value: object) -> tuple[bytes, tuple[str, ...]]:
        """Pickle a value and load it as a worker would; gives the bytes and the modules that were needed.

        Raises:
            Exception: it does not survive that.
        """
        data = self.dumps(value)
        unpickler = _FreshUnpickler(data, self.named)
        unpickler.load()
        # Without cloudpickle's memory, should that go, only the check of models is lost.
        cloudpickle = importlib.import_module("cloudpickle.cloudpickle")
        originals: Mapping[str, type] = getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
        for identity, copy in unpickler.copies.items():
            _check_model(originals.get(identity, copy), copy)
        return data, tuple(sorted(unpickler.modules - {"builtins", "cloudpickle.cloudpickle"}))


def explained(error: Exception, value: object, name: str, place: Place, journey: Journey) -> DefinitionError:
    """The error for a function that does not survive, which names what of the function does not.

    Args:
        error: what happened on the way.
        value: the function, or what has it.
        name: as its user knows it.
        place: where it is defined.
        journey: the one that it went on.
    """
    used, culprit, reason = _culprit(value, journey) or ("", value, error)
    what = f"it uses `{used}`, {described(culprit)}, which" if used else "it"
    message = f"{what} does not survive the journey to a worker: {why_lost(reason)}"
    return fault(place, name, message, _remedy(culprit))


def why_lost(error: Exception) -> str:
    """An error of the journey as part of a sentence."""
    return str(error) if isinstance(error, _LostFieldsError) else f"{type(error).__name__}: {error}"


def described(value: object) -> str:
    """A value by its class."""
    kind = value if isinstance(value, type) else type(value)
    return (
        f"a {kind.__module__}.{kind.__qualname__}" if kind is not value else f"the class {kind.__qualname__}"
    )


class _LostFieldsError(Exception):
    """Raised when a pydantic model arrives otherwise than it left."""


class _FreshUnpickler(pickle.Unpickler):
    """Loads as another process would: cloudpickle's memory of classes it has seen is not asked."""

    def __init__(self, data: bytes, named: Callable[[Any], object]) -> None:
        super().__init__(io.BytesIO(data))
        self._named = named
        self.copies: dict[str, type] = {}
        self.modules: set[str] = set()

    def persistent_load(self, pid: Any, /) -> object:
        return self._named(pid)

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


def _culprit(
    value: object, journey: Journey, seen: tuple[object, ...] = ()
) -> tuple[str, object, Exception] | None:
    """The innermost name, of those that a function uses, whose value does not survive; and why."""
    function = journey.function_of(value)
    if not isinstance(function, FunctionType) or function in seen:
        return None
    for name, used in (*_used_values(function), *journey.also_used(value).items()):
        try:
            journey.try_out(used)
        except Exception as error:
            return _culprit(used, journey, (*seen, function)) or (name, used, error)
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


def _remedy(value: object) -> str:
    if isinstance(value, type | FunctionType):
        return _REMEDY
    return f"make it in a @setup function and inject it with use(), or {_REMEDY}"

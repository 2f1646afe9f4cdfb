"""A shipment that has arrived: the process is set up like its sender, and the chain is found again."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fchains.calls.runner import Chain
from fchains.calls.using import forbid_sessions
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError, FchainsError, SetupError
from fchains.packaging.scripts import load_main_source
from fchains.wire.classes import find_main_in
from fchains_local.manifest import Manifest, Module
from fchains_local.naming import Name

_GUARD = (
    "a worker imports this module, which makes a call or opens a runner while it is imported: put that under"
    ' `if __name__ == "__main__":`'
)


def receive(path: Path) -> Chain:
    """Load the shipment in a file, in a process in which no calls are made before its own session is set.

    Raises:
        SetupError: see `load`.
        DefinitionError: see `load`.
    """
    forbid_sessions(_GUARD)
    return load(path.read_bytes())


def load(shipment: bytes) -> Chain:
    """The chain of a shipment, in a fresh process.

    Raises:
        SetupError: a module cannot be imported here, or what was pickled cannot be loaded.
        DefinitionError: a module does not define what it should.
    """
    manifest, pickled = Manifest.unpack(shipment)
    sys.path[:] = manifest.path
    sys.argv[:] = [manifest.argv0]
    logging.getLogger().setLevel(manifest.level)
    importlib.invalidate_caches()
    arrival = _Arrival(manifest)
    by_value: dict[str, Definition] = {}
    overrides: list[tuple[Resource[Any], object]] = []
    if pickled:
        by_value, overrides = arrival.unpickle(pickled)
    return Chain(
        name=manifest.chain,
        definitions={
            chainlet: by_value[chainlet] if name is None else arrival.chainlet(chainlet, name)
            for chainlet, name in manifest.chainlets.items()
        },
        version=manifest.version,
        environment=manifest.environment,
        resource_overrides=dict(overrides),
    )


class _Arrival:
    """The modules of a shipment, and what is found in them."""

    def __init__(self, manifest: Manifest) -> None:
        self._modules: dict[str, ModuleType] = {}
        if manifest.script is not None:
            find_main_in(manifest.script.name)
            self._import(manifest.script, is_script=True)
        for module in manifest.modules:
            self._import(module, is_script=False)

    def chainlet(self, chainlet: str, name: Name) -> Definition:
        """The definition that has a name."""
        found = self.find(name)
        if isinstance(found, Definition) and found.name == chainlet:
            return found
        raise _missing(name, f", for which the chain has the chainlet {chainlet!r}")

    def find(self, name: Name) -> object:
        """What has a name."""
        try:
            return name.of(self._modules[name.module])
        except AttributeError as error:
            raise _missing(name) from error

    def unpickle(self, data: bytes) -> Any:
        """What travelled by value."""
        try:
            return _Unpickler(data, self).load()
        except FchainsError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise SetupError(f"a worker cannot load what travelled to it by value: {why}") from error

    def _import(self, module: Module, *, is_script: bool) -> None:
        try:
            found = load_main_source(Path(module.file), module.name) if is_script else _imported(module)
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {error}"
            raise SetupError(f"a worker cannot import {module.name!r}: {why}") from error
        self._modules[module.name] = found


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, arrival: _Arrival) -> None:
        super().__init__(io.BytesIO(data))
        self._arrival = arrival

    def persistent_load(self, pid: Any, /) -> object:
        return self._arrival.find(Name(*pid))


def _imported(module: Module) -> ModuleType:
    """The module, found as usual or, as where a test runner loaded it, by its file alone."""
    try:
        found = importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        is_itself = error.name is not None and f"{module.name}.".startswith(f"{error.name}.")
        if not is_itself or not module.file.endswith(".py"):
            raise
        return _loaded_from_file(module)
    file = getattr(found, "__file__", None)
    if module.file and file and os.path.realpath(file) != os.path.realpath(module.file):
        raise ImportError(f"it is {file} here, and {module.file} in the process that calls: rename one")
    return found


def _loaded_from_file(module: Module) -> ModuleType:
    is_package = Path(module.file).name == "__init__.py"
    folders = [str(Path(module.file).parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(
        module.name, module.file, submodule_search_locations=folders
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{module.file} is no source of a module")
    found = importlib.util.module_from_spec(spec)
    sys.modules[module.name] = found
    try:
        spec.loader.exec_module(found)
    except BaseException:
        del sys.modules[module.name]
        raise
    return found


def _missing(name: Name, why: str = "") -> DefinitionError:
    return DefinitionError(
        f"the module {name.module!r} has no {name.path!r} in a worker{why}: it must define it whenever it"
        " is imported, not in one process alone"
    )

"""The step of an image that makes a resource while the image is built."""

from __future__ import annotations

import hashlib
import inspect
import json
import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from fchains.packaging.places import Place, fault
from fchains.packaging.scripts import MAIN_NAMES, name_of_main
from fchains.packaging.steps import Step


@runtime_checkable
class SetupResource(Protocol):
    """What `@setup` makes, as far as an image needs it."""

    @property
    def function(self) -> Callable[..., object]: ...
    @property
    def bound(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class RunSetup(Step):
    """A resource made once while the image is built, for what it leaves on disk."""

    name: str
    function: Callable[..., object]
    bound: str

    def text(self, folder: str) -> str:
        try:
            source = inspect.getsource(self.function)
        except (OSError, TypeError) as error:
            message = f"the source of {self.name} cannot be read: {error}"
            raise fault(self.place, "run_setup", message, "define the resource in a file") from error
        lines = [line.rstrip() for line in textwrap.dedent(source).strip().splitlines()]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        words = shlex.join([self.name, f"sha256:{digest}", *filter(None, [self.bound])])
        # `fchains` is a second build context, which the runner fills with the runtime and the bundle.
        mount = "--mount=type=bind,from=fchains,target=/opt/fchains"
        return f"RUN {mount} PYTHONPATH=/opt/fchains python3 -m fchains.worker.bake {words}"

    def declared(self) -> str:
        return f"setup {self.name} {self.bound}"


def run_setup_step(resource: SetupResource, place: Place) -> RunSetup:
    """The step for a resource that other processes can find by its name.

    Raises:
        DefinitionError: this is no resource, it has no such name, or its parameters are no JSON.
    """
    if not isinstance(cast("object", resource), SetupResource):
        hint = "give the function that @setup decorates, as in .run_setup(whisper)"
        raise fault(place, "run_setup", f"{resource!r} is no resource", hint)
    function = resource.function
    module = function.__module__
    if "<" in function.__qualname__:
        hint = "define the resource with `def` at the top level of a file"
        raise fault(place, "run_setup", f"{function.__qualname__} cannot be found again by its name", hint)
    if module in MAIN_NAMES:
        if not getattr(sys.modules[module], "__file__", None):
            message = f"{function.__qualname__} is defined in a notebook or REPL"
            raise fault(place, "run_setup", message, "define the resource in a file")
        module = name_of_main(sys.modules[module])
    try:
        bound = json.dumps(dict(resource.bound), sort_keys=True) if resource.bound else ""
    except TypeError as error:
        message = f"a bound parameter of {function.__qualname__} is no JSON value: {error}"
        raise fault(place, "run_setup", message, "bind strings, numbers, lists or dicts") from error
    return RunSetup(place, f"{module}:{function.__qualname__}", function, bound)

"""By which names other processes find the objects of this one: chainlets, resources, parts of a script."""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Literal, NamedTuple, cast

from fchains.definition.handle import AnyChainlet
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.packaging.scripts import MAIN_NAMES, name_of_main, without_main


class Name(NamedTuple):
    """Where something is found.

    Args:
        module: as other processes have it; a script's is not `__main__` there.
        path: the name in the module, with dots for what stands in a class.
        part: "definition" or "function" of what stands there, "" for itself.
    """

    module: str
    path: str
    part: Literal["", "definition", "function"] = ""

    def of(self, module: ModuleType) -> object:
        """What has the name.

        Raises:
            AttributeError: nothing has.
        """
        found: object = functools.reduce(getattr, self.path.split("."), module)
        if not self.part:
            return found
        if isinstance(found, AnyChainlet):
            return found.definition if self.part == "definition" else found.definition.function
        if isinstance(found, Resource) and self.part == "function":
            return cast("Resource[object]", found).function
        raise AttributeError(f"{self.path} has no {self.part}")


@dataclass(frozen=True)
class Script:
    """The file that runs as `__main__`.

    Args:
        path: absolute.
        module: its name elsewhere.
        names: what it defines outside of its `if __name__ == "__main__"` part alone.
    """

    path: Path
    module: str
    names: frozenset[str]

    @classmethod
    def running(cls) -> Script | None:
        """The script of this process; None in a notebook, a REPL and wherever no file has the source."""
        main = sys.modules.get("__main__")
        file = getattr(main, "__file__", None)
        if main is None or not isinstance(file, str) or not Path(file).is_file():
            return None
        path = Path(file).parent.resolve() / Path(file).name
        try:
            tree = ast.parse(path.read_bytes(), file)
        except (SyntaxError, ValueError):  # a compiled file, for one
            return None
        kept = without_main(tree)
        left_out = [statement for statement in tree.body if statement not in kept.body]
        names = _assigned(kept) - _assigned(ast.Module(left_out, []))
        return cls(path, name_of_main(main), names)

    def has(self, path: str, function: object = None) -> bool:
        """Whether it defines the name, and the function if there is one."""
        if path.partition(".")[0] not in self.names:
            return False
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        return code is None or Path(code.co_filename).resolve() == self.path.resolve()


def _assigned(module: ast.Module) -> frozenset[str]:
    instructions = dis.get_instructions(compile(module, "<script>", "exec", dont_inherit=True))
    return frozenset(str(each.argval) for each in instructions if each.opname == "STORE_NAME")


class Names:
    """Finds names for the objects of this process.

    What it has named is in `used`. To be thrown away soon: modules change.
    """

    def __init__(self) -> None:
        self.used: dict[Name, object] = {}
        self._by_module: dict[str, dict[int, Name]] = {}

    def of(self, value: object) -> Name | None:
        """The name of a value, None where it has none that other processes can use."""
        kind = type(value)
        if issubclass(kind, Definition):
            name = self._declared(value, cast("Definition", value).function)
        elif issubclass(kind, (AnyChainlet, Resource)):
            name = self._declared(value, _function_of(value))
        elif kind is FunctionType:
            name = self._declared(value, value) or self._in_script(value)
        elif issubclass(kind, type):
            name = self._in_script(value)
        else:
            return None
        if name is not None:
            self.used[name] = value
        return name

    @functools.cached_property
    def script(self) -> Script | None:
        """The script of this process."""
        return Script.running()

    def _declared(self, value: object, function: object) -> Name | None:
        module = getattr(function, "__module__", None)
        own = self._in_module(module).get(id(value)) if isinstance(module, str) else None
        return own or self._everywhere.get(id(value))

    def _in_script(self, value: object) -> Name | None:
        if getattr(value, "__module__", None) not in MAIN_NAMES or self.script is None:
            return None
        path = str(getattr(value, "__qualname__", ""))
        if not self.script.has(path, value if isinstance(value, FunctionType) else None):
            return None
        name = Name(self.script.module, path)
        try:
            return name if name.of(sys.modules["__main__"]) is value else None
        except AttributeError:
            return None

    def _in_module(self, name: str) -> dict[int, Name]:
        if name not in self._by_module:
            found: dict[int, Name] = {}
            for value, its_name in self._declarations(name):
                found.setdefault(id(value), its_name)
            self._by_module[name] = found
        return self._by_module[name]

    @functools.cached_property
    def _everywhere(self) -> dict[int, Name]:
        """What stands in other modules than its function does, such as what a factory made.

        A module that imports began before the one that it imports from: the last one counts.
        """
        found: dict[int, Name] = {}
        for module in reversed(list(sys.modules)):
            if module.partition(".")[0] not in sys.stdlib_module_names:
                for identity, name in self._in_module(module).items():
                    found.setdefault(identity, name)
        return found

    def _declarations(self, name: str) -> Iterator[tuple[object, Name]]:
        """Chainlets and resources at the top level of a module, and what belongs to them."""
        module = sys.modules.get(name)
        is_main = name in MAIN_NAMES
        script = self.script if is_main else None
        if not isinstance(module, ModuleType) or (script is None if is_main else is_handmade(module)):
            return
        elsewhere = script.module if script else name
        for path, value in list(vars(module).items()):
            function = _function_of(value)
            if function is None:
                continue
            local = function if getattr(function, "__module__", None) in MAIN_NAMES else None
            if script is not None and not script.has(path, local):
                continue
            yield value, Name(elsewhere, path)
            yield function, Name(elsewhere, path, "function")
            if isinstance(value, AnyChainlet):
                yield value.definition, Name(elsewhere, path, "definition")


def _function_of(value: object) -> object:
    """The function of a chainlet or a resource; objects of users are asked for nothing, not even a class."""
    kind = type(value)
    if issubclass(kind, AnyChainlet):
        return cast("AnyChainlet", value).definition.function
    return cast("Resource[object]", value).function if issubclass(kind, Resource) else None


def is_handmade(module: ModuleType) -> bool:
    """Whether a module was made without a source, so that no other process can import it."""
    return module.__spec__ is None and getattr(module, "__file__", None) is None

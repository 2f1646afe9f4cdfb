"""Scripts that ran as `__main__`: their name elsewhere, and their source without its main part."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import keyword
import re
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from fchains.packaging.statements import is_main_test

MAIN_NAMES = ("__main__", "__mp_main__")  # the second in children that multiprocessing spawned


def main_module_name(path: Path) -> str:
    """The name under which a script is a module elsewhere: its stem, unless that is no free name."""
    name = re.sub(r"\W", "_", path.stem)
    if not name.isidentifier() or keyword.iskeyword(name) or name in {*sys.stdlib_module_names, *MAIN_NAMES}:
        return f"main_{name.strip('_')}"
    return name


def name_of_main(main: ModuleType) -> str:
    """The name elsewhere of the running `__main__`: the one given to `python -m`, else the script's."""
    spec: ModuleSpec | None = main.__spec__
    return spec.name if spec else main_module_name(Path(str(main.__file__)))


def without_main(tree: ast.Module) -> ast.Module:
    """The module without its `if __name__ == "__main__"` part; what is left keeps its lines."""
    body: list[ast.stmt] = []
    for statement in tree.body:
        is_main = isinstance(statement, ast.If) and is_main_test(statement.test)
        body.extend(statement.orelse if isinstance(statement, ast.If) and is_main else [statement])
    return ast.Module(body, tree.type_ignores)


def main_part_has(source: bytes, line: int) -> bool:
    """Whether a line stands in the `if __name__ == "__main__"` part of a source."""
    parts = (node for node in ast.parse(source).body if isinstance(node, ast.If) and is_main_test(node.test))
    return any(part.lineno <= line <= (part.body[-1].end_lineno or 0) for part in parts)


class _ScriptLoader(SourceFileLoader):
    """Loads a source without its main part, and writes no `.pyc` that a plain import would find."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        return compile(without_main(tree), path, "exec", dont_inherit=True)


def load_main_source(path: Path, module_name: str) -> ModuleType:
    """Load a script as the module of that name, without its `if __name__ == "__main__"` part.

    Loaded once: a second call gives the same module.

    Args:
        path: the script.
        module_name: its name from now on, as `main_module_name(path)` gives it; packages in it are imported.

    Raises:
        ImportError: another module of that name is loaded already.
    """
    path = path.parent.resolve() / path.name
    if module_name in sys.modules:
        module = sys.modules[module_name]
        if getattr(module, "__file__", None) != str(path):
            message = f"cannot load {path} as {module_name!r}: {module!r} has that name; rename the script"
            raise ImportError(message, name=module_name, path=str(path))
        return module
    package = module_name.rpartition(".")[0]
    if package:
        importlib.import_module(package)
    loader = _ScriptLoader(module_name, str(path))
    spec = ModuleSpec(module_name, loader, origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module

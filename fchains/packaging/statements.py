"""The imports of one file, read from its source without running it."""

from __future__ import annotations

import ast
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

_IMPORT_FAILURES = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_DYNAMIC_NAMES = frozenset({"globals", "vars", "setattr", "exec", "locals"})


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """One import of a source file.

    Args:
        module: the name after `import` or `from`; empty in `from . import x`.
        names: what follows `from … import`; empty for a plain import.
        level: number of leading dots.
        line: where it stands.
        optional: its failure is caught, by `try` … `except ImportError` or `suppress(ImportError)`.
        deferred: it stands in a function, so that it runs later than the import of its file.
        guarded: it stands in `with image.imports()`.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    line: int = 0
    optional: bool = False
    deferred: bool = False
    guarded: bool = False

    def __str__(self) -> str:
        name = "." * self.level + self.module
        return f"from {name} import {', '.join(self.names)}" if self.names else f"import {name}"


def read_imports(source: bytes, path: Path) -> tuple[ImportStatement, ...]:
    """The imports that a file runs when it is imported, or later; not those for type checkers only.

    `importlib.import_module("…")` with a literal counts. What stands under `TYPE_CHECKING` or
    `if __name__ == "__main__"` does not.

    Raises:
        SyntaxError: the file does not parse.
    """
    reader = _Reader()
    reader.visit(ast.parse(source, str(path)))
    return tuple(reader.found)


class _Reader(ast.NodeVisitor):
    """Walks a module in source order and notes each import with what surrounds it."""

    def __init__(self) -> None:
        self.found: list[ImportStatement] = []
        self._optional: bool = False
        self._deferred: bool = False
        self._guarded: bool = False

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, (), 0, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._add(node.module or "", tuple(alias.name for alias in node.names), node.level, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        name, *rest = [_text(argument) for argument in node.args] or [""]
        if name and _last_name(node.func) in ("import_module", "__import__"):
            anchors = [*rest, *(_text(keyword.value) for keyword in node.keywords)]
            if name.startswith(".") and anchors and anchors[0]:  # a literal package: absolute after all
                with suppress(ImportError):
                    name = resolve_name(name, anchors[0])
            module = name.lstrip(".")
            self._add(module, (), len(name) - len(module), node.lineno)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if is_main_test(node.test) or _is_type_checking(node.test):
            self._visit_all(node.orelse)
        elif isinstance(node.test, ast.UnaryOp) and _is_type_checking(node.test.operand):
            self._visit_all(node.body)
        else:
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        self._visit_try(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self._visit_try(node)

    def _visit_try(self, node: ast.Try | ast.TryStar) -> None:
        caught = any(_catches_import_failure(handler) for handler in node.handlers)
        with self._within(optional=caught):
            self._visit_all(node.body)
            # What a handler imports is the other choice: one of the two is enough.
            self._visit_all(node.handlers)
        self._visit_all(node.orelse)
        self._visit_all(node.finalbody)

    def visit_With(self, node: ast.With) -> None:
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        guarded = any(isinstance(call.func, ast.Attribute) and call.func.attr == "imports" for call in calls)
        suppressed = any(
            _last_name(call.func) == "suppress"
            and any(_last_name(arg) in _IMPORT_FAILURES for arg in call.args)
            for call in calls
        )
        for call in calls:
            self.visit(call)
        with self._within(optional=suppressed, guarded=guarded):
            self._visit_all(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        with self._within(deferred=True):
            self.visit(node.body)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all([*node.decorator_list, node.args])
        with self._within(deferred=True):
            self._visit_all(node.body)

    def _visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    @contextmanager
    def _within(
        self, *, optional: bool = False, deferred: bool = False, guarded: bool = False
    ) -> Generator[None, None, None]:
        before = self._optional, self._deferred, self._guarded
        self._optional = self._optional or optional
        self._deferred = self._deferred or deferred
        self._guarded = self._guarded or guarded
        try:
            yield
        finally:
            self._optional, self._deferred, self._guarded = before

    def _add(self, module: str, names: tuple[str, ...], level: int, line: int) -> None:
        surroundings = (self._optional, self._deferred, self._guarded)
        self.found.append(ImportStatement(module, names, level, line, *surroundings))


def bound_names(tree: ast.Module) -> frozenset[str] | None:
    """Every name that a module may bind; None when its text does not tell, as with `import *`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in _DYNAMIC_NAMES:
                return None
            case ast.Attribute(attr="__dict__") | ast.FunctionDef(name="__getattr__") | ast.alias(name="*"):
                return None
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.partition(".")[0])
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=exported)):
                names.update(map(_text, exported))
            case _:
                pass
    return frozenset(names)


def is_dunder(name: str) -> bool:
    """Whether a name is one that Python itself may bind."""
    return name.startswith("__") and name.endswith("__")


def is_main_test(test: ast.expr) -> bool:
    """Whether a condition is `__name__ == "__main__"`, possibly with more after an `and`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(is_main_test(value) for value in test.values)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, test.comparators[0]]
    named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    return named and any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides)


def _is_type_checking(test: ast.expr) -> bool:
    return _last_name(test) == "TYPE_CHECKING"


def _catches_import_failure(handler: ast.excepthandler) -> bool:
    caught = handler.type if isinstance(handler, ast.ExceptHandler) else None
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(kind is None or _last_name(kind) in _IMPORT_FAILURES for kind in kinds)


def _last_name(node: ast.expr) -> str:
    """`x` of `x` and of `a.b.x`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    """The string of a literal, else nothing."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

"""What a code object names: globals, closure cells, attributes of both, and imports.

Read from the bytecode, which exists also where there is no source; nothing is executed.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Literal, cast

Scope = Literal["global", "cell", "local"]

_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_CELLS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
# They stand between the instructions that matter, differently in each version of Python.
_NOISE = frozenset(
    {"CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "POP_TOP", "PRECALL", "PUSH_NULL", "RESUME", "SWAP"}
)


@dataclass(frozen=True, slots=True)
class Use:
    """A name that code reads.

    Args:
        scope: where the name is looked up.
        name: the variable.
        attributes: what follows it with dots.
        argument: the text of a call with that one literal, as in `secret("TOKEN")`.
        line: where it stands.
    """

    scope: Scope
    name: str
    attributes: tuple[str, ...]
    argument: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Import:
    """A name that an import in a function body binds.

    Args:
        module: the module to start from; of `import a.b`, that is a.
        level: number of leading dots.
        names: the way from there to what is bound: b in `import a.b as c` and `from a import b`.
        variable: the local variable.
    """

    module: str
    level: int
    names: tuple[str, ...]
    variable: str


@dataclass(frozen=True, slots=True)
class CodeNames:
    """Everything that a code object names; `words` includes what the code inside it names."""

    uses: tuple[Use, ...]
    imports: tuple[Import, ...]
    words: frozenset[str]
    inner: tuple[CodeType, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    value: object
    count: int
    line: int


@lru_cache(maxsize=4096)
def names_in(code: CodeType) -> CodeNames:
    """Read the names in a code object."""
    steps = list(_steps(code))
    inner = tuple(constant for constant in code.co_consts if isinstance(constant, CodeType))
    words = frozenset(code.co_names).union(
        c for c in code.co_consts if isinstance(c, str) and c.isidentifier()
    )
    words = words.union(*(names_in(nested).words for nested in inner))
    return CodeNames(tuple(_uses(steps)), tuple(_imports(steps)), words, inner)


def _steps(code: CodeType) -> Iterator[_Step]:
    for instruction in dis.get_instructions(code):
        line = instruction.positions.lineno if instruction.positions else None
        if instruction.opname in _NOISE:
            continue
        value = cast("object", instruction.argval)
        if issubclass(type(value), tuple) and "_FAST_" in instruction.opname:
            # Two instructions in one, as in LOAD_FAST_LOAD_FAST: Python 3.13 and later.
            second = instruction.opname.rfind("_STORE_" if "_STORE_" in instruction.opname else "_LOAD_")
            names = (instruction.opname[:second], instruction.opname[second + 1 :])
            for name, variable in zip(names, cast("tuple[object, ...]", value), strict=True):
                yield _Step(name, variable, 0, line or 0)
        else:
            yield _Step(instruction.opname, value, instruction.arg or 0, line or 0)


def _uses(steps: Sequence[_Step]) -> Iterator[Use]:
    for index, step in enumerate(steps):
        scope = _scope(step.name)
        if scope is None:
            continue
        end = index + 1
        while end < len(steps) and steps[end].name in _ATTRIBUTES:
            end += 1
        attributes = tuple(str(attribute.value) for attribute in steps[index + 1 : end])
        yield Use(scope, str(step.value), attributes, _only_argument(steps[end : end + 3]), step.line)


def _scope(name: str) -> Scope | None:
    if name in _GLOBALS:
        return "global"
    if name in _CELLS:
        return "cell"
    return "local" if name.startswith("LOAD_FAST") else None


def _only_argument(steps: Sequence[_Step]) -> str | None:
    """The text in `f("text")` and `f(name="text")`, when these steps follow `f`."""
    if len(steps) < 2 or not steps[0].name.startswith("LOAD_CONST") or not isinstance(steps[0].value, str):
        return None
    call = steps[2] if len(steps) == 3 and steps[1].name in ("KW_NAMES", "LOAD_CONST") else steps[1]
    return steps[0].value if call.name in ("CALL", "CALL_KW") and call.count == 1 else None


def _imports(steps: Sequence[_Step]) -> Iterator[Import]:
    for index, step in enumerate(steps):
        if step.name != "IMPORT_NAME" or index < 2:
            continue
        module, level, listed = str(step.value), steps[index - 2].value, steps[index - 1].value
        depth = level if isinstance(level, int) else 0
        module = module if listed else module.partition(".")[0]
        path: tuple[str, ...] = ()
        for following in steps[index + 1 :]:
            if following.name == "IMPORT_FROM":
                # `from a import b, c` takes each from a; `import a.b.c as d` goes down from a.
                path = (str(following.value),) if listed else (*path, str(following.value))
            elif following.name.startswith("STORE_"):
                yield Import(module, depth, path, str(following.value))
                if not listed:
                    break
            else:
                break

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from fchains.definition.code_names import Import, Use, names_in

NAMES: dict[str, Any] = {}


def code_of(source: str) -> CodeType:
    exec(source, NAMES)
    code: CodeType = NAMES["f"].__code__
    return code


def uses(source: str) -> list[tuple[str, str, tuple[str, ...]]]:
    found = names_in(code_of(f"def f(a=0, b=0):\n    {source}\n")).uses
    return [(use.scope, use.name, use.attributes) for use in found if use.name not in "ab"]


def imports(source: str) -> tuple[Import, ...]:
    return names_in(code_of(f"def f():\n    {source}\n")).imports


def arguments(source: str) -> list[str | None]:
    found = names_in(code_of(f"def f(a=0, b=0):\n    {source}\n")).uses
    return [use.argument for use in found if "secret" in (use.name, *use.attributes)]


def test_globals_are_read_with_what_follows_them() -> None:
    assert uses("one.two.three(1); four") == [
        ("global", "one", ("two", "three")),
        ("global", "four", ()),
    ]


def test_an_attribute_of_a_result_belongs_to_no_name() -> None:
    assert uses("one().two") == [("global", "one", ())]


def test_code_inside_code_is_given_with_its_words() -> None:
    names = names_in(code_of("def f():\n    return lambda: [one.two for x in getattr(y, 'three')]\n"))

    assert names.uses == ()
    assert len(names.inner) == 1
    assert {"one", "two", "three", "y"} <= names.words


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a", [("a", 0, (), "a")]),
        ("import a.b", [("a", 0, (), "a")]),
        ("import a.b as c", [("a", 0, ("b",), "c")]),
        ("import a.b.c as d", [("a", 0, ("b", "c"), "d")]),
        ("from a.b import b", [("a.b", 0, ("b",), "b")]),
        ("from a import b as c, d", [("a", 0, ("b",), "c"), ("a", 0, ("d",), "d")]),
        ("from . import a", [("", 1, ("a",), "a")]),
        ("from ..a import b; import c", [("a", 2, ("b",), "b"), ("c", 0, (), "c")]),
    ],
)
def test_imports_tell_what_they_bind(source: str, expected: list[tuple[Any, ...]]) -> None:
    assert imports(source) == tuple(Import(*item) for item in expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("secret('A')", ["A"]),
        ("m.secret(name='A').strip()", ["A"]),
        ("other(secret('A') + secret('B'))", ["A", "B"]),
        ("return f'{secret(\"A\")}'", ["A"]),
        ("other(secret, 'A')", [None]),
        ("other('A', secret)", [None]),
        ("secret('A', 'B')", [None]),
        ("secret(a); secret(a, 'A')", [None, None]),
        ("secret; b = 'A'", [None]),
    ],
)
def test_the_only_argument_of_a_call_is_read_if_it_is_text(source: str, expected: list[str | None]) -> None:
    assert arguments(source) == expected


def instruction(opname: str, argval: object, arg: int = 0) -> SimpleNamespace:
    return SimpleNamespace(opname=opname, argval=argval, arg=arg, positions=SimpleNamespace(lineno=7))


def test_joined_instructions_of_newer_pythons_are_read_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    # import m; m.f(secret("A")); other(x, m.g), as Python 3.13 and 3.14 compile it.
    steps = [
        instruction("RESUME", 0),
        instruction("LOAD_SMALL_INT", 0),
        instruction("LOAD_CONST", None),
        instruction("IMPORT_NAME", "m"),
        instruction("STORE_FAST_LOAD_FAST", ("m", "m")),
        instruction("LOAD_ATTR", "f"),
        instruction("LOAD_GLOBAL", "secret"),
        instruction("LOAD_CONST", "name"),
        instruction("LOAD_CONST", ("name",)),
        instruction("CALL_KW", 1, 1),
        instruction("CALL", 1, 1),
        instruction("POP_TOP", None),
        instruction("LOAD_FAST_BORROW_LOAD_FAST_BORROW", ("x", "m")),
        instruction("LOAD_ATTR", "g"),
        instruction("STORE_FAST_STORE_FAST", ("y", "z")),
    ]

    def get_instructions(_: CodeType) -> Iterator[SimpleNamespace]:
        return iter(steps)

    monkeypatch.setattr(dis, "get_instructions", get_instructions)

    names = names_in(compile("'only for this test'", "", "exec"))

    assert names.imports == (Import("m", 0, (), "m"),)
    assert names.uses == (
        Use("local", "m", ("f",), None, 7),
        Use("global", "secret", (), "name", 7),
        Use("local", "x", (), None, 7),
        Use("local", "m", ("g",), None, 7),
    )

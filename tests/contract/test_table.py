"""The table of others' failures names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("README.md")
CONTRACT = TESTS.parent / "fchains" / "testing" / "contract"


@cache
def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def names_in(file: str) -> set[str]:
    names = functions_in(TESTS / file)
    if file == "contract/test_inline.py":
        names = names.union(*(functions_in(path) for path in CONTRACT.glob("*.py")))
    return names


def test_every_test_that_the_table_names_exists() -> None:
    named: list[tuple[str, str]] = re.findall(r"([\w/]+\.py)::(\w+)", TABLE.read_text(encoding="utf-8"))
    assert len(named) > 100
    missing = [
        f"{file}::{name}" for file, name in named if not (TESTS / file).exists() or name not in names_in(file)
    ]
    assert missing == []

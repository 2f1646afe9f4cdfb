"""Imports go one way: the layers stand here from the lowest to the highest."""

import ast
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS: list[set[str]] = [
    {"errors", "config", "origin"},
    {"wire", "packaging"},
    {"definition"},
    {"calls"},
    {"worker"},
    {"gateway"},
    {"testing", "cli"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
RUNNERS = {"fchains_local", "fchains_docker", "fchains_aws"}
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = set(CONFIG["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])


def module_name(path: Path, base: Path) -> str:
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(folder: Path, base: Path) -> dict[str, ast.Module]:
    found = {module_name(path, base): path for path in sorted(folder.rglob("*.py"))}
    return {name: ast.parse(path.read_text(encoding="utf-8"), path) for name, path in found.items()}


def is_for_checkers_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(node: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Full names of what is imported when the code runs, `a.b.c` for `from a.b import c`."""
    for child in ast.iter_child_nodes(node):
        if is_for_checkers_only(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"relative import in line {child.lineno}"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, inside_functions=inside_functions)


CORE = modules(ROOT / "fchains", ROOT)
PLUGINS = modules(ROOT / "runners", ROOT / "runners")


def known_module(name: str) -> str:
    """The module of the core that an imported name belongs to."""
    return name if name in CORE else name.rpartition(".")[0]


def core_imports(tree: ast.Module, *, inside_functions: bool) -> set[str]:
    names = imports(tree, inside_functions=inside_functions)
    return {known_module(name) for name in names if name.split(".")[0] == "fchains"}


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in CORE if name != "fchains"])
def test_a_module_imports_from_its_own_part_and_from_lower_layers(module: str) -> None:
    used = core_imports(CORE[module], inside_functions=True)

    assert "fchains" not in used, "the package's front door is for users: import the module itself"
    wrong = {name for name in used if part(name) != part(module) and RANK[part(name)] >= RANK[part(module)]}
    assert wrong == set()


def test_there_is_no_cycle_of_imports() -> None:
    graph = {name: core_imports(tree, inside_functions=False) - {name} for name, tree in CORE.items()}

    TopologicalSorter(graph).prepare()


def test_no_module_of_the_core_imports_a_runner() -> None:
    for module, tree in CORE.items():
        roots = {name.split(".")[0] for name in imports(tree, inside_functions=True)}
        assert not roots & (RUNNERS | {"runners"}), module


def test_a_runner_imports_no_other_runner() -> None:
    assert {name.split(".")[0] for name in PLUGINS} == RUNNERS
    for module, tree in PLUGINS.items():
        roots = {name.split(".")[0] for name in imports(tree, inside_functions=True)}
        assert not roots & (RUNNERS - {module.split(".")[0]}), module


def test_what_the_front_door_reaches_imports_no_heavy_package_at_module_level() -> None:
    reached, ahead = set[str](), ["fchains"]
    while ahead:
        module = ahead.pop()
        if module in reached:
            continue
        reached.add(module)
        parents = [module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)]
        ahead += [*core_imports(CORE[module], inside_functions=False), *parents]
    heavy = {
        f"{module} imports {name}"
        for module in reached
        for name in imports(CORE[module], inside_functions=False)
        if name.split(".")[0] in HEAVY
    }

    assert heavy == set()


def test_folders_of_runners_are_no_package() -> None:
    assert not (ROOT / "runners" / "__init__.py").exists()

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fchains.definition.checks import check_graph
from fchains.definition.graph import entrypoint
from fchains.definition.loading import load
from fchains.definition.problems import Problem
from fchains.definition.references import UnknownReference
from fchains.errors import FchainsError

APPS = Path(__file__).with_name("apps")
CHAINLET = "from fchains import chainlet\n\n@chainlet\ndef doubled(x: int) -> int:\n    return 2 * x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(path: str, text: str = CHAINLET) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.absolute()


def only_problem(reference: str) -> Problem:
    loaded = load(reference)
    assert loaded.module is None
    assert loaded.chainlets == {}
    (found,) = loaded.problems
    return found


def refused(reference: str) -> UnknownReference:
    with pytest.raises(UnknownReference) as caught:
        load(reference)
    return caught.value


def test_a_file_gives_its_chainlets() -> None:
    write("app.py")

    loaded = load("app.py")

    assert loaded.module is sys.modules["app"]
    assert list(loaded.chainlets) == ["doubled"]
    assert loaded.target is None
    assert loaded.problems == []


def test_a_reference_may_name_a_chainlet() -> None:
    write("app.py")

    assert load("app.py::doubled").target is load("app:doubled").target is not None


def test_a_chainlet_is_found_by_its_name_and_by_its_variable() -> None:
    write("app.py", CHAINLET + "\nlarge = doubled.variant(name='doubled-large')\n")

    by_name, by_variable = load("app.py::doubled-large").target, load("app.py::large").target

    assert by_name is not None
    assert by_name is by_variable
    assert by_name.name == "doubled-large"


def test_a_file_in_another_folder_finds_what_lies_beside_it() -> None:
    write("apps/deep/app.py", "import beside\n" + CHAINLET)
    write("apps/deep/beside.py", "")

    assert load("apps/deep/app.py").problems == []
    assert sys.path[0] == str(Path("apps/deep").absolute())


def test_a_file_in_a_package_is_loaded_under_its_dotted_name() -> None:
    write("pyproject.toml", "")
    write("src/shop/__init__.py", "")
    write("src/shop/chains/__init__.py", "")
    write("src/shop/chains/app.py", "from shop.chains import helpers\nfrom . import helpers\n" + CHAINLET)
    write("src/shop/chains/helpers.py", "")

    loaded = load("src/shop/chains/app.py")

    assert loaded.module is sys.modules["shop.chains.app"]
    assert sys.path[0] == str(Path("src").absolute())


def test_a_package_is_loaded_by_its_init_file_and_by_its_name() -> None:
    write("pyproject.toml", "")
    write("shop/__init__.py", "from shop.app import doubled\n")
    write("shop/app.py")

    assert list(load("shop/__init__.py").chainlets) == ["doubled"]
    assert list(load("shop").chainlets) == ["doubled"]
    assert load("shop.app:doubled").target is not None


def test_the_project_root_and_its_src_can_be_imported_from() -> None:
    write("pyproject.toml", "")
    write("src/library_in_src.py", "")
    write("tool_at_root.py", "")
    write("scripts/app.py", "import library_in_src, tool_at_root\n" + CHAINLET)

    assert load("scripts/app.py").problems == []


def test_a_file_with_a_dash_in_its_name_is_loaded() -> None:
    write("my-app.py")

    assert load("my-app.py").module is sys.modules["my-app"]


def test_a_module_that_is_loaded_is_not_run_again() -> None:
    write("app.py")

    assert load("app.py").module is load("app.py").module is load("app").module


def test_another_program_of_the_same_name_takes_its_place() -> None:
    write("first/app.py")
    write("second/app.py", CHAINLET.replace("doubled", "halved"))

    assert list(load("first/app.py").chainlets) == ["doubled"]
    assert list(load("second/app.py").chainlets) == ["halved"]


def test_imported_chainlets_belong_to_a_module_that_calls_them() -> None:
    write("parts.py", CHAINLET + "\n@chainlet(entrypoint=True)\ndef other() -> int:\n    return 1\n")
    write(
        "app.py",
        "from fchains import chainlet\nfrom parts import doubled, other\n\n"
        "@chainlet\ndef main(x: int) -> int:\n    return doubled.remote(x).result()\n",
    )

    loaded = load("app.py")

    assert list(loaded.chainlets) == ["main", "doubled"]
    assert entrypoint(loaded.graph)[0] is loaded.chainlets["main"]


def test_a_variant_belongs_to_the_module_that_makes_it() -> None:
    write("parts.py")
    write("app.py", "from parts import doubled\nlarge = doubled.variant(name='large', gpu='L4')\n")

    assert list(load("app.py").chainlets) == ["large"]


def test_a_file_with_ten_mistakes_has_ten_problems_at_their_lines() -> None:
    file = APPS / "ten_mistakes.py"
    lines = file.read_text().splitlines()
    expected = [number for number, line in enumerate(lines, 1) if line.endswith("# mistake")]

    loaded = load(str(file))
    problems = sorted([*loaded.problems, *check_graph(loaded.graph)], key=lambda problem: problem.line)

    assert len(expected) == 10
    assert [problem.line for problem in problems] == expected
    assert {problem.file for problem in problems} == {str(file)}
    assert all(problem.subject and problem.hint for problem in problems)


def test_declarations_that_are_no_functions_add_no_further_problems() -> None:
    write(
        "app.py",
        CHAINLET + "from fchains import setup, use\n"
        "@chainlet\nclass A:\n    pass\n"
        "@chainlet\nclass B:\n    pass\n"
        "@setup\nclass C:\n    pass\n"
        "@chainlet\ndef f(x: int = use(3), y: int = use(C)) -> int:\n    return x\n",
    )

    loaded = load("app.py")

    assert [problem.line for problem in loaded.problems] == [8, 11, 14, 17]
    assert check_graph(loaded.graph) == []
    assert list(loaded.chainlets) == ["doubled", "f"]


def test_an_import_that_raises_keeps_the_problems_before_it() -> None:
    write("app.py", "from fchains import chainlet\n@chainlet(gpu='X')\ndef f() -> int: ...\n1 / 0\n")

    first, second = load("app.py").problems

    assert (first.line, second.line) == (3, 4)
    assert second.message == "`1 / 0` raised ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("source", "line", "message", "hint"),
    [
        ("x = 1\ndef f(:\n", 2, "`def f(:` does not parse: invalid syntax", ""),
        ("if x:\npass\n", 2, "`pass` does not parse: expected an indented block", ""),
        ("import numpi_missing\n", 1, "no module 'numpi_missing'", "pip install numpi_missing"),
        ("import cv2.missing\n", 1, "no module 'cv2'", "pip install opencv-python-headless"),
        ("\nimport helprs\n", 2, "no module 'helprs'", "did you mean 'helpers'?"),
        ("import helpers.x\n", 1, "helpers has no module 'x'", ""),
        ("from helpers import presnt\n", 1, "cannot import name", "did you mean 'present'?"),
        ("import helpers\nhelpers.presnt\n", 2, "AttributeError", "did you mean 'present'?"),
        ("from fchains import chainlet\n@chainelt\ndef f(): ...\n", 2, "NameError", "'chainlet'?"),
        ("import sys\nsys.exit(3)\n", 2, "ends the program", "__main__"),
        ("raise KeyError\n", 1, "`raise KeyError` raised KeyError", ""),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError", ""),
        ("from helpers import fail\nfail()\n", 3, "`raise OSError('gone')` raised OSError: gone", ""),
        ("x = '\0'\n", 1, "null bytes", ""),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError", ""),
        ("eval('1 +')\n", 1, "SyntaxError", ""),
    ],
)
def test_an_import_that_fails_is_a_problem_in_the_user_s_file(
    source: str, line: int, message: str, hint: str
) -> None:
    write("helpers.py", "present = 1\ndef fail() -> None:\n    raise OSError('gone')\n")
    file = write("app.py", source)

    found = only_problem("app.py")

    expected = file.with_name("helpers.py") if "fail()" in source else file
    assert (found.file, found.line) == (str(expected), line)
    assert message in found.message
    assert hint in found.hint
    assert "app" not in sys.modules


def test_a_mistake_in_an_imported_module_is_told_there() -> None:
    broken = write("broken.py", "x = (\n")
    write("app.py", "import broken\n")

    assert (only_problem("app.py").file, only_problem("app.py").line) == (str(broken), 1)


def test_modules_that_import_each_other_are_told() -> None:
    write("app.py", "from other import x\ny = 1\n")
    write("other.py", "from app import y\nx = 1\n")

    assert "import each other" in only_problem("app.py").hint


def test_a_module_beside_a_file_of_a_package_needs_its_full_name() -> None:
    write("pyproject.toml", "")
    write("shop/__init__.py", "")
    write("shop/utils.py", "")
    write("shop/app.py", "import utils\n")

    assert "write `from shop import utils`" in only_problem("shop/app.py").hint


def test_a_package_outside_of_a_project_is_told_to_make_one() -> None:
    write("shop/__init__.py", "")
    write("shop/app.py", "import shop.utils\n")

    assert f"add an empty pyproject.toml to {Path.cwd()}" in only_problem("shop/app.py").hint


def test_a_missing_submodule_is_told_with_those_there_are() -> None:
    write("shop/__init__.py", "")
    write("shop/utils.py", "")
    write("app.py", "import shop.util\n")

    assert only_problem("app.py").message == "shop has no module 'util'. Did you mean `utils`?"


def test_errors_of_lower_layers_keep_their_place() -> None:
    file = write("app.py", "\nfrom fchains import Volume\nVolume('../x')\n")

    found = only_problem("app.py")

    assert (found.file, found.line) == (str(file), 3)
    assert "app.py:3" not in found.message


def test_pressing_ctrl_c_during_an_import_is_not_caught() -> None:
    write("app.py", "raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        load("app.py")


def test_a_file_that_is_not_there_is_told_with_a_close_match() -> None:
    write("app.py")
    write("other/service.py")

    assert str(refused("ap.py")) == "no such file: ap.py\n    did you mean app.py?"
    assert refused("service.py").hint == "did you mean other/service.py?"
    assert refused("oter/service.py").hint == "there is no folder oter"
    assert isinstance(refused("zzz.py"), LookupError | FchainsError)
    assert refused("zzz.py").hint == ""


def test_a_chainlet_that_is_not_there_is_told_with_those_there_are() -> None:
    write("app.py", CHAINLET + "\n@chainlet\ndef main() -> int:\n    return 1\n")

    assert refused("app.py::duobled").message == "app.py has no chainlet 'duobled'. Did you mean `doubled`?"
    assert refused("app.py::duobled").hint == "it has app.py::doubled, app.py::main"
    assert refused("app:zzz").hint == "it has app:doubled, app:main"


def test_a_name_that_is_no_chainlet_is_told() -> None:
    write(
        "app.py",
        CHAINLET + "from fchains import setup\ndef helper(): ...\n"
        "@setup\ndef model() -> int: return 1\nrate = 3\n",
    )

    assert refused("app.py::helper").message == "app.py: `helper` is a plain function"
    assert refused("app.py::helper").hint == "decorate it with @chainlet"
    assert refused("app.py::model").message == "app.py: `model` is a resource, not a chainlet"
    assert refused("app.py::rate").message == "app.py: `rate` is 3, not a chainlet"


def test_one_colon_after_a_file_is_corrected() -> None:
    write("app.py")

    assert refused("app.py:doubled").hint == "write app.py::doubled"


def test_two_colons_after_a_module_are_corrected() -> None:
    write("shop/app.py")

    assert refused("shop.app::doubled").hint == "write shop.app:doubled"
    assert refused("shop/app::doubled").hint == "did you mean shop/app.py::doubled?"


def test_a_file_without_its_ending_is_corrected() -> None:
    write("shop/app.py")

    assert refused("shop/app").hint == "did you mean shop/app.py?"
    assert refused("shop/ap").hint == "did you mean shop/app.py?"


def test_a_folder_is_refused_with_a_file_in_it() -> None:
    write("shop/app.py")
    Path("empty").mkdir()
    Path("folder.py").mkdir()

    assert refused("shop").hint == "name a file in it: shop/app.py"
    assert refused("shop/").message == "shop/ is a folder"
    assert refused(".").message == ". is a folder"
    assert "no Python file" in refused("empty").hint
    assert refused("folder.py").message == "folder.py is a folder"


def test_what_is_no_python_file_is_refused() -> None:
    write("notes.txt", "")

    assert refused("notes.txt").message == "notes.txt is no Python file"


@pytest.mark.parametrize("reference", ["", "::", "::name", "app.py::", "app.py::a b", "a b", "app.py::a::b"])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    write("app.py")

    refused(reference)


def test_a_module_that_is_not_there_is_told_with_a_close_match() -> None:
    write("shop/__init__.py", "")
    write("shop/app.py")

    assert refused("shopp.app").message == "there is no module 'shopp.app'"
    assert refused("shop.ap").message == "there is no module 'shop.ap'. Did you mean 'app'?"
    assert refused("shp").message == "there is no module 'shp'. Did you mean 'shop'?"


def test_a_missing_import_inside_a_module_is_no_fault_of_the_reference() -> None:
    write("app.py", "import missing_package\n")

    assert "missing_package" in only_problem("app").message


def test_a_module_without_chainlets_is_refused() -> None:
    write("app.py", "x = 1\n")

    assert refused("app.py").message == "app.py has no chainlet"
    assert "@chainlet" in refused("app.py::x").hint


def test_a_file_that_would_hide_a_module_is_refused() -> None:
    write("json.py")
    write("pytest.py")
    write("app.v2.py")

    assert "would hide the module 'json' of the standard library" in refused("json.py").message
    assert refused("json.py").hint == "rename it, for example to my_json.py"
    assert "would hide the installed module 'pytest'" in refused("pytest.py").message
    assert refused("app.v2.py").hint == "rename it to app_v2.py"


def test_a_package_that_is_imported_from_elsewhere_is_refused() -> None:
    write("first/pyproject.toml", "")
    write("second/pyproject.toml", "")
    write("first/shop/__init__.py", "")
    write("first/shop/app.py")
    write("second/shop/__init__.py", "")
    write("second/shop/app.py")
    load("first/shop/app.py")
    del sys.modules["shop.app"]

    assert "first/shop/app.py" in refused("second/shop/app.py").message


def test_objects_that_break_when_they_are_looked_at_do_no_harm() -> None:
    write(
        "app.py",
        CHAINLET + "class Proxy:\n    @property\n    def __class__(self): raise RuntimeError\n"
        "    def __eq__(self, other): raise RuntimeError\nproxy = Proxy()\n",
    )

    assert list(load("app.py").chainlets) == ["doubled"]

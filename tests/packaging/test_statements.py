import ast
from pathlib import Path

import pytest

from fchains.packaging.statements import ImportStatement, bound_names, is_main_test, read_imports


def read(source: str) -> list[ImportStatement]:
    return list(read_imports(source.encode(), Path("app.py")))


def test_plain_imports_are_found_in_order_with_their_lines() -> None:
    found = read("import a, b.c as d\nfrom e import f as g, h\nfrom ..i import j\nfrom . import k\n")

    assert found == [
        ImportStatement("a", line=1),
        ImportStatement("b.c", line=1),
        ImportStatement("e", ("f", "h"), line=2),
        ImportStatement("i", ("j",), 2, 3),
        ImportStatement("", ("k",), 1, 4),
    ]
    assert [str(item) for item in found[2:]] == ["from e import f, h", "from ..i import j", "from . import k"]


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n    import a",
        "if typing.TYPE_CHECKING:\n    import a",
        "if not TYPE_CHECKING:\n    pass\nelse:\n    import a",
        'if __name__ == "__main__":\n    import a',
        'if "__main__" == __name__ and True:\n    import a',
    ],
)
def test_what_never_runs_in_a_worker_is_not_found(source: str) -> None:
    assert read(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n    import x\nelse:\n    import a",
        "if not TYPE_CHECKING:\n    import a",
        'if __name__ == "__main__":\n    import x\nelse:\n    import a',
        "if sys.platform == 'linux':\n    import a",
        "class C:\n    import a",
        "for x in y:\n    import a",
        "match x:\n    case 1:\n        import a",
    ],
)
def test_what_runs_on_import_is_found(source: str) -> None:
    (found,) = read(source)

    assert (found.module, found.optional, found.deferred) == ("a", False, False)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    import a",
        "async def f():\n    import a",
        "class C:\n    def m(self):\n        with x:\n            import a",
        "f = lambda: importlib.import_module('a')",
    ],
)
def test_imports_in_functions_are_deferred(source: str) -> None:
    (found,) = read(source)

    assert (found.module, found.deferred) == ("a", True)


def test_imports_in_decorators_and_defaults_are_not_deferred() -> None:
    assert not read("@import_module('a').d\ndef f(): ...")[0].deferred
    assert not read("def f(x=import_module('a')): ...")[0].deferred


@pytest.mark.parametrize(
    "caught", ["ImportError", "ModuleNotFoundError", "(A, ImportError)", "Exception", ""]
)
def test_an_import_whose_failure_is_caught_is_optional(caught: str) -> None:
    found = read(
        f"try:\n    import a\nexcept {caught}:\n    import b\nelse:\n    import c\nfinally:\n    import d"
    )

    assert {item.module: item.optional for item in found} == {"a": True, "b": True, "c": False, "d": False}


def test_an_import_in_another_try_is_not_optional() -> None:
    assert not read("try:\n    import a\nexcept ValueError:\n    pass")[0].optional


def test_an_import_in_a_group_handler_is_optional() -> None:
    assert read("try:\n    import a\nexcept* ImportError:\n    pass")[0].optional


def test_suppress_makes_imports_optional() -> None:
    assert read("with contextlib.suppress(ImportError):\n    import a")[0].optional
    assert not read("with suppress(KeyError):\n    import a")[0].optional


def test_imports_for_an_image_are_guarded() -> None:
    found = read("with asr.imports():\n    import torch\nimport b")

    assert [(item.module, item.guarded) for item in found] == [("torch", True), ("b", False)]


@pytest.mark.parametrize(
    ("call", "module", "level"),
    [
        ("importlib.import_module('a.b')", "a.b", 0),
        ("import_module('a')", "a", 0),
        ("__import__('a')", "a", 0),
        ("import_module('.a', __package__)", "a", 1),
        ("import_module('..a', package=__package__)", "a", 2),
        ("import_module('.a', 'pkg')", "pkg.a", 0),
        ("import_module('..a', package='pkg.sub')", "pkg.a", 0),
    ],
)
def test_import_module_with_a_literal_is_an_import(call: str, module: str, level: int) -> None:
    (found,) = read(call)

    assert (found.module, found.level) == (module, level)


def test_import_module_with_anything_else_is_none() -> None:
    assert read("import_module(name)\nimport_module()\nimport_module(f'a.{b}')\nother('a')") == []


@pytest.mark.parametrize(
    "text", ['__name__ == "__main__"', "'__main__' == __name__", "__name__ == '__main__' and x"]
)
def test_the_main_test_is_known_in_every_form(text: str) -> None:
    assert is_main_test(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    "text", ['__name__ != "__main__"', "__name__ == 'x'", "x", "__name__ == '__main__' or x"]
)
def test_other_tests_are_not_the_main_test(text: str) -> None:
    assert not is_main_test(ast.parse(text, mode="eval").body)


def test_the_names_a_module_binds_are_found_at_every_depth() -> None:
    source = "import a.b, c as d\nfor e in f: g = 1\ndef h(): pass\nclass I: pass\n"
    source += "if x:\n    j: int = 2\n__all__ = ['k']"

    assert bound_names(ast.parse(source)) == frozenset({"a", "d", "e", "g", "h", "I", "j", "k", "__all__"})


@pytest.mark.parametrize(
    "source",
    ["from a import *", "def __getattr__(name): ...", "globals()['a'] = 1", "self.__dict__.update(a=1)"],
)
def test_a_module_that_binds_names_dynamically_is_not_judged(source: str) -> None:
    assert bound_names(ast.parse(source)) is None

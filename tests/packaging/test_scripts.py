import ast
import sys
import traceback
from pathlib import Path
from types import ModuleType

import pytest

from fchains.packaging.scripts import (
    load_main_source,
    main_module_name,
    main_part_has,
    name_of_main,
    without_main,
)
from tests.packaging.conftest import Write


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("podcast", "podcast"),
        ("my-app", "my_app"),
        ("2024 talk", "main_2024_talk"),
        ("json", "main_json"),
        ("class", "main_class"),
        ("__main__", "main_main"),
        ("größe", "größe"),
    ],
)
def test_a_script_has_a_name_that_is_free(stem: str, name: str) -> None:
    assert main_module_name(Path(f"/x/{stem}.py")) == name


def test_the_running_main_is_named_by_its_spec_or_its_file() -> None:
    main = ModuleType("__main__")
    main.__file__ = "/x/podcast.py"
    assert name_of_main(main) == "podcast"

    main.__spec__ = sys.__spec__
    assert name_of_main(main) == "sys"


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("a = 1\nif __name__ == '__main__':\n    b = 1\nc = 1", "a = 1\nc = 1"),
        ("if __name__ == '__main__':\n    b = 1\nelse:\n    c = 1", "c = 1"),
        ("if __name__ == '__main__':\n    b = 1\nelif x:\n    c = 1", "if x:\n    c = 1"),
        ("if __name__ != '__main__':\n    b = 1", "if __name__ != '__main__':\n    b = 1"),
        ("if __name__ == '__main__':\n    b = 1", ""),
    ],
)
def test_the_main_part_is_taken_out(source: str, left: str) -> None:
    assert ast.unparse(without_main(ast.parse(source))) == left


def test_lines_of_the_main_part_are_known() -> None:
    source = b"a\nif __name__ == '__main__':\n    b\n\n    c\nelse:\n    d\n"

    assert [line for line in range(1, 8) if main_part_has(source, line)] == [2, 3, 4, 5]


def test_a_script_is_loaded_under_its_own_name_without_its_main_part(write: Write) -> None:
    source = "name = __name__\nif __name__ == '__main__':\n    raise SystemExit\ndef f():\n    return 1\n"
    module = load_main_source(write({"pod_one.py": source}) / "pod_one.py", "pod_one")

    assert (module.name, module.f(), module.f.__module__) == ("pod_one", 1, "pod_one")
    assert sys.modules["pod_one"] is module
    assert module.__spec__ is not None
    assert module.__package__ == ""


def test_lines_and_source_in_tracebacks_are_those_of_the_file(write: Write) -> None:
    source = "if __name__ == '__main__':\n    a = 1\n\n\ndef f():\n    return 1 / 0  # here\n"
    path = write({"pod_two.py": source}) / "pod_two.py"
    module = load_main_source(path, "pod_two")

    with pytest.raises(ZeroDivisionError) as caught:
        module.f()
    (*_, frame) = traceback.extract_tb(caught.tb)
    assert (frame.filename, frame.lineno, frame.line) == (str(path), 6, "return 1 / 0  # here")


def test_a_script_is_loaded_once(write: Write) -> None:
    path = write({"pod_three.py": "x = object()"}) / "pod_three.py"

    assert load_main_source(path, "pod_three") is load_main_source(path, "pod_three")


def test_no_bytecode_is_written_that_a_plain_import_would_find(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    root = write({"pod_four.py": "x = 1"})
    load_main_source(root / "pod_four.py", "pod_four")

    assert [path.name for path in root.iterdir()] == ["pod_four.py"]


def test_a_script_that_fails_leaves_no_module_behind(write: Write) -> None:
    path = write({"pod_five.py": "raise ValueError('x')"}) / "pod_five.py"

    with pytest.raises(ValueError, match="x"):
        load_main_source(path, "pod_five")
    assert "pod_five" not in sys.modules


def test_a_name_that_is_taken_is_refused(write: Write) -> None:
    path = write({"pydantic.py": ""}) / "pydantic.py"
    import pydantic

    with pytest.raises(ImportError, match=r"cannot load .*pydantic\.py as 'pydantic': .* rename the script"):
        load_main_source(path, "pydantic")
    assert sys.modules["pydantic"] is pydantic


def test_a_script_in_a_package_finds_its_neighbours(write: Write) -> None:
    root = write({"pod_pkg/__init__.py": "x = 1", "pod_pkg/app.py": "from . import x", "pod_pkg/b.py": ""})
    sys.path.insert(0, str(root))
    module = load_main_source(root / "pod_pkg/app.py", "pod_pkg.app")

    assert (module.x, module.__package__) == (1, "pod_pkg")


def test_features_from_the_future_are_those_of_the_script(write: Write) -> None:
    path = write({"pod_six.py": "def f(x: int): ..."}) / "pod_six.py"

    assert load_main_source(path, "pod_six").f.__annotations__ == {"x": int}

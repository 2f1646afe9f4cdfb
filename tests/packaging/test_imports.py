import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fchains.packaging.imports import Closure, import_closure, top_level_imports
from fchains.packaging.modules import ModuleFinder
from fchains.packaging.project import Project
from tests.packaging.conftest import Write

PROJECT = {"pyproject.toml": ""}


def closure_of(root: Path, *entries: str) -> Closure:
    return import_closure([root / entry for entry in entries], Project(root))


def files_of(root: Path, *entries: str) -> dict[str, str]:
    found = closure_of(root, *entries)
    assert found.problems == ()
    return {name: path.relative_to(root).as_posix() for name, path in found.modules.items()}


def problem_of(root: Path, *entries: str) -> str:
    (problem,) = closure_of(root, *entries).problems
    return str(problem)


def test_siblings_are_followed_and_strangers_are_not(write: Write) -> None:
    root = write(
        PROJECT | {"app.py": "import a", "a.py": "from b import x", "b.py": "x = 1", "c.py": "", "z/d.py": ""}
    )

    assert files_of(root, "app.py") == {"a": "a.py", "app": "app.py", "b": "b.py"}


def test_modules_that_import_each_other_are_found_once(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import a", "a.py": "import app"})

    assert list(files_of(root, "app.py")) == ["a", "app"]


def test_a_package_ships_every_init_on_the_way_and_what_those_import(write: Write) -> None:
    root = write(
        PROJECT
        | {
            "app.py": "import p.q.r",
            "p/__init__.py": "from p import util",
            "p/util.py": "",
            "p/q/__init__.py": "",
            "p/q/r.py": "",
            "p/q/other.py": "",
        }
    )

    assert list(files_of(root, "app.py")) == ["app", "p", "p.q", "p.q.r", "p.util"]


def test_a_submodule_can_be_imported_from_its_package(write: Write) -> None:
    root = write(
        PROJECT
        | {"app.py": "from p import sub, name", "p/__init__.py": "name = 1", "p/sub.py": "", "p/b.py": ""}
    )

    assert list(files_of(root, "app.py")) == ["app", "p", "p.sub"]


def test_relative_imports_count_from_the_importing_package(write: Write) -> None:
    root = write(
        PROJECT
        | {
            "p/__init__.py": "from . import a",
            "p/a.py": "from .b import x\nfrom .q.c import y",
            "p/b.py": "x = 1",
            "p/q/__init__.py": "from .. import d",
            "p/q/c.py": "from ..e import z\ny = 1",
            "p/d.py": "",
            "p/e.py": "z = 1",
        }
    )

    assert list(files_of(root, "p/a.py")) == ["p", "p.a", "p.b", "p.d", "p.e", "p.q", "p.q.c"]


def test_a_star_import_ships_the_submodules_that_all_names(write: Write) -> None:
    root = write(
        PROJECT
        | {"app.py": "from p import *", "p/__init__.py": "__all__ = ['a']", "p/a.py": "", "p/b.py": ""}
    )

    assert list(files_of(root, "app.py")) == ["app", "p", "p.a"]


def test_imports_in_functions_ship_and_those_for_type_checkers_do_not(write: Write) -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a, gone\ndef f():\n    import b"
    root = write(PROJECT | {"app.py": source, "a.py": "", "b.py": ""})

    assert list(files_of(root, "app.py")) == ["app", "b"]


def test_the_main_part_of_a_script_is_not_followed(write: Write) -> None:
    root = write(PROJECT | {"app.py": 'if __name__ == "__main__":\n    import a, gone', "a.py": ""})

    assert list(files_of(root, "app.py")) == ["app"]


def test_import_module_with_a_literal_is_followed(write: Write) -> None:
    source = "import importlib\nimportlib.import_module('p.a')\nimportlib.import_module('.b', package='p')"
    root = write(PROJECT | {"app.py": source, "p/__init__.py": "", "p/a.py": "", "p/b.py": ""})

    assert list(files_of(root, "app.py")) == ["app", "p", "p.a", "p.b"]


def test_namespace_packages_need_no_init(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import n.m.a\nfrom n import b", "n/m/a.py": "", "n/b.py": ""})

    assert files_of(root, "app.py") == {"app": "app.py", "n.b": "n/b.py", "n.m.a": "n/m/a.py"}


def test_a_namespace_package_may_be_shared_with_an_installed_one(write: Write) -> None:
    root = write(
        {
            "proj/pyproject.toml": "",
            "proj/app.py": "import shared.ours, shared.theirs",
            "proj/shared/ours.py": "",
            "lib/site-packages/shared/theirs.py": "",
        }
    )
    sys.path.insert(0, str(root / "lib/site-packages"))
    found = closure_of(root / "proj", "app.py")

    assert list(found.modules) == ["app", "shared.ours"]
    assert (found.problems, found.third_party["shared"].state) == ((), "installed")


def test_a_src_layout_is_found_from_a_script_beside_it(write: Write) -> None:
    root = write(PROJECT | {"run.py": "import p.a", "src/p/__init__.py": "", "src/p/a.py": ""})
    found = closure_of(root, "run.py")

    assert found.modules["p.a"] == root / "src/p/a.py"
    assert found.folders == (root, root / "src")


def test_an_entry_inside_a_src_layout_has_its_full_name(write: Write) -> None:
    root = write(PROJECT | {"src/p/__init__.py": "", "src/p/a.py": "from p import b", "src/p/b.py": ""})
    found = closure_of(root, "src/p/a.py")

    assert list(found.modules) == ["p", "p.a", "p.b"]
    assert found.folders == (root / "src",)


def test_a_script_finds_its_neighbours_before_what_lies_at_the_root(write: Write) -> None:
    root = write(PROJECT | {"scripts/run.py": "import util", "scripts/util.py": "", "util.py": ""})

    assert files_of(root, "scripts/run.py") == {"run": "scripts/run.py", "util": "scripts/util.py"}


def test_folders_of_sys_path_below_the_root_count(write: Write) -> None:
    root = write(PROJECT | {"run.py": "import util", "lib/util.py": ""})
    sys.path.insert(0, str(root / "lib"))

    assert files_of(root, "run.py") == {"run": "run.py", "util": "lib/util.py"}


def test_an_environment_below_the_root_is_not_first_party(write: Write) -> None:
    root = write(PROJECT | {"run.py": "import pkgx", "env/lib/site-packages/pkgx/__init__.py": "import gone"})
    sys.path.insert(0, str(root / "env/lib/site-packages"))
    found = closure_of(root, "run.py")

    assert list(found.modules) == ["run"]
    assert found.third_party["pkgx"].state == "installed"


def test_an_installed_package_wins_over_a_folder_of_that_name(write: Write) -> None:
    root = write(PROJECT | {"run.py": "import pydantic", "pydantic/notes.txt": ""})

    assert closure_of(root, "run.py").third_party["pydantic"].state == "installed"


def test_a_loaded_module_keeps_the_name_it_has(write: Write) -> None:
    root = write(PROJECT | {"ns/deep/app.py": "from ns.deep import other", "ns/deep/other.py": ""})
    sys.path.insert(0, str(root))
    __import__("ns.deep.app")

    assert list(files_of(root, "ns/deep/app.py")) == ["ns.deep.app", "ns.deep.other"]


def test_a_root_that_is_a_package_itself_stays_within_the_root(write: Write) -> None:
    root = write(PROJECT | {"__init__.py": "", "app.py": "import util", "util.py": ""})

    assert closure_of(root, "app.py").folders == (root,)


def test_the_standard_library_and_fchains_are_left_to_the_worker(write: Write) -> None:
    root = write(
        PROJECT | {"app.py": "import os.path, asyncio, fchains\nfrom fchains.errors import FchainsError"}
    )
    found = closure_of(root, "app.py")

    assert (list(found.modules), found.third_party, found.problems) == (["app"], {}, ())


def test_third_party_modules_are_told_apart_by_where_they_are(write: Write) -> None:
    source = "import pydantic.fields\nimport elsewhere\ndef f():\n    import faster_whisper\n"
    root = write({"proj/pyproject.toml": "", "proj/app.py": source, "other/elsewhere.py": ""})
    sys.path.insert(0, str(root / "other"))
    found = closure_of(root / "proj", "app.py")

    assert {name: item.state for name, item in found.third_party.items()} == {
        "elsewhere": "outside",
        "faster_whisper": "missing",
        "pydantic": "installed",
    }
    assert (found.third_party["faster_whisper"].line, found.third_party["faster_whisper"].optional) == (
        4,
        True,
    )
    assert not found.third_party["pydantic"].optional
    assert found.problems == ()


def test_a_third_party_module_is_optional_only_if_every_import_of_it_is(write: Write) -> None:
    root = write(PROJECT | {"app.py": "def f():\n    import torchy\nimport torchy\n"})

    found = closure_of(root, "app.py").third_party["torchy"]
    assert (found.optional, found.line) == (False, 3)


def test_a_misspelt_sibling_is_reported_with_place_and_close_match(write: Write) -> None:
    root = write(PROJECT | {"app.py": "\ndef f():\n    import helprs", "helpers.py": ""})

    message = problem_of(root, "app.py")
    assert "app.py:3: `import helprs`: there is no module 'helprs' in the project" in message
    assert "did you mean 'helpers'?" in message


def test_a_package_of_an_image_that_resembles_a_sibling_has_a_way_out(write: Write) -> None:
    root = write(PROJECT | {"app.py": "with image.imports():\n    import torchy", "torchyx.py": ""})

    assert closure_of(root, "app.py").problems == ()


def test_a_missing_submodule_is_reported_with_close_match(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import p.steps.audo", "p/__init__.py": "", "p/steps/audio.py": ""})

    assert "p.steps has no module 'audo'\n    did you mean 'audio'?" in problem_of(root, "app.py")


def test_the_outermost_missing_package_is_the_one_reported(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import p.gone.deeper", "p/__init__.py": "", "p/a.py": ""})

    assert "p has no module 'gone'\n    p has: a" in problem_of(root, "app.py")


def test_a_missing_relative_import_is_reported(write: Write) -> None:
    root = write(PROJECT | {"p/__init__.py": "", "p/a.py": "from .utls import x", "p/utils.py": ""})

    assert "a.py:1: `from .utls import x`: p has no module 'utls'\n    did you mean 'utils'?" in problem_of(
        root, "p/a.py"
    )


def test_a_name_that_its_package_does_not_bind_is_reported(write: Write) -> None:
    root = write(PROJECT | {"app.py": "from p import stes", "p/__init__.py": "", "p/steps.py": ""})

    assert "p has no module 'stes'\n    did you mean 'steps'?" in problem_of(root, "app.py")


@pytest.mark.parametrize(
    "init", ["from q import *", "def __getattr__(name): ...", "name = 1", "globals()['name'] = 1"]
)
def test_a_name_that_its_package_may_bind_is_not_reported(write: Write, init: str) -> None:
    root = write(PROJECT | {"app.py": "from p import name, __version__", "p/__init__.py": init, "q.py": ""})

    assert closure_of(root, "app.py").problems == ()


def test_a_relative_import_in_a_plain_script_is_reported(write: Write) -> None:
    root = write(PROJECT | {"app.py": "from . import a", "a.py": ""})

    assert "goes beyond the top-level package of app" in problem_of(root, "app.py")


def test_an_optional_import_may_be_missing(write: Write) -> None:
    source = "try:\n    from ._version import v\n    from . import gone\nexcept ImportError:\n    v = ''"
    root = write(PROJECT | {"p/__init__.py": source})

    assert list(files_of(root, "p/__init__.py")) == ["p"]


def test_an_optional_import_ships_where_it_is_there(write: Write) -> None:
    root = write(
        PROJECT
        | {
            "app.py": "try:\n    import fast\nexcept ImportError:\n    import slow",
            "fast.py": "",
            "slow.py": "",
        }
    )

    assert list(files_of(root, "app.py")) == ["app", "fast", "slow"]


def test_an_imported_module_that_an_ignore_file_leaves_out_is_reported(write: Write) -> None:
    root = write(PROJECT | {".gitignore": "gen_*.py\n", "app.py": "import gen_pb2", "gen_pb2.py": ""})

    message = problem_of(root, "app.py")
    assert "app.py:1: `import gen_pb2` needs gen_pb2.py, which .gitignore leaves out" in message
    assert "write !gen_pb2.py in .fchainsignore" in message


def test_an_ignored_module_may_be_missing_where_its_import_is_optional(write: Write) -> None:
    source = "try:\n    import gen\nexcept ImportError:\n    gen = None"
    root = write(PROJECT | {".gitignore": "gen.py\n", "app.py": source, "gen.py": ""})

    assert list(files_of(root, "app.py")) == ["app"]


def test_an_entry_ships_even_if_it_is_ignored(write: Write) -> None:
    root = write(PROJECT | {".gitignore": "scratch.py\n", "scratch.py": "import a", "a.py": "import scratch"})

    assert list(files_of(root, "scratch.py")) == ["a", "scratch"]


def test_a_module_that_does_not_parse_is_reported_with_its_line(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import a", "a.py": "x = 1\ndef f(:\n"})

    assert "a.py:2: this is no Python source" in problem_of(root, "app.py")


def test_an_entry_that_does_not_exist_is_reported(write: Write) -> None:
    assert "gone.py:1: this is no Python source: [Errno 2]" in problem_of(write(PROJECT), "gone.py")


def test_two_entries_of_one_name_are_reported(write: Write) -> None:
    root = write(PROJECT | {"a/run.py": "", "b/run.py": ""})

    assert "are both the module 'run'" in problem_of(root, "a/run.py", "b/run.py")


def test_all_problems_are_reported_in_order(write: Write) -> None:
    source = "from p import gone\nimport p.lost\nfrom . import x"
    root = write(PROJECT | {"app.py": source, "p/__init__.py": ""})

    assert [problem.line for problem in closure_of(root, "app.py").problems] == [1, 2, 3]


def test_nothing_is_imported_to_find_it(write: Write) -> None:
    root = write(PROJECT | {"app.py": "import boom_module", "boom_module.py": "raise SystemExit"})

    assert list(files_of(root, "app.py")) == ["app", "boom_module"]
    assert "boom_module" not in sys.modules


def test_a_source_in_another_encoding_is_read(write: Write) -> None:
    root = write(
        PROJECT | {"app.py": "# -*- coding: latin-1 -*-\nx = 'é'\nimport a\n".encode("latin-1"), "a.py": ""}
    )

    assert list(files_of(root, "app.py")) == ["a", "app"]


def test_the_project_is_found_around_the_first_entry(write: Write) -> None:
    root = write(PROJECT | {"deep/app.py": "import util", "util.py": ""})

    assert list(import_closure([root / "deep/app.py"]).modules) == ["app", "util"]


def test_top_level_imports_are_those_a_file_cannot_do_without(write: Write) -> None:
    source = (
        "import a\ndef f():\n    import b\ntry:\n    import c\nexcept ImportError: ...\n"
        "with image.imports():\n    import d\nif TYPE_CHECKING:\n    import e\n"
        "class F:\n    from g import h\n"
    )
    root = write({"app.py": source})

    assert [str(item) for item in top_level_imports(root / "app.py")] == ["import a", "from g import h"]


def test_installed_entries_and_those_of_fchains_are_left_out(write: Write) -> None:
    import pydantic

    import fchains.errors

    root = write(PROJECT | {"app.py": ""})
    entries = [Path(pydantic.__file__), Path(str(fchains.errors.__file__)), root / "app.py"]

    assert list(import_closure(entries).modules) == ["app"]


def test_an_entry_outside_of_the_project_is_reported(write: Write) -> None:
    root = write({"a/pyproject.toml": "", "a/app.py": "", "b/other.py": ""})
    (problem,) = import_closure([root / "a/app.py", root / "b/other.py"]).problems

    assert f"other.py:1: this file is outside of the project {root / 'a'}" in str(problem)


def test_a_package_that_has_the_name_of_a_standard_one_is_reported(write: Write) -> None:
    root = write(PROJECT | {"code/__init__.py": "", "code/app.py": ""})

    assert "its package 'code' has the name of one that every worker has" in problem_of(root, "code/app.py")


def test_a_module_that_stands_in_for_a_standard_one_is_reported(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(PROJECT | {"app.py": "import this", "this.py": ""})
    module = ModuleType("this")
    module.__file__ = str(root / "this.py")
    monkeypatch.setitem(sys.modules, "this", module)

    assert "`import this` gets" in problem_of(root, "app.py")


def test_the_standard_library_is_no_part_of_a_project_around_it() -> None:
    library = Path(str(ast.__file__)).parent
    finder = ModuleFinder(Project(library.parent))

    assert finder.shadowing("ast") is None
    assert finder.find("antigravity") is None

from pathlib import Path

import pytest

from fchains.errors import DefinitionError
from fchains.packaging.project import Project, find_root
from tests.packaging.conftest import Write


def names(root: Path) -> list[str]:
    project = Project(root)
    return [project.name_of(path) for path in project.files()]


def test_the_root_is_the_nearest_folder_with_a_pyproject(write: Write) -> None:
    root = write({"pyproject.toml": "", "a/pyproject.toml": "", "a/b/app.py": "", "c/app.py": ""})

    assert find_root(root / "a/b/app.py") == root / "a"
    assert find_root(root / "c/app.py") == root
    assert find_root(root / "c") == root


def test_the_root_is_the_nearest_folder_with_a_git_repository(write: Write) -> None:
    root = write(
        {"repo/.git/HEAD": "", "repo/a/app.py": "", "worktree/.git": "gitdir: x", "worktree/app.py": ""}
    )

    assert find_root(root / "repo/a/app.py") == root / "repo"
    assert find_root(root / "worktree/app.py") == root / "worktree"


def test_without_either_the_root_is_the_folder_of_the_file(write: Write) -> None:
    root = write({"a/b/app.py": ""})

    assert find_root(root / "a/b/app.py") == root / "a/b"


def test_version_control_and_caches_never_count_whatever_is_taken_back(write: Write) -> None:
    root = write(
        {
            ".gitignore": "*\n!*/\n!*.py\n!.venv/\n",
            "app.py": "",
            ".git/config": "",
            ".venv/lib/x.py": "",
            "pkg/__pycache__/x.pyc": "",
            "ui/node_modules/x/index.js": "",
        }
    )

    assert names(root) == ["app.py"]


def test_ignore_files_leave_files_and_folders_out(write: Write) -> None:
    root = write(
        {
            ".gitignore": "*.log\nbuild/\n/only_here.txt\n",
            "app.log": "",
            "build/x.py": "",
            "only_here.txt": "",
            "sub/only_here.txt": "",
            "app.py": "",
        }
    )

    assert names(root) == [".gitignore", "app.py", "sub/only_here.txt"]


def test_a_nested_ignore_file_counts_below_its_folder_and_wins(write: Write) -> None:
    root = write(
        {
            ".gitignore": "*.json\n",
            "a/.gitignore": "!keep.json\n/secret.py\n",
            "a/keep.json": "",
            "a/drop.json": "",
            "a/secret.py": "",
            "a/b/keep.json": "",
            "a/b/secret.py": "",
            "keep.json": "",
        }
    )

    assert names(root) == [".gitignore", "a/.gitignore", "a/b/keep.json", "a/b/secret.py", "a/keep.json"]


def test_fchainsignore_ships_what_git_ignores_and_the_reverse(write: Write) -> None:
    root = write(
        {".gitignore": "gen.py\n", ".fchainsignore": "!gen.py\nnotes/\n", "gen.py": "", "notes/a.md": ""}
    )

    assert names(root) == [".fchainsignore", ".gitignore", "gen.py"]


def test_a_file_in_an_ignored_folder_cannot_be_taken_back(write: Write) -> None:
    root = write({".gitignore": "build/\n!build/keep.py\n", "build/keep.py": "", "build/.gitignore": "!*\n"})

    assert names(root) == [".gitignore"]


def test_ignore_files_above_the_root_count_up_to_the_repository(write: Write) -> None:
    root = write(
        {
            "outside/.gitignore": "*.py\n",
            "outside/repo/.git/HEAD": "",
            "outside/repo/.gitignore": "*.log\n",
            "outside/repo/service/pyproject.toml": "",
            "outside/repo/service/x.log": "",
            "outside/repo/service/x.py": "",
        }
    )

    assert names(root / "outside/repo/service") == ["pyproject.toml", "x.py"]


def test_the_ignore_file_that_decides_is_named(write: Write) -> None:
    root = write(
        {".gitignore": "*.log\n", "a/.fchainsignore": "*.csv\n", "a/x.csv": "", "a/x.log": "", "a/x.py": ""}
    )
    project = Project(root)

    assert project.excluding(root / "a/x.csv") == "a/.fchainsignore"
    assert project.excluding(root / "a/x.log") == ".gitignore"
    assert project.excluding(root / "a/.venv/x") == "fchains itself"
    assert project.excluding(root / "a/x.py") == ""


def test_included_files_are_those_of_the_globs(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": '[tool.fchains]\ninclude = ["data/*.json", "prompts", "**/*.sql"]\n',
            "data/a.json": "",
            "data/deep/b.json": "",
            "other/data/c.json": "",
            "prompts/x/y.txt": "",
            "q/r/s.sql": "",
            "top.sql": "",
        }
    )
    project = Project(root)

    found = [project.name_of(path) for path in project.included()]
    assert found == ["data/a.json", "prompts/x/y.txt", "q/r/s.sql", "top.sql"]


def test_nothing_is_included_without_a_table(write: Write) -> None:
    assert Project(write({"pyproject.toml": "[project]\nname='x'\n", "a.json": ""})).included() == []
    assert Project(write({"bare/a.json": ""}) / "bare").included() == []


def test_a_glob_that_matches_nothing_is_an_error_with_its_line(write: Write) -> None:
    root = write({"pyproject.toml": '[tool.fchains]\ninclude = [\n  "dta/*.json",\n]\n'})

    with pytest.raises(DefinitionError, match=r"pyproject\.toml:3: .*matches no file"):
        Project(root).included()


def test_a_glob_that_matches_ignored_files_alone_names_the_ignore_file(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": '[tool.fchains]\ninclude = ["data/*.bin"]\n',
            ".gitignore": "data/\n",
            "data/a.bin": "",
        }
    )

    with pytest.raises(DefinitionError, match=r"data/a\.bin, which \.gitignore leaves out") as caught:
        Project(root).included()
    assert "!data/a.bin in .fchainsignore" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"data"', "must be a list of globs"),
        ("[3]", "which is no glob"),
        ('[""]', "which is no glob"),
        ('["/etc/passwd"]', "not below this file's folder"),
        ('["../x"]', "not below this file's folder"),
        ('["!x"]', "not below this file's folder"),
    ],
)
def test_a_wrong_include_is_refused(write: Write, value: str, message: str) -> None:
    root = write({"pyproject.toml": f"[tool.fchains]\ninclude = {value}\n"})

    with pytest.raises(DefinitionError, match=rf"pyproject\.toml:2: .*{message}"):
        Project(root).included()


def test_a_pyproject_that_does_not_parse_is_named(write: Write) -> None:
    with pytest.raises(DefinitionError, match=r"pyproject\.toml:1: this is no TOML"):
        Project(write({"pyproject.toml": "[tool\n"})).included()

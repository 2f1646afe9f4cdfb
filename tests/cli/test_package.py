import json
from pathlib import Path

import pytest

from fchains.packaging.bundle import Bundle
from tests.cli.conftest import Cli

CODE = "from fchains import chainlet\nimport helper\n@chainlet\ndef f(x: int) -> int: return x\n"


@pytest.fixture
def app(folder: Path) -> str:
    (folder / "pyproject.toml").touch()
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "app.py").write_text(CODE)
    return "app.py"


def test_the_digest_the_number_of_files_and_their_size_are_shown(cli: Cli, app: str) -> None:
    done = cli("package", app)

    digest, rest = done.out.strip().split("  ")
    assert (len(digest), rest) == (64, f"2 files, {len(CODE) + 6} bytes")


def test_the_list_shows_each_file_with_its_size(cli: Cli, app: str) -> None:
    lines = cli("package", app, "--list").out.splitlines()

    assert lines[:2] == [f"{len(CODE)}  app.py", " 6  helper.py"]
    assert len(lines) == 3


def test_json(cli: Cli, app: str) -> None:
    shown = json.loads(cli("package", app, "--json").out)

    assert shown["files"] == {"app.py": len(CODE), "helper.py": 6}
    assert shown["size"] == len(CODE) + 6


def test_the_archive_is_written_where_one_says(cli: Cli, app: str, folder: Path) -> None:
    digest = json.loads(cli("package", app, "--json", "-o", "app.zip").out)["digest"]

    assert Bundle.from_bytes((folder / "app.zip").read_bytes()).digest == digest


def test_a_place_that_cannot_be_written_is_wrong_usage(cli: Cli, app: str) -> None:
    done = cli("package", app, "-o", "nowhere/app.zip")

    assert done.code == 2
    assert done.err == "error: --output: cannot write 'nowhere/app.zip': No such file or directory\n"


def test_a_missing_sibling_is_a_problem_with_a_close_match(cli: Cli, app: str, folder: Path) -> None:
    (folder / app).write_text(CODE.replace("helper", "helpr"))

    done = cli("package", app)

    assert (done.code, done.out) == (3, "")
    assert "app.py:2" in done.err
    assert "did you mean 'helper'?" in done.err


def test_a_file_that_looks_like_a_secret_is_refused(cli: Cli, app: str, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.fchains]\ninclude = ["*.pem"]\n')
    (folder / "key.pem").touch()

    done = cli("package", app)

    assert (done.code, done.out) == (3, "")
    assert "key.pem looks like a secret" in done.err
    assert "Traceback" not in done.err

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import fchains
from fchains.definition.first_party import FirstParty, is_library


def test_code_under_the_project_root_is_first_party(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "apps").mkdir()
    app = tmp_path / "apps" / "app.py"
    app.touch()
    ours = FirstParty(str(app))

    assert ours.has(str(app))
    assert ours.has(str(tmp_path / "library" / "other.py"))
    assert not ours.has(str(tmp_path.parent / "elsewhere.py"))


def test_what_is_installed_under_the_root_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    app = tmp_path / "app.py"
    app.touch()
    ours = FirstParty(str(app))

    assert not ours.has(str(tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "x.py"))
    assert not ours.has(str(tmp_path / "env" / "lib" / "x.py"))


def test_a_notebook_cell_has_only_itself() -> None:
    ours = FirstParty("<cell 3>")

    assert ours.has("<cell 3>")
    assert not ours.has("<cell 4>")
    assert not ours.has(__file__)


def test_the_standard_library_installed_packages_and_fchains_are_libraries() -> None:
    assert is_library(json.__file__)
    assert is_library(pytest.__file__)
    assert is_library(str(fchains.__file__))
    assert is_library("<frozen importlib._bootstrap>")
    assert not is_library(__file__)

"""Both type checkers agree with what the files beside this one say must, and must not, type-check.

What must not carries ignores, and an ignore that is not needed is an error by the settings in
pyproject.toml: so a mistake that begins to pass fails here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "checker",
    [["pyright", "--pythonpath", sys.executable], ["mypy", "--follow-imports=silent"]],
    ids=["pyright", "mypy"],
)
def test_types_are_accepted_and_rejected_as_written(checker: list[str]) -> None:
    command = [sys.executable, "-m", *checker, str(HERE)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

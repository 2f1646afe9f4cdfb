"""`fchains run --require-gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

APP = """\
from fchains import chainlet

@chainlet(gpu="L4")
def where() -> str:
    return "here"
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return str(path)


@pytest.mark.slow
def test_a_missing_gpu_is_an_error_when_it_is_required(
    app: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    shown = cli("run", app, "--runner", "local", "--require-gpu")
    assert shown.code == 4
    assert "where wants 1 L4" in shown.err


def test_a_runner_that_knows_no_gpus_says_so(app: str, cli: Cli) -> None:
    shown = cli("run", app, "--runner", "inline", "--require-gpu")
    assert shown.code == 2
    assert "the runner 'inline' does not know --require-gpu" in shown.err

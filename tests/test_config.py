from __future__ import annotations

import pytest

from fchains.config import Settings


def test_without_variables_everything_is_as_usual() -> None:
    assert Settings.from_env({}) == Settings(runner=None, traceback_full=False)
    assert Settings.from_env({"FCHAINS_RUNNER": " ", "FCHAINS_TRACEBACK": ""}) == Settings()


def test_the_runner_is_named_by_a_variable() -> None:
    assert Settings.from_env({"FCHAINS_RUNNER": "docker"}).runner == "docker"


@pytest.mark.parametrize(("value", "full"), [("full", True), ("FULL ", True), ("short", False)])
def test_full_tracebacks_are_asked_for_by_name(value: str, full: bool) -> None:
    assert Settings.from_env({"FCHAINS_TRACEBACK": value}).traceback_full is full

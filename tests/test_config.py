from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fchains.config import Settings


def test_without_variables_everything_is_as_usual() -> None:
    assert Settings.from_env({}) == Settings(runner=None, traceback_full=False)
    assert (
        Settings.from_env({"FCHAINS_RUNNER": " ", "FCHAINS_TRACEBACK": "", "FCHAINS_HOME": ""}) == Settings()
    )


def test_the_runner_is_named_by_a_variable() -> None:
    assert Settings.from_env({"FCHAINS_RUNNER": "docker"}).runner == "docker"


@pytest.mark.parametrize(("value", "full"), [("full", True), ("FULL ", True), ("short", False)])
def test_full_tracebacks_are_asked_for_by_name(value: str, full: bool) -> None:
    assert Settings.from_env({"FCHAINS_TRACEBACK": value}).traceback_full is full


@pytest.mark.parametrize(
    ("platform", "value", "home"),
    [
        ("linux", "", "/home/me/.local/share/fchains"),
        ("darwin", "", "/home/me/Library/Application Support/fchains"),
        ("linux", "/srv/fchains ", "/srv/fchains"),
        ("linux", "~/kept", "/home/me/kept"),
    ],
)
def test_what_is_kept_has_a_home(
    monkeypatch: pytest.MonkeyPatch, platform: str, value: str, home: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)

    assert Settings.from_env({"FCHAINS_HOME": value}).home == Path(home)


@pytest.mark.parametrize(
    ("variables", "color"),
    [
        ({"NO_COLOR": "", "FORCE_COLOR": ""}, None),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1"}, True),
    ],
)
def test_colors_are_forbidden_or_forced_by_the_usual_variables(
    variables: dict[str, str], color: bool | None
) -> None:
    assert Settings.from_env(variables).color is color

import json
from importlib.metadata import EntryPoint

import pytest

from fchains.calls import plugins
from fchains.cli import runners
from tests.cli.conftest import Cli


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "gone": EntryPoint("gone", "no_such_module_here:Runner", plugins.GROUP),
        "inline": EntryPoint("inline", "fchains.testing.inline:InlineRunner", plugins.GROUP),
        "wrong": EntryPoint("wrong", "json:dumps", plugins.GROUP),
    }
    monkeypatch.setattr(runners, "installed", lambda: points)


def test_the_installed_runners_are_listed_with_their_package(cli: Cli) -> None:
    done = cli("runners")

    assert done.code == 0
    assert "fchains.testing.inline:InlineRunner  fchains 0." in done.out
    assert "(default)" in done.out


@pytest.mark.usefixtures("broken")
def test_broken_runners_are_reported_and_do_not_hide_the_others(cli: Cli) -> None:
    done = cli("runners")

    assert done.code == 0
    assert "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module_here'" in done.out
    assert "json:dumps is no subclass of fchains.Runner" in done.out
    assert "inline  fchains.testing.inline:InlineRunner   (default)" in done.out


@pytest.mark.usefixtures("broken")
def test_json(cli: Cli) -> None:
    gone, inline, wrong = json.loads(cli("runners", "--json").out)

    assert (gone["name"], gone["default"]) == ("gone", False)
    assert (inline["lacks"], inline["error"], inline["default"]) == ([], "", True)
    assert wrong["error"] != ""


def test_a_runner_says_what_it_lacks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from fchains.calls.runner import Capability
    from fchains.testing.inline import InlineRunner

    monkeypatch.setattr(InlineRunner, "capabilities", frozenset(Capability) - {Capability.STREAMS})

    assert "lacks streams" in cli("runners").out

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from fchains import RunnerNotFound
from fchains.calls import plugins
from fchains.testing.inline import InlineRunner


def test_an_installed_runner_is_found_by_name() -> None:
    assert plugins.load_runner("inline") is InlineRunner


def test_an_unknown_name_is_refused_with_what_is_installed_and_a_guess() -> None:
    with pytest.raises(RunnerNotFound, match=r"installed: .*inline.*Did you mean 'inline'"):
        plugins.load_runner("inlien")


@pytest.mark.parametrize("value", ["no_such_module:Runner", "fchains.testing.inline:NoRunner"])
def test_a_runner_that_cannot_be_imported_says_why(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("broken", value, plugins.GROUP)
    monkeypatch.setattr(plugins, "installed", lambda: {"broken": point})
    with pytest.raises(RunnerNotFound, match=r"'broken' .* cannot be loaded"):
        plugins.load_runner("broken")

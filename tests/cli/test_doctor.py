import json
import subprocess
from importlib.metadata import EntryPoint

import pytest

from fchains.calls import plugins
from fchains.cli import machine, runners
from fchains.cli.packages import inspect_requirement
from tests.cli.conftest import Cli


def found_everything(name: str) -> str:
    return f"/usr/bin/{name}"


def test_every_line_begins_with_its_level_and_all_is_well_here(cli: Cli) -> None:
    done = cli("doctor")

    assert done.code == 0
    assert {line[:6] for line in done.out.splitlines()} <= {"ok    ", "warn  ", "      "}
    assert "pydantic" in done.out


def test_json(cli: Cli) -> None:
    found = {each["subject"]: each for each in json.loads(cli("doctor", "--json").out)}

    assert found["python"]["level"] == "ok"
    assert found["temp"]["level"] == "ok"
    assert {"gpu", "docker", "machine", "runner inline", "fchains"} <= found.keys()


def test_a_failure_is_told_with_advice_and_the_exit_code(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("gone", "no_such_module_here:Runner", plugins.GROUP)
    monkeypatch.setattr(runners, "installed", lambda: {"gone": point})

    done = cli("doctor")

    assert done.code == 4
    assert "fail  runner gone" in done.out
    assert "reinstall or remove no_such_module_here:Runner" in done.out


@pytest.mark.parametrize(
    ("requirement", "level"),
    [
        ("pydantic>=2.0", "ok"),
        ("pydantic>=99", "fail"),
        ("no-such-package-here>=1", "fail"),
        ("pydantic[email] >= 2.1 ; python_version > '3'", "ok"),
        ("pydantic", "ok"),
    ],
)
def test_a_package_must_be_there_and_new_enough(requirement: str, level: str) -> None:
    assert inspect_requirement(requirement).level == level


def test_a_package_that_is_too_old_says_what_to_install() -> None:
    finding = inspect_requirement("pydantic>=99.1,<100")

    assert "is too old, 99.1 is needed" in finding.text
    assert finding.advice == "pip install --upgrade 'pydantic>=99.1,<100'"


def test_a_driver_that_does_not_work_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr("shutil.which", found_everything)
    monkeypatch.setattr("subprocess.run", fail)

    found = {finding.subject: finding for finding in machine.inspect_machine()}

    assert found["gpu"].level == "warn"


def test_gpus_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = subprocess.CompletedProcess[str]([], 0, stdout="NVIDIA L4, 23034 MiB\nNVIDIA L4, 23034 MiB\n")
    monkeypatch.setattr("shutil.which", found_everything)

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return listed

    monkeypatch.setattr("subprocess.run", run)

    found = {finding.subject: finding for finding in machine.inspect_machine()}

    assert found["gpu"].text == "NVIDIA L4, 23034 MiB; NVIDIA L4, 23034 MiB"


def test_a_temp_folder_that_cannot_be_written_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)

    found = {finding.subject: finding for finding in machine.inspect_machine()}

    assert (found["temp"].level, found["temp"].text) == (
        "fail",
        "cannot write temporary files: Permission denied",
    )

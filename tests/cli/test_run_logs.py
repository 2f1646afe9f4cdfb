"""`fchains run --log-format`: what functions print and log."""

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from fchains.calls.loglines import LogLine
from fchains.calls.runner import Capability
from fchains.cli import logs
from fchains.cli.logs import JsonView, LogFormat, sink_for
from fchains.testing.inline import InlineRunner
from tests.cli.conftest import Cli

APP = """\
import logging, sys
from collections.abc import Iterator
from fchains import chainlet, setup, use

print("imported")

@setup
def model() -> int:
    print("setup")
    return 1

@chainlet
def speak(text: str, *, model: int = use(model)) -> str:
    print("said", text)
    print("10%\\r100%", file=sys.stderr, end="")
    logging.getLogger("user").warning("logged")
    return text

@chainlet
def count(upto: int) -> Iterator[int]:
    for n in range(upto):
        print("count", n)
        yield n

@chainlet
def named(log_format: str) -> str:
    return log_format
"""


@pytest.fixture(autouse=True)
def app(folder: Path) -> None:
    (folder / "app.py").write_text(APP)


class OtherRunner(InlineRunner):
    """Stands for a runner that does not run in this process."""

    name = "other"


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever name one asks for, it is that of the other one."""

    def load(name: str) -> type[OtherRunner]:
        return OtherRunner

    monkeypatch.setattr("fchains.cli.run.load_runner", load)
    monkeypatch.setattr("fchains.calls.using.load_runner", load)


def objects(err: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("where", ["before", "after", "joined"])
def test_json_is_an_object_a_line_on_standard_error_and_results_own_standard_output(
    cli: Cli, where: str
) -> None:
    option = ("--log-format=json",) if where == "joined" else ("--log-format", "json")
    target = ("app.py::speak", "--text", "hé")

    done = cli("run", *option, *target) if where == "before" else cli("run", *target, *option)

    assert (done.code, done.out) == (0, "hé\n")
    found = objects(done.err)
    assert [{**one, "time": "", "call_id": ""} for one in found] == [
        {
            "time": "",
            "chainlet": "speak",
            "replica": "speak-0",
            "call_id": "",
            "stream": "stdout",
            "logger": "",
            "text": "said hé",
        },
        {
            "time": "",
            "chainlet": "speak",
            "replica": "speak-0",
            "call_id": "",
            "stream": "log",
            "level": "WARNING",
            "logger": "user",
            "text": "logged",
        },
        {
            "time": "",
            "chainlet": "speak",
            "replica": "speak-0",
            "call_id": "",
            "stream": "stderr",
            "logger": "",
            "text": "100%",
        },
    ]
    assert len({one["call_id"] for one in found} - {""}) == 1
    others = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert others == ["imported", "setup"]


def test_the_time_is_utc() -> None:
    line = LogLine(1_700_000_000.25, "f", "f-0", "1", "stdout", "text")
    assert logs.as_object(line)["time"] == "2023-11-14T22:13:20.250000Z"


def test_text_changes_nothing_on_the_inline_runner(cli: Cli) -> None:
    plain = cli("run", "app.py::speak", "--text", "x")
    text = cli("run", "--log-format", "text", "app.py::speak", "--text", "x")

    assert plain.out == "imported\nsetup\nsaid x\nx\n"
    assert text.out == "setup\nsaid x\nx\n"  # it is imported once
    assert plain.err == text.err
    assert plain.err.startswith("10%\r100%")


def test_items_come_on_standard_output_and_their_number_unless_quiet_on_standard_error(cli: Cli) -> None:
    done = cli("run", "app.py::count", "--upto", "2", "--log-format", "json")
    quiet = cli("run", "app.py::count", "--upto", "2", "--log-format", "json", "--quiet")

    assert (done.out, quiet.out) == ("0\n1\n", "0\n1\n")
    assert [one["text"] for one in objects(done.err)] == ["count 0", "count 1"]
    assert done.err.splitlines()[-1].startswith("2 items in ")
    assert len(quiet.err.splitlines()) == 2


def test_a_parameter_of_that_name_keeps_its_option(cli: Cli) -> None:
    done = cli("run", "--log-format", "json", "app.py::named", "--log-format", "mine")

    assert done.out == "mine\n"


def test_an_unknown_format_is_wrong_usage(cli: Cli) -> None:
    done = cli("run", "--log-format", "xml", "app.py::speak", "--text", "x")

    assert done.code == 2
    assert "--log-format" in done.err


def test_help_names_the_option(cli: Cli) -> None:
    assert "--log-format" in cli("run", "--help").out
    assert "--log-format" in cli("run", "app.py::speak", "--help").out


@pytest.mark.usefixtures("other")
def test_other_runners_show_lines_with_their_replica_on_standard_error(cli: Cli) -> None:
    done = cli("run", "app.py::speak", "--text", "x")

    assert done.out == "imported\nsetup\nx\n"
    assert done.err == "speak-0 | said x\nspeak-0 | WARNING user: logged\nspeak-0 | 100%\n"


def test_only_runners_that_send_lines_get_a_sink() -> None:
    class Silent(OtherRunner):
        capabilities = InlineRunner.capabilities - {Capability.LOGS}

    assert sink_for(InlineRunner, None) is None
    assert sink_for(InlineRunner, LogFormat.TEXT) is None
    assert sink_for(Silent, None) is None
    assert sink_for(OtherRunner, None) is not None
    assert isinstance(sink_for(InlineRunner, LogFormat.JSON), JsonView)


def test_where_standard_error_is_closed_or_knows_ascii_only_nothing_breaks() -> None:
    line = LogLine(0.0, "f", "f-0", "1", "stdout", "é")
    raw = io.BytesIO()
    err = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with redirect_stderr(err):
        JsonView()(line)
        assert b'"\\u00e9"' in raw.getvalue()
        err.close()
        JsonView()(line)

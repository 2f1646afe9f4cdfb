from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.calls.loglines import LogLine, LogView
from fchains.worker.log_lines import MAX_LINE, LineAssembler
from fchains.worker.logs import Fragment, Owner

ONE = Owner("greet", "greet-1", "call-1")
TWO = Owner("greet", "greet-1", "call-2")
OTHER = Owner("greet", "greet-2", "call-3")


class Lines(LogView):
    """A sink that also keeps what is begun."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.bars: list[str] = []

    def __call__(self, line: LogLine) -> None:
        self.lines.append(line)

    def begun(self, line: LogLine) -> None:
        self.bars.append(line.text)

    def texts(self, owner: Owner | None = None) -> list[str]:
        return [
            line.text
            for line in self.lines
            if owner in (None, Owner(line.chainlet, line.replica, line.call_id))
        ]


def lines_of(parts: list[str] | list[bytes] | list[str | bytes], owner: Owner = ONE) -> list[str]:
    lines = Lines()
    assembler = LineAssembler(lines)
    for part in parts:
        assembler.feed(Fragment(owner, "stdout", part))
    assembler.finish(owner)
    return lines.texts()


def test_begun_lines_are_kept_per_call_and_sent_when_it_is_over() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    for owner, text in [(ONE, "a"), (TWO, "b"), (ONE, "c\nd"), (TWO, "e")]:
        assembler.feed(Fragment(owner, "stdout", text))
    assert lines.texts() == ["ac"]
    assembler.finish(TWO)
    assembler.feed(Fragment(ONE, "", "", ends=True))
    assembler.finish(ONE)
    assert lines.texts(TWO) == ["be"]
    assert lines.texts(ONE) == ["ac", "d"]


def test_the_end_of_a_replica_ends_the_begun_lines_of_all_its_calls() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    for owner in (ONE, OTHER, TWO):
        assembler.feed(Fragment(owner, "stderr", owner.call_id))
    assembler.finish_replica("greet-1")
    assert lines.texts() == ["call-1", "call-2"]
    assembler.finish_all()
    assert lines.texts() == ["call-1", "call-2", "call-3"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["a\r\n", "b\r\n"], ["a", "b"]),
        (["a\r", "\nb\n"], ["a", "b"]),
        (["\r 10%", "\r 50%", "\r100%\n", "done\n"], ["100%", "done"]),
        (["10%\r", "50%\r", "100%\r"], ["100%"]),
        (["\rbar", "\r   \r", "done\n"], ["done"]),
        (["\rbar", "\r   \r"], []),
        (["\n", "\n"], ["", ""]),
        (["  "], []),
    ],
)
def test_a_progress_bar_is_one_line_in_its_final_state(written: list[str], expected: list[str]) -> None:
    assert lines_of(written) == expected


def test_a_long_line_is_cut_into_bounded_pieces_and_nothing_is_lost() -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(2 * MAX_LINE + 10))
    pieces = lines_of([text + "\n", text])
    assert [len(piece) for piece in pieces] == 2 * [MAX_LINE, MAX_LINE, 10]
    assert "".join(pieces) == 2 * text


@settings(max_examples=40)
@given(st.text("ab\r\n", max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_how_a_text_is_divided_into_writes_makes_no_difference(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), max(len(text), *cuts, 0)]
    assert lines_of([text[start:end] for start, end in pairwise(places)]) == lines_of([text])


@settings(max_examples=40)
@given(st.text("aé€\n", max_size=20), st.integers(0, 60))
def test_characters_may_be_divided_among_writes_of_bytes(text: str, cut: int) -> None:
    data = text.encode()
    assert lines_of([data[:cut], data[cut:]]) == lines_of([text])


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert lines_of([b"\xff\xfe\n\xc3"]) == ["\ufffd\ufffd", "\ufffd"]


def test_lone_surrogates_do_not_reach_the_sink() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    assembler.feed(Fragment(ONE, "stdout", "é\udcff"))
    assembler.finish(ONE)
    assert (lines.texts(), lines.bars[0]) == (["é?"], "é?")


def test_what_comes_through_a_descriptor_does_not_mix_with_what_is_printed() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    outside = Owner("greet", "greet-1", "")
    pieces: list[tuple[str | bytes, bool]] = [
        ("prin", False),
        (b"\xc3", True),
        ("ted\n", False),
        (b"\xa9\n", True),
    ]
    for text, raw in pieces:
        assembler.feed(Fragment(outside, "stdout", text, raw=raw))
    assert lines.texts() == ["printed", "é"]


def test_a_record_is_whole_whatever_is_begun() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    assembler.feed(Fragment(ONE, "stderr", "begun"))
    assembler.feed(Fragment(ONE, "ERROR", "it failed\nTraceback", logger="user", time=3.5))
    assert lines.lines == [
        LogLine(3.5, "greet", "greet-1", "call-1", "ERROR", text, "user")
        for text in ("it failed", "Traceback")
    ]


def test_a_line_has_the_time_of_its_last_piece() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    for time, text in [(1.0, "a"), (2.0, "b\nc"), (3.0, "d")]:
        assembler.feed(Fragment(ONE, "stdout", text, time=time))
    assembler.finish(ONE)
    assert [(line.time, line.text) for line in lines.lines] == [(2.0, "ab"), (3.0, "cd")]


def test_a_view_is_told_of_a_begun_line_until_it_is_gone() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    for text in ["\r10%", "\r5", "0%", "\r\r\n", "whole\n", "\rbar", "\r   \r"]:
        assembler.feed(Fragment(ONE, "stderr", text))
    assert lines.bars == ["10%", "5", "50%", "", "bar", ""]
    assembler.feed(Fragment(ONE, "stderr", "rest"))
    assembler.finish(ONE)
    assert lines.bars[6:] == ["rest", ""]
    assert lines.texts() == ["50%", "whole", "rest"]


def test_a_line_that_comes_after_the_end_of_its_call_is_sent_too() -> None:
    lines = Lines()
    assembler = LineAssembler(lines)
    assembler.finish(ONE)
    assembler.feed(Fragment(ONE, "stdout", "late\n"))
    assert lines.texts() == ["late"]


def test_a_sink_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def sink(line: LogLine) -> None:
        raise ValueError(line.text)

    assembler = LineAssembler(sink)
    assembler.feed(Fragment(ONE, "stdout", "one\ntwo\n"))
    assert [record.getMessage() for record in caplog.records] == [
        "a sink for log lines failed; this is said once"
    ]

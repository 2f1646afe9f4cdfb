from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from fchains.calls.loglines import LogLine, LogSink
from fchains.worker.log_lines import LineAssembler
from fchains.worker.logs import Capture, Owner

ONE = Owner("greet", "replica-1", "call-1")
TWO = Owner("greet", "replica-1", "call-2")
writer: ContextVar[Owner | None] = ContextVar("writer", default=None)


class Lines(list[LogLine]):
    """A sink."""

    def texts(self, owner: Owner | None = None) -> list[str]:
        return [
            line.text for line in self if owner in (None, Owner(line.chainlet, line.replica, line.call_id))
        ]

    def labelled(self) -> list[tuple[str, str]]:
        return [(line.stream, line.text) for line in self]


class Terminal(io.TextIOWrapper):
    """A text stream with a binary buffer that remembers what it shows."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def raw(self) -> bytes:
        return cast("io.BytesIO", self.buffer).getvalue()

    def shown(self) -> str:
        return self.raw().decode()


@dataclass
class Streams:
    """The streams of a process, as a test sees them."""

    out: Terminal = field(default_factory=Terminal)
    err: Terminal = field(default_factory=Terminal)


@contextmanager
def terminal() -> Generator[Streams, None, None]:
    """Puts streams of the test's own in the place of pytest's."""
    streams = Streams()
    with redirect_stdout(streams.out), redirect_stderr(streams.err):
        yield streams


@contextmanager
def captured() -> Generator[tuple[Capture, Lines, Streams], None, None]:
    lines = Lines()
    assembler = LineAssembler(lines.append)
    with terminal() as streams, Capture(assembler.feed, writer.get) as capture:
        yield capture, lines, streams
    assembler.finish_all()


def capturing(sink: LogSink, *, pass_on: bool = True) -> Capture:
    return Capture(LineAssembler(sink).feed, writer.get, pass_on=pass_on)


@contextmanager
def inside(owner: Owner) -> Generator[None, None, None]:
    token = writer.set(owner)
    try:
        yield
    finally:
        writer.reset(token)


@contextmanager
def bare_logging() -> Generator[None, None, None]:
    """The root logger as a program without any logging set-up finds it."""
    root = logging.getLogger()
    handlers, root.handlers[:] = root.handlers[:], []
    try:
        yield
    finally:
        root.handlers[:] = handlers


def test_a_printed_line_reaches_the_original_and_the_sink_with_its_call() -> None:
    with captured() as (_, lines, streams), inside(ONE):
        print("hello", "world")
        print("oh no", file=sys.stderr)
        assert streams.out.shown() == "hello world\n"
        assert streams.err.shown() == "oh no\n"
    assert [(line.call_id, line.stream, line.text) for line in lines] == [
        ("call-1", "stdout", "hello world"),
        ("call-1", "stderr", "oh no"),
    ]
    assert (lines[0].chainlet, lines[0].replica, lines[0].logger) == ("greet", "replica-1", "")
    assert 0 < lines[0].time <= lines[1].time


def test_what_is_printed_outside_a_call_only_reaches_the_original() -> None:
    with captured() as (_, lines, streams):
        print("outside")
    assert streams.out.shown() == "outside\n"
    assert lines == []


def test_partial_lines_are_sent_at_the_latest_when_the_capture_ends() -> None:
    with captured() as (_, lines, _), inside(ONE):
        print("begun", end="")
    assert lines.texts() == ["begun"]


def test_bytes_are_captured_too_and_need_not_be_text() -> None:
    grun = "grün\n".encode()
    with captured() as (_, lines, streams), inside(ONE):
        buffer = sys.stdout.buffer
        buffer.write(grun[:3])
        buffer.writelines([grun[3:], bytearray(b"n\n")])
        buffer.write(memoryview(b"\xff\xfe\n\xc3"))
    assert lines.texts() == ["grün", "n", "\ufffd\ufffd", "\ufffd"]
    assert streams.out.raw() == grun + b"n\n\xff\xfe\n\xc3"


def test_a_captured_stream_behaves_like_the_original() -> None:
    with captured() as (_, _, streams):
        out: Any = sys.stdout
        assert out is not streams.out
        assert issubclass(out.__class__, io.TextIOWrapper)
        assert (out.encoding, out.errors, out.isatty(), out.closed) == ("utf-8", "strict", False, False)
        assert out.write("abc") == 3
        assert out.buffer.write(b"abc") == 3
        out.writelines(["x", "y"])
        out.flush()
        out.buffer.flush()
        with pytest.raises(io.UnsupportedOperation):
            out.fileno()
        assert repr(out) == repr(streams.out)
        assert repr(out.buffer) == repr(cast("io.BytesIO", streams.out.buffer))
        out.reconfigure(errors="replace")
        assert streams.out.errors == "replace"
        with pytest.raises(TypeError):
            out.write(b"bytes")
        with pytest.raises(AttributeError):
            _ = out.no_such_thing
        with out as same:
            assert same is out
        assert streams.out.closed


def test_a_stream_without_a_buffer_stays_without_one() -> None:
    with redirect_stdout(io.StringIO()), capturing(Lines().append):
        assert not hasattr(sys.stdout, "buffer")


def test_a_process_without_stdout_is_left_alone() -> None:
    lines = Lines()
    with terminal(), redirect_stdout(None), capturing(lines.append), inside(ONE):
        print("nowhere")
        assert cast("object", sys.stdout) is None
        print("somewhere", file=sys.stderr)
    assert lines.texts() == ["somewhere"]


def test_the_debugger_can_talk_to_its_user() -> None:
    from pdb import Pdb

    with captured() as (_, _, streams), inside(ONE):
        debugger = Pdb(stdin=io.StringIO("p 6 * 7\nc\n"), stdout=sys.stdout, nosigint=True, readrc=False)
        debugger.runcall(lambda: None)
        assert "(Pdb) 42" in streams.out.shown()


def test_rich_writes_through_a_captured_stream() -> None:
    from rich.console import Console

    with captured() as (_, lines, _), inside(ONE):
        Console(width=40).print("[bold]hello[/bold] rich")
    assert lines.texts() == ["hello rich"]


def test_the_original_streams_are_put_back_also_after_an_error() -> None:
    handlers = logging.getLogger().handlers[:]
    with terminal() as streams:
        with pytest.raises(ValueError, match="mine"), capturing(Lines().append):
            raise ValueError("mine")
        assert sys.stdout is streams.out
        assert sys.stderr is streams.err
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize("inner_first", [True, False])
def test_nested_captures_both_get_the_lines_and_end_in_any_order(inner_first: bool) -> None:
    outer_lines, inner_lines = Lines(), Lines()
    outer, inner = capturing(outer_lines.append), capturing(inner_lines.append)
    with terminal() as streams, inside(ONE):
        outer.__enter__()
        inner.__enter__()
        print("both")
        (inner if inner_first else outer).__exit__()
        print("one of them")
        (outer if inner_first else inner).__exit__()
        print("none")
        assert sys.stdout is streams.out
        assert sys.stderr is streams.err
    assert streams.out.shown() == "both\none of them\nnone\n"
    longer, shorter = (outer_lines, inner_lines) if inner_first else (inner_lines, outer_lines)
    assert longer.texts() == ["both", "one of them"]
    assert shorter.texts() == ["both"]


def test_a_stream_that_someone_put_on_top_stays_and_what_is_below_it_only_passes_on() -> None:
    theirs, lines = io.StringIO(), Lines()
    with terminal() as streams, inside(ONE):
        capture = capturing(lines.append).__enter__()
        with redirect_stdout(theirs):
            capture.__exit__()
            assert cast("object", sys.stdout) is theirs
            print("theirs")
        print("after")  # they have put back what they found
        with capturing(lines.append):
            print("again")
        assert sys.stdout is streams.out
    assert theirs.getvalue() == "theirs\n"
    assert streams.out.shown() == "after\nagain\n"
    assert lines.texts() == ["again"]


def test_streams_that_someone_replaced_are_captured_again_after_a_refresh() -> None:
    theirs = io.StringIO()
    with captured() as (capture, lines, streams), inside(ONE):
        capture.refresh()  # nothing to do: no line may come twice
        print("before")
        with redirect_stdout(theirs):
            print("lost")
            capture.refresh()
            print("theirs")
        print("after")
    assert theirs.getvalue() == "lost\ntheirs\n"
    assert streams.out.shown() == "before\nafter\n"
    assert lines.texts() == ["before", "theirs", "after"]


def test_a_capture_can_be_entered_again() -> None:
    lines = Lines()
    capture = capturing(lines.append)
    with terminal(), inside(ONE):
        for text in ("once", "twice"):
            with capture:
                print(text)
    assert lines.texts() == ["once", "twice"]


def test_a_sink_may_print_and_log_without_end() -> None:
    sunk: list[str] = []

    def sink(line: LogLine) -> None:
        sunk.append(line.text)
        print("sunk", line.text)
        logging.getLogger("sink").warning("sunk")

    with terminal() as streams, capturing(sink), capturing(sink), inside(ONE):
        print("hello")
    assert sunk == ["hello", "hello"]
    assert streams.out.shown().splitlines() == ["hello", "sunk hello", "sunk hello"]


def test_a_sink_that_fails_is_logged_once_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def sink(line: LogLine) -> None:
        raise ValueError(line.text)

    with terminal() as streams, capturing(sink), inside(ONE):
        print("one\ntwo")
        logging.getLogger("user").warning("three")
    assert streams.out.shown() == "one\ntwo\n"
    assert [record.getMessage() for record in caplog.records if record.name.startswith("fchains")] == [
        "a sink for log lines failed; this is said once"
    ]


def test_a_stream_that_fails_fails_for_who_prints() -> None:
    with captured() as (_, lines, _), inside(ONE):
        sys.stdout.close()
        with pytest.raises(ValueError, match="closed"):
            print("into the void")
    assert lines == []


def test_threads_print_whole_lines_with_their_own_calls() -> None:
    owners = [Owner("greet", "replica-1", f"call-{n}") for n in range(4)]
    with captured() as (_, lines, _):

        def work(owner: Owner) -> None:
            with inside(owner):
                for n in range(50):
                    print(owner.call_id, n)

        threads = [threading.Thread(target=work, args=(owner,)) for owner in owners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    for owner in owners:
        assert lines.texts(owner) == [f"{owner.call_id} {n}" for n in range(50)]


def test_a_sink_is_called_without_a_lock_so_that_it_may_wait_for_who_prints() -> None:
    lines = Lines()

    def sink(line: LogLine) -> None:
        lines.append(line)
        if line.text == "first":
            other = threading.Thread(target=copy_context().run, args=(print_and_log,))
            other.start()
            other.join(10)
            assert not other.is_alive()

    def print_and_log() -> None:
        print("second")
        logging.getLogger("user").warning("third")

    with terminal(), capturing(sink), inside(ONE):
        print("first")
        logging.getLogger("user").warning("first")
    assert lines.texts() == ["first", "second", "third", "first", "second", "third"]


def test_a_log_record_within_a_call_has_its_level_and_logger() -> None:
    logger = logging.getLogger("user.module")
    with captured() as (_, lines, _):
        logger.warning("outside")
        with inside(ONE):
            logger.warning("for %s", "you")
            logger.debug("below the level")
    assert [(line.stream, line.logger, line.text, line.call_id) for line in lines] == [
        ("WARNING", "user.module", "for you", "call-1")
    ]


def test_a_logged_exception_is_sent_line_by_line() -> None:
    with captured() as (_, lines, _), inside(ONE):
        try:
            raise ValueError("mine")
        except ValueError:
            logging.getLogger("user").exception("it failed")
    assert {line.stream for line in lines} == {"ERROR"}
    assert lines.texts()[:2] == ["it failed", "Traceback (most recent call last):"]
    assert lines.texts()[-1] == "ValueError: mine"


def test_records_of_fchains_itself_are_no_output_of_the_call() -> None:
    with captured() as (_, lines, _), inside(ONE):
        for name in ("fchains", "fchains.worker.replica", "fchains_local.pool"):
            logging.getLogger(name).warning("ours")
        logging.getLogger("fchainsaw").warning("theirs")
    assert lines.texts() == ["theirs"]


def test_a_record_whose_arguments_do_not_fit_is_sent_as_it_is() -> None:
    with bare_logging(), captured() as (_, lines, _), inside(ONE):
        logging.getLogger("user").info("%d of %d", "one")  # noqa: PLE1206
        logging.getLogger("user").setLevel(logging.INFO)
        logging.getLogger("user").info("%d of %d", "one")  # noqa: PLE1206
        logging.getLogger("user").setLevel(logging.NOTSET)
    assert lines.labelled() == [("INFO", "'%d of %d' % ('one',)")]


@pytest.mark.parametrize("captures", [1, 2])
def test_what_logging_prints_without_any_set_up_is_still_printed_once(captures: int) -> None:
    lines = Lines()
    with bare_logging(), terminal() as streams, ExitStack() as stack:
        for _ in range(captures):
            stack.enter_context(capturing(lines.append))
        logging.getLogger("user").warning("outside")
        logging.getLogger("fchains.worker").warning("ours")
        logging.getLogger("user").info("below the level of last resort")
        with inside(ONE):
            logging.getLogger("user").warning("inside")
    assert streams.err.shown() == "outside\nours\ninside\n"
    assert lines.labelled() == [("WARNING", "inside")] * captures


def test_a_handler_that_prints_to_a_captured_stream_makes_no_second_line() -> None:
    outer_lines, inner_lines = Lines(), Lines()
    logger = logging.getLogger("user.printing")
    with bare_logging(), terminal() as streams, capturing(outer_lines.append):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        handler.setLevel(logging.WARNING)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        with capturing(inner_lines.append), inside(ONE):
            logger.warning("shown")
            logger.info("not shown")
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert streams.err.shown() == "<shown>\n"
    assert outer_lines.labelled() == [("stderr", "<shown>"), ("INFO", "not shown")]
    assert inner_lines.labelled() == [("WARNING", "shown"), ("INFO", "not shown")]


def test_a_handler_of_the_program_goes_on_as_if_nothing_were_captured() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    with bare_logging(), captured() as (_, lines, streams), inside(ONE):
        logging.getLogger().addHandler(handler)
        logging.getLogger("user").warning("to a file")
        logging.getLogger().removeHandler(handler)
    assert stream.getvalue() == "to a file\n"
    assert streams.err.shown() == ""
    assert lines.labelled() == [("WARNING", "to a file")]


def test_what_is_not_passed_on_does_not_reach_the_originals() -> None:
    lines = Lines()
    with bare_logging(), terminal() as streams, capturing(lines.append, pass_on=False):
        print("outside")
        logging.getLogger("user").warning("outside")
        with inside(ONE):
            assert sys.stdout.write("one\n") == 4
            sys.stdout.writelines(["two\n"])
            assert sys.stderr.buffer.write(bytearray(b"three\n")) == 6
            logging.getLogger("user").warning("four")
            logging.getLogger("fchains.worker").warning("ours")
    assert (streams.out.shown(), streams.err.shown()) == ("outside\n", "outside\nours\n")
    assert lines.labelled() == [
        ("stdout", "one"),
        ("stdout", "two"),
        ("stderr", "three"),
        ("WARNING", "four"),
    ]


def test_a_stream_that_passes_nothing_on_is_as_strict_as_the_original() -> None:
    with terminal(), capturing(Lines().append, pass_on=False), inside(ONE):
        out: Any = sys.stdout
        with pytest.raises(TypeError, match="must be str, not bytes"):
            out.write(b"bytes")
        with pytest.raises(TypeError):
            out.buffer.write("text")
        out.close()
        with pytest.raises(ValueError, match="closed"):
            print("into the void")


def test_a_handler_that_was_set_up_before_prints_to_where_all_is_captured() -> None:
    lines = Lines()
    with bare_logging(), terminal() as streams:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        logging.getLogger("user").addHandler(handler)
        with capturing(lines.append, pass_on=False), inside(ONE):
            logging.getLogger("user.module").warning("once")
        logging.getLogger("user").removeHandler(handler)
        assert handler.stream is streams.err
    assert streams.err.shown() == ""
    assert lines.labelled() == [("stderr", "<once>")]


def test_records_of_fchains_itself_are_taken_where_one_asks_for_them() -> None:
    lines = Lines()
    assembler = LineAssembler(lines.append)
    with (
        bare_logging(),
        terminal() as streams,
        Capture(assembler.feed, lambda: ONE, pass_on=False, own_records=True),
    ):
        logging.getLogger("fchains.worker").warning("ours")
    assert streams.err.shown() == ""
    assert lines.labelled() == [("WARNING", "ours")]

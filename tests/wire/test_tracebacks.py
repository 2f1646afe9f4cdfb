from __future__ import annotations

import io
import linecache
import sys
import textwrap
import traceback
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fchains.wire.classes import ClassLookup
from fchains.wire.failures import Failure, exception_of, failure_of
from fchains.wire.tracebacks import TraceFrame, hop, rebuild, trace_of

LOOKUP = ClassLookup()

USERS = """
    import asyncio


    def parse(row):
        return {"a": 1}[row] + 1


    def middle(function, *args):
        try:
            return function(*args)
        except KeyError as exc:
            raise RuntimeError("no row") from exc


    def passing(function, *args):
        return function(*args)


    def deep(number):
        return 1 / 0 if number == 0 else deep(number - 1)


    def spread():
        return parse(
            "missing",
        )


    async def waiting(function, *args):
        async def inner():
            return function(*args)

        return await asyncio.wait_for(inner(), 5)
"""

MACHINERY = """
    import asyncio


    def run(function, *args):
        return function(*args)


    def serve(function, *args):
        return asyncio.run(function(*args))


    def fail(error):
        raise error


    def call(outcome):
        fail(outcome())
"""


def load(path: Path, name: str, source: str) -> Any:
    """A module that was read from a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source).lstrip())
    module = types.ModuleType(name)
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    return module


@pytest.fixture
def users(tmp_path: Path) -> Any:
    return load(tmp_path / "rows.py", "rows", USERS)


@pytest.fixture
def machinery(tmp_path: Path) -> Any:
    return load(tmp_path / "core" / "machine.py", "fchains.worker.machine", MACHINERY)


@pytest.fixture(autouse=True)
def _fresh_lines() -> Iterator[None]:
    before = dict(linecache.cache)
    yield
    linecache.cache.clear()
    linecache.cache.update(before)


class Hop:
    """A process that runs functions for others and sends their failures as bytes."""

    def __init__(self, machinery: Any, name: str, replica: int = 0) -> None:
        self._machinery = machinery
        self.where = f"chainlet {name}, replica {replica}"

    def fail(self, function: Callable[..., object], *args: object) -> Failure:
        try:
            self._machinery.run(function, *args)
        except Exception as exc:
            # From here on it is the machinery's frame that caught it, not this test's.
            error = exc.with_traceback(exc.__traceback__.tb_next if exc.__traceback__ else None)
            return Failure.from_payload(failure_of(error, where=self.where).to_payload())
        raise AssertionError("it did not fail")

    def calls(self, function: Callable[..., object], *args: object) -> Callable[[], object]:
        """What another process calls to have the function run by this one."""
        return partial(self._machinery.call, lambda: exception_of(self.fail(function, *args), LOOKUP))


def functions(error: BaseException | None) -> list[str]:
    assert error is not None
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def gone(users: Any) -> None:
    """The file is not there: the receiver is another machine."""
    Path(users.parse.__code__.co_filename).unlink()
    linecache.clearcache()


def test_user_frames_arrive_with_their_source_and_columns(users: Any, machinery: Any) -> None:
    error = exception_of(Hop(machinery, "split").fail(users.parse, "zz"), LOOKUP)
    file = users.parse.__code__.co_filename
    assert shown(error) == textwrap.dedent(f"""\
        Traceback (most recent call last):
          File "<chainlet split, replica 0>", line 1, in split
          File "{file}", line 5, in parse
            return {{"a": 1}}[row] + 1
                   ~~~~~~~~^^^^^
        KeyError: 'zz'
        """)


def test_a_failure_that_went_through_two_hops_shows_one_trace(users: Any, machinery: Any) -> None:
    inner = Hop(machinery, "inner").calls(users.passing, users.parse, "zz")
    error = exception_of(Hop(machinery, "outer", 3).fail(users.passing, inner), LOOKUP)
    assert functions(error) == ["outer", "passing", "inner", "passing", "parse"]
    assert shown(error).count("File") == 5
    again = exception_of(failure_of(error, where="chainlet first, replica 0"), LOOKUP)
    assert functions(again) == ["first", *functions(error)]


def test_causes_are_traced_through_the_hops_too(users: Any, machinery: Any) -> None:
    inner = Hop(machinery, "inner").calls(users.parse, "zz")
    error = exception_of(Hop(machinery, "outer").fail(users.middle, inner), LOOKUP)
    assert functions(error) == ["outer", "middle"]
    assert functions(error.__cause__) == ["outer", "middle", "inner", "parse"]
    further = exception_of(failure_of(error, where="chainlet first, replica 0"), LOOKUP)
    assert functions(further) == ["first", "outer", "middle"]
    assert functions(further.__cause__) == ["outer", "middle", "inner", "parse"]


def test_fchains_frames_are_kept_on_request(users: Any, machinery: Any) -> None:
    inner = Hop(machinery, "inner").calls(users.parse, "zz")
    failure = Hop(machinery, "outer").fail(users.passing, inner)
    assert functions(exception_of(failure, LOOKUP)) == ["outer", "passing", "inner", "parse"]
    assert functions(exception_of(failure, LOOKUP, full=True)) == [
        "outer",
        "run",
        "passing",
        "call",
        "fail",
        "inner",
        "parse",
    ]


def test_glue_goes_with_fchains_frames_and_stays_between_the_users(users: Any, machinery: Any) -> None:
    error = exception_of(Hop(machinery, "w").fail(machinery.serve, users.waiting, users.parse, "zz"), LOOKUP)
    assert functions(error) == ["w", "waiting", "wait_for", "inner", "parse"]


def test_a_failure_of_fchains_itself_shows_the_hop_alone(machinery: Any) -> None:
    error = exception_of(Hop(machinery, "w").fail(machinery.fail, ValueError("bad")), LOOKUP)
    assert functions(error) == ["w"]
    plain = exception_of(failure_of(ValueError("bad")), LOOKUP)
    assert plain.__traceback__ is None


def test_source_lines_arrive_for_files_that_are_not_here(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.parse, "zz")
    gone(users)
    text = shown(exception_of(failure, LOOKUP))
    assert f'File "{users.parse.__code__.co_filename}", line 5, in parse' in text
    assert 'return {"a": 1}[row] + 1' in text


def test_lines_of_several_failures_of_one_missing_file_add_up(users: Any, machinery: Any) -> None:
    first = Hop(machinery, "w").fail(users.parse, "zz")
    second = Hop(machinery, "w").fail(users.deep, 1)
    gone(users)
    errors = [exception_of(failure, LOOKUP) for failure in (first, second)]
    texts = [shown(error) for error in errors]
    assert 'return {"a": 1}[row] + 1' in texts[0]
    assert "return 1 / 0 if number == 0 else deep(number - 1)" in texts[1]


def test_a_file_with_other_contents_here_is_not_shown(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.parse, "zz")
    file = Path(users.parse.__code__.co_filename)
    file.write_text("\n" * 4 + "something else\n" * 4)
    text = shown(exception_of(failure, LOOKUP))
    assert f'File "<remote> {file}", line 5, in parse' in text
    assert 'return {"a": 1}[row] + 1' in text
    assert linecache.getline(str(file), 5) == "something else\n"


def test_an_expression_over_several_lines_arrives(users: Any, machinery: Any) -> None:
    native = shown(caught(users.spread))
    error = exception_of(Hop(machinery, "w").fail(users.spread), LOOKUP)
    assert shown(error).splitlines()[2:] == native.splitlines()[3:]


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as exc:
        return exc
    raise AssertionError("it did not fail")


def test_a_very_deep_trace_is_cut_in_the_middle(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.deep, 400)
    error = exception_of(failure, LOOKUP)
    frames = traceback.extract_tb(error.__traceback__)
    assert len(frames) < 140
    assert "<274 frames left out>" in {frame.filename for frame in frames}
    assert frames[-1].name == "deep"


def test_decoding_a_failure_many_times_gives_the_same_trace(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.passing, users.parse, "zz")
    seen: list[list[str]] = []
    for _ in range(3):
        error = exception_of(failure, LOOKUP)
        try:
            raise error
        except KeyError as exc:
            seen.append(functions(exc))
    assert seen == [["test_decoding_a_failure_many_times_gives_the_same_trace", "w", "passing", "parse"]] * 3


def test_pytest_shows_the_users_lines(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.passing, users.parse, "zz")
    for missing in (False, True):
        if missing:
            gone(users)
        with pytest.raises(KeyError) as info:
            raise exception_of(failure, LOOKUP)
        for style in ("long", "short", "native"):
            text = str(info.getrepr(style=style))
            assert 'return {"a": 1}[row] + 1' in text
            assert "chainlet w, replica 0" in text


def test_pdb_walks_the_users_frames(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.passing, users.parse, "zz")
    gone(users)
    error = exception_of(failure, LOOKUP)
    import pdb  # noqa: T100

    output = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("where\nlist\nup\np __name__\nargs\ndown\nquit\n"), stdout=output)
    debugger.reset()
    debugger.interaction(None, error.__traceback__)
    text = output.getvalue()
    assert f"{users.parse.__code__.co_filename}(5)parse()" in text
    assert '  5  ->\t    return {"a": 1}[row] + 1' in text
    assert "'rows'" in text


def test_frames_can_be_cleared_and_raised_again(users: Any, machinery: Any) -> None:
    error = exception_of(Hop(machinery, "w").fail(users.parse, "zz"), LOOKUP)
    before = shown(error)
    traceback.clear_frames(error.__traceback__)
    assert shown(error) == before
    assert [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)] == [{}, {}]


def test_making_frames_sets_off_no_breakpoint_and_covers_no_line(users: Any, machinery: Any) -> None:
    failure = Hop(machinery, "w").fail(users.parse, "zz")
    file = users.parse.__code__.co_filename
    ran: list[str] = []

    def tracer(frame: types.FrameType, event: str, _arg: object) -> Any:
        if event == "line":
            ran.append(frame.f_code.co_filename)
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        exception_of(failure, LOOKUP)
    finally:
        sys.settrace(before)
    assert ran
    assert file not in ran


def test_code_without_a_file_or_a_module_arrives() -> None:
    def run() -> None:
        exec(compile("def f():\n    raise ValueError('x')\nf()", "<string>", "exec"), {})

    error = exception_of(failure_of(caught(run)), LOOKUP)
    assert functions(error)[-2:] == ["<module>", "f"]


def test_a_failure_without_columns_still_names_its_lines() -> None:
    frames = (TraceFrame("/no/such.py", 3, "f", first=3, lines=("boom()",)), hop("chainlet é"))
    trace = rebuild(frames)
    assert trace is not None
    (first, second) = traceback.extract_tb(trace)
    assert (first.filename, first.lineno, first.name, first.line) == ("/no/such.py", 3, "f", "boom()")
    assert (second.filename, second.name) == ("<chainlet é>", "é")
    assert trace_of(trace) == frames


@pytest.mark.parametrize(
    "frame",
    [
        TraceFrame("a\0b", 1, "f"),
        TraceFrame("a", -5, "f"),
        TraceFrame("a", 10**12, "f"),
        TraceFrame("a", 9, "f", end_line=3, column=5, end_column=1),
        TraceFrame("/no/a.py", 10**8, "f", first=10**8, lines=("x",)),
        TraceFrame("/no/a.py", 1, "f", first=-5, lines=("x",) * 20),
    ],
)
def test_made_up_frames_do_no_harm(frame: TraceFrame) -> None:
    failure = failure_of(ValueError("x"))
    (record,) = failure.exceptions
    made_up = Failure((type(record)(record.type_name, record.message, record.values, trace=(frame,)),))
    arrived = exception_of(Failure.from_payload(made_up.to_payload()), LOOKUP)
    assert str(arrived) == "x"
    shown(arrived)

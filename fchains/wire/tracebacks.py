"""Tracebacks as data, and real traceback objects made from such data in another process.

Each frame is a line of text on the wire: no locals, no code. At the receiver it becomes a frame
object that never ran, with the same file, line, columns and function, so `traceback`, pytest and
pdb show it like one of their own; for a file that the receiver lacks, the lines come along. (The
other way to make a frame, running a `raise` under the user's file name, sets off breakpoints and
coverage there.) Where a failure enters a process, a separator names the hop:

      File "<chainlet transcribe, replica 0>", line 1, in transcribe
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, TracebackType

from fchains.origin import is_machinery

_KEY = "__fchains_frame__"
_CONTEXT = 5
_MOST_LINES = 40
_MOST_COLUMNS = 1000
_MOST_FRAMES = 128
_LAST_LINE = 100_000
_GLUE = ("asyncio", "concurrent", "contextlib", "threading")
_NO_POSITION = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class TraceFrame:
    """One frame of a traceback.

    Args:
        file: path at the process where it ran; `<…>` for a separator.
        line: line that ran, from 1.
        function: name of its function.
        module: name of its module.
        end_line: last line of the expression that ran.
        column: where that expression begins, in UTF-8 bytes.
        end_column: where it ends.
        first: number of the first of `lines`.
        lines: source around the line; empty for fchains' own files.
        separator: no frame of a program, but a hop or a gap.
    """

    file: str
    line: int
    function: str
    module: str = ""
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None
    first: int = 1
    lines: tuple[str, ...] = ()
    separator: bool = False


def trace_of(trace: TracebackType | None) -> tuple[TraceFrame, ...]:
    """A traceback as data, frames that came from other processes included."""
    links = list(_links(trace))
    cut = len(links) - _MOST_FRAMES
    if cut > 0:
        half = _MOST_FRAMES // 2
        gap = TraceFrame(f"<{cut} frames left out>", 1, "...", separator=True)
        return (*map(_frame_of, links[:half]), gap, *map(_frame_of, links[-half:]))
    return tuple(map(_frame_of, links))


def hop(where: str) -> TraceFrame:
    """The separator that names a hop, such as "chainlet transcribe, replica 0"."""
    name = where.removeprefix("chainlet ").partition(",")[0]
    return TraceFrame(clean(f"<{where}>"), 1, clean(name), separator=True)


def rebuild(frames: Sequence[TraceFrame], *, full: bool = False) -> TracebackType | None:
    """A new traceback object for the frames, in their order.

    Args:
        frames: from the outermost to the one that raised.
        full: keep the frames of fchains and of what runs it.
    """
    trace: TracebackType | None = None
    shown = frames if full else list(_without_internals(frames))
    for frame in reversed(shown):
        code, position = _code(
            _place(frame), frame.function, frame.line, frame.end_line, frame.column, frame.end_column
        )
        known = {"__name__": frame.module, "__file__": frame.file, _KEY: frame}
        # A generator that was not started has a frame, and dies without it.
        body = FunctionType(code, known)().gi_frame
        trace = TracebackType(trace, body, position, frame.line)
    return trace


def clean(text: str) -> str:
    """Text that UTF-8 can carry."""
    return text.encode("utf-8", "backslashreplace").decode()


def _links(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _frame_of(link: TracebackType) -> TraceFrame:
    known = link.tb_frame.f_globals
    rebuilt = known.get(_KEY)
    if isinstance(rebuilt, TraceFrame):
        return rebuilt
    code = link.tb_frame.f_code
    position = next(itertools.islice(code.co_positions(), link.tb_lasti // 2, None), _NO_POSITION)
    line: int | None = link.tb_lineno  # None for what the compiler added
    line = line or code.co_firstlineno
    end_line = max(line, position[1] or line)
    module = known.get("__name__")
    name = module if isinstance(module, str) else ""
    first = max(1, line - _CONTEXT)
    lines: list[str] = []
    if not is_machinery(name):
        last = min(end_line + _CONTEXT, first + _MOST_LINES)
        lines = linecache.getlines(code.co_filename, known)[first - 1 : last]
    return TraceFrame(
        file=clean(code.co_filename),
        line=line,
        function=clean(code.co_name),
        module=clean(name),
        end_line=end_line,
        column=position[2],
        end_column=position[3],
        first=first,
        lines=tuple(map(_line, lines)),
    )


def _line(text: str) -> str:
    return clean(text.rstrip("\n")[:_MOST_COLUMNS])


def _without_internals(frames: Iterable[TraceFrame]) -> Iterator[TraceFrame]:
    """Drop fchains' frames, and the standard library's where fchains called it or it called fchains."""
    for is_glue, group in itertools.groupby(frames, _is_glue):
        run = list(group)
        if not is_glue or not any(is_machinery(frame.module) for frame in run):
            yield from run


def _is_glue(frame: TraceFrame) -> bool:
    return not frame.separator and (is_machinery(frame.module) or frame.module.partition(".")[0] in _GLUE)


def _place(frame: TraceFrame) -> str:
    """The file name to show: the frame's own, unless a file of that name has other lines here."""
    offset = frame.line - frame.first
    if not 0 <= offset < len(frame.lines) or frame.line > _LAST_LINE:
        return frame.file
    linecache.checkcache(frame.file)
    if _line(linecache.getline(frame.file, frame.line)) == frame.lines[offset]:
        return frame.file
    name = f"<remote> {frame.file}" if Path(frame.file).exists() else frame.file
    _remember(name, frame)
    return name


def _remember(name: str, frame: TraceFrame) -> None:
    """Put the frame's lines where everything looks for source; without a time, they stay there."""
    lines = list(linecache.getlines(name))
    last = frame.first - 1 + len(frame.lines)
    lines += ["\n"] * (last - len(lines))
    lines[frame.first - 1 : last] = [f"{line}\n" for line in frame.lines]
    linecache.cache[name] = (sum(map(len, lines)), None, lines, name)


@functools.lru_cache(maxsize=512)
def _code(
    file: str, function: str, line: int, end_line: int | None, column: int | None, end_column: int | None
) -> tuple[CodeType, int]:
    """Code of a generator whose instructions all have that position, and the offset of one."""
    tree = ast.parse("def frame():\n    yield")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr):
            node.lineno, node.end_lineno = line, end_line or line
            node.col_offset, node.end_col_offset = column or 0, end_column or 0
    module = compile(tree, file, "exec", dont_inherit=True)
    code = next(each for each in module.co_consts if isinstance(each, CodeType))
    positions = list(code.co_positions())
    wanted = (line, end_line, column, end_column)
    known = None not in wanted and wanted in positions
    return code.replace(co_name=function, co_qualname=function), positions.index(wanted) * 2 if known else -1

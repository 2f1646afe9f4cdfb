"""Exceptions of user code as people read them: their frames, and none of fchains'."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

_OURS = ("fchains", "fchains_local", "fchains_docker", "fchains_aws")


def format_error(error: BaseException, *, full: bool = False) -> str:
    """The traceback of an exception, of its causes too.

    Args:
        error: what was raised.
        full: show fchains' own frames too.
    """
    shown = traceback.TracebackException.from_exception(error)
    if not full:
        for part in _parts(shown, set()):
            kept = list(_users(part.stack))
            # An exception without any frame is shown without the line that announces them.
            part.stack = traceback.StackSummary.from_list(kept) if kept else cast("Any", None)
    return "".join(shown.format())


def is_raised_by_user(error: BaseException) -> bool:
    """Whether a `raise` in user code is where it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith(_folders()[0]):
        return False
    return re.search(r"\braise\b", frames[-1].line or "") is not None


def place_of(error: BaseException) -> str:
    """The line of user code that an exception came through last, as `file:line, in name`; else nothing."""
    frames = [
        frame for frame in _users(traceback.extract_tb(error.__traceback__)) if frame.filename[0] != "<"
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name}" if frames else ""


def _parts(
    shown: traceback.TracebackException | None, seen: set[int]
) -> Iterator[traceback.TracebackException]:
    if shown is None or id(shown) in seen:
        return
    seen.add(id(shown))
    yield shown
    for other in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        yield from _parts(other, seen)


def _users(frames: Iterable[traceback.FrameSummary]) -> Iterator[traceback.FrameSummary]:
    """Without our frames, and without those of the standard library that we call."""
    ours, library = _folders()
    below_ours = True
    for frame in frames:
        is_ours = frame.filename.startswith(ours)
        below_ours = is_ours or (below_ours and frame.filename.startswith((*library, "<frozen")))
        if not below_ours:
            yield frame


def _folders() -> tuple[tuple[str, ...], tuple[str, ...]]:
    specs = [find_spec(name) for name in _OURS]
    ours = tuple(f"{Path(spec.origin).parent}{os.sep}" for spec in specs if spec and spec.origin)
    return ours, (f"{sysconfig.get_path('stdlib')}{os.sep}",)

"""Waiting without `await`: allowed in plain threads, refused where it would stop an event loop."""

from __future__ import annotations

import ast
import asyncio
import linecache
import sys
import threading
import time
import warnings
from types import FrameType

from fchains.errors import FchainsError
from fchains.origin import is_machinery

_SIGNAL_SECONDS = 0.2


class BlockingError(FchainsError, RuntimeError):
    """Raised when code waits for a call by blocking an event loop that runs in its thread."""


def refuse_in_event_loop(verb: str) -> None:
    """Raise if a loop runs in this thread; in a notebook, whose loop is not ours, only warn.

    Args:
        verb: what blocks, as `.result()` or `for`.

    Raises:
        BlockingError: the message shows the line of the caller, rewritten with `await`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if (
        "IPython" in sys.modules
        and getattr(sys.modules["IPython"], "get_ipython", lambda: None)() is not None
    ):
        warnings.warn(f"{verb} blocks the notebook until the call ends; `await` does not", stacklevel=4)
        return
    frame = _caller()
    hint = ""
    if frame is not None:
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        better = rewrite(line)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        hint = f"\n  {place}\n    {line}" + (f"\n  write:\n    {better}" if better else "")
    raise BlockingError(f"{verb} would block the running event loop: use `await` or `async for`{hint}")


def wait_for(event: threading.Event, timeout: float | None = None) -> bool:
    """`event.wait(timeout)`, but a signal that comes right as the wait begins is heard soon as well.

    Python runs signal handlers between bytecodes: one that arrives after the last of them and
    before the thread sleeps would wait for the event, and Ctrl-C would seem to do nothing.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SIGNAL_SECONDS if end is None else min(_SIGNAL_SECONDS, end - time.monotonic())
        if event.wait(max(0.0, left)):
            return True
        if end is not None and time.monotonic() >= end:
            return False


def _caller() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and is_machinery(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame


def rewrite(line: str) -> str | None:
    """A line with `.result()` or `for` written for an event loop; None if that is beyond us.

    >>> rewrite("x = f.remote(1).result()")
    'x = await f.remote(1)'
    """
    try:
        tree = ast.parse(f"{line} pass" if line.endswith(":") else line)
    except SyntaxError:
        return None
    if not tree.body:  # the source is not at hand
        return None
    if isinstance(tree.body[0], ast.For):
        return f"async {line}"
    changed = _Awaiting().visit(tree)
    text = ast.unparse(changed)
    return text if "await " in text else None


class _Awaiting(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("result", "exception"):
            return ast.Await(value=node.func.value)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        return node

"""The first steps of a worker process: it becomes its own, then serves a replica."""

from __future__ import annotations

import ctypes
import importlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from fchains.calls.runner import Chain

WORKER = "fchains_local.worker:run"
"""What a worker runs unless its request names another function under "run"."""

_PR_SET_PDEATHSIG = 1


def live(chain: Callable[[], Chain | None], request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Serve what is asked for, to the end of the process.

    Args:
        chain: gives the chain that the worker belongs to.
        request: under "env" it has environment variables to set, under "run" the function to run.
        files: descriptors that go with the request.
    """
    code = 1
    try:
        os.environ.update(request.get("env", {}))
        _draw_other_numbers()
        loaded = chain()
        module, _, function = str(request.get("run", WORKER)).partition(":")
        getattr(importlib.import_module(module), function)(loaded, request, files)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def leave(code: int) -> NoReturn:
    """End the process now, without the ends that its parent is to have."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def reset_signals() -> None:
    """Handle signals as a program does that the terminal has nothing to say to."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def die_with(parent: int, sign: signal.Signals = signal.SIGKILL) -> None:
    """End when the parent ends, where the system can do that; at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
    if os.getppid() != parent:
        leave(1)


def _draw_other_numbers() -> None:
    """Give this process random numbers of its own; numpy's are those of the process it was forked from."""
    random.seed()
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()

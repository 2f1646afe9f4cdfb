"""What workers of the template's tests run in place of a replica."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from fchains.calls.runner import Chain


def tell(chain: Chain, request: dict[str, Any], files: Sequence[int]) -> None:
    """Say what the process is like."""
    parts: list[Any] = [random.random()]
    if "numpy" in sys.modules:
        from numpy import random as numpy_random

        parts.append(float(numpy_random.rand()))
    facts = {
        "chainlets": list(chain.definitions),
        "session": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "numbers": parts,
        "environment": {name: os.environ.get(name) for name in request.get("ask", [])},
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),  # noqa: PTH208
        "files": list(files),
        "inheritable": [os.get_inheritable(file) for file in files],
        "sigint": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "sigterm": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "sigchld": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        "blocked": [int(sign) for sign in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "parent": os.getppid(),
    }
    os.write(files[0], json.dumps(facts).encode())


def end(chain: Chain, request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """End in the way that is asked for."""
    if "raise" in request:
        raise RuntimeError(request["raise"])
    sys.exit(request["code"])


def wait(chain: Chain, request: dict[str, Any], files: Sequence[int]) -> None:
    """Wait to be killed, together with a child."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], pass_fds=files)
    os.write(files[0], json.dumps([os.getpid(), child.pid]).encode())
    time.sleep(1000)


def use_chain(chain: Chain, request: dict[str, Any], files: Sequence[int]) -> None:
    """Call the plain functions of the chain, and say what they gave."""
    given: dict[str, Any] = request["calls"]
    results = {name: chain.definitions[name].function(*values) for name, values in given.items()}
    os.write(files[0], json.dumps(results).encode())

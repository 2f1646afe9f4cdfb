"""What modules do while they are imported that a process must not have done when it is forked."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from importlib.machinery import ExtensionFileLoader, SourceFileLoader, SourcelessFileLoader
from typing import Any

# OpenBLAS ends its threads before a fork and starts them anew, on both sides, when it needs them.
_SAFE = frozenset({"numpy", "scipy"})
_LOADERS = (
    (SourceFileLoader, "exec_module"),
    (SourcelessFileLoader, "exec_module"),
    (ExtensionFileLoader, "create_module"),  # which loads the library
    (ExtensionFileLoader, "exec_module"),
)
_UNFORKABLE = {
    "/dev/nvidia-uvm": "used CUDA",
    "anon_inode:[eventpoll]": "made an event loop",
}
"""What open files show; after a fork CUDA's state is lost, and the events of the loop are shared."""

_IS_LINUX = sys.platform == "linux"


class Watch:
    """Notes which module started threads, used CUDA or made an event loop."""

    def __init__(self) -> None:
        self._threads: dict[int, str] = dict.fromkeys(_threads(), "")
        self._files: dict[tuple[int, str], str] = dict.fromkeys(_files(), "")
        self._cuda = ""

    def imported(self, module: str) -> None:
        """The module has run; what is new, and was not there after those that it imported, is its own."""
        for thread in _threads() - self._threads.keys():
            self._threads[thread] = module
        for file in _files() - self._files.keys():
            self._files[file] = module
        if not self._cuda and _has_cuda():
            self._cuda = module

    def unsafe(self) -> str:
        """Why the process must not be forked now, in words; "" if it may."""
        return "; ".join(dict.fromkeys([*self._started(), *self._opened()]))

    def _started(self) -> Generator[str, None, None]:
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        for thread in sorted(_threads()):
            module = self._threads.get(thread, "a module")
            if module and (thread in names or module.partition(".")[0] not in _SAFE):
                shown = f" ({names[thread]})" if thread in names else ""
                yield f"{module} started a thread{shown} while it was imported"

    def _opened(self) -> Generator[str, None, None]:
        for file in sorted(_files()):
            module = self._files.get(file, "a module")
            if module:
                yield f"{module} {_UNFORKABLE[file[1]]} while it was imported"
        if self._cuda:
            yield f"{self._cuda} used CUDA while it was imported"


@contextmanager
def watched() -> Generator[Watch, None, None]:
    """Watch the imports made in the block, by any code of this thread."""
    watch = Watch()
    with ExitStack() as patches:
        for loader, method in _LOADERS:
            patches.enter_context(_patched(loader, method, watch))
        yield watch


@contextmanager
def _patched(loader: type, method: str, watch: Watch) -> Generator[None, None, None]:
    own = vars(loader).get(method)
    original: Callable[[Any, Any], object] = getattr(loader, method)

    def load(self: Any, subject: Any) -> object:
        try:
            return original(self, subject)
        finally:
            watch.imported(str(subject.name if method == "create_module" else subject.__name__))

    setattr(loader, method, load)
    try:
        yield
    finally:
        if own is None:
            delattr(loader, method)
        else:
            setattr(loader, method, own)


def _threads() -> set[int]:
    """Ids of all threads of the process; elsewhere than on Linux, of those that Python knows."""
    if _IS_LINUX:
        return {int(name) for name in os.listdir("/proc/self/task")}  # noqa: PTH208 (run after each module)
    return {thread.native_id for thread in threading.enumerate() if thread.native_id is not None}


def _files() -> set[tuple[int, str]]:
    """Open files that matter, by number and kind."""
    numbers = os.listdir("/proc/self/fd") if _IS_LINUX else []  # noqa: PTH208
    targets = [(int(number), _target(number)) for number in numbers]
    return {file for file in targets if file[1] in _UNFORKABLE}


def _target(number: str) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
    return ""


def _has_cuda() -> bool:
    torch: Any = sys.modules.get("torch")
    with suppress(Exception):  # it may be half imported
        return bool(torch is not None and torch.cuda.is_initialized())
    return False

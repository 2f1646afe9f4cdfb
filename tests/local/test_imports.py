from __future__ import annotations

import importlib
import importlib.machinery
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from fchains_local.imports import Watch, watched
from tests.local.far import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
Import = Callable[[str, str], ModuleType]

THREAD = """
import threading
release = threading.Event()
thread = threading.Thread(target=release.wait, name="poller")
thread.start()
def end():
    release.set()
    thread.join()
"""
NATIVE = """
import _thread, time
ended = []
def wait():
    while not ended:
        time.sleep(0.001)
_thread.start_new_thread(wait, ())
"""


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Writes a module and imports it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    names: list[str] = []

    def write(name: str, source: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_modules_that_only_define_are_safe(imported: Import) -> None:
    with watched() as watch:
        imported("watched_plain", "import json\n\ndef f(): ...\n")

    assert watch.unsafe() == ""


def test_a_thread_is_laid_to_the_module_that_started_it(imported: Import) -> None:
    with watched() as watch:
        imported("watched_inner", THREAD)
        outer = imported("watched_outer", "import watched_inner\nfrom watched_inner import end\n")
        found = watch.unsafe()
    outer.end()

    assert found == "watched_inner started a thread (poller) while it was imported"
    assert watch.unsafe() == ""


@linux
def test_threads_that_python_does_not_know_count(imported: Import) -> None:
    with watched() as watch:
        module = imported("watched_native", NATIVE)
        found = watch.unsafe()
    module.ended.append(True)

    assert found == "watched_native started a thread while it was imported"


def test_threads_from_before_do_not_count(imported: Import) -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    with watched() as watch:
        imported("watched_plain", "x = 1")
    found = watch.unsafe()
    release.set()
    thread.join()

    assert found == ""


@linux
def test_an_event_loop_made_during_the_import_is_shared_by_forks(imported: Import) -> None:
    with watched() as watch:
        module = imported("watched_loop", "import asyncio\nloop = asyncio.new_event_loop()\n")
        found = watch.unsafe()
    module.loop.close()

    assert found == "watched_loop made an event loop while it was imported"
    assert watch.unsafe() == ""


def test_cuda_is_laid_to_the_module_that_used_it(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    used = list[bool]()
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: bool(used)))
    )
    with watched() as watch:
        imported("watched_before", "x = 1")
        sys.modules["torch"].__dict__["use"] = used.append
        imported("watched_cuda", "import torch\ntorch.use(True)\n")
        imported("watched_after", "x = 1")

    assert watch.unsafe() == "watched_cuda used CUDA while it was imported"


def test_a_half_imported_torch_is_not_asked_twice(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    with watched() as watch:
        imported("watched_plain", "x = 1")

    assert watch.unsafe() == ""


@linux
def test_what_was_started_outside_of_an_import_counts_too() -> None:
    watch = Watch()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="late")
    thread.start()
    found = watch.unsafe()
    release.set()
    thread.join()

    assert found == "a module started a thread (late) while it was imported"


def test_loaders_are_as_before_after_the_block(imported: Import) -> None:
    loaders = (
        importlib.machinery.SourceFileLoader,
        importlib.machinery.SourcelessFileLoader,
        importlib.machinery.ExtensionFileLoader,
    )
    before = [dict(vars(loader)) for loader in loaders]
    with pytest.raises(ZeroDivisionError), watched():
        imported("watched_broken", "1 / 0")

    assert [dict(vars(loader)) for loader in loaders] == before


NUMPY = """
import os
from fchains_local.imports import watched
with watched() as watch:
    import numpy
assert watch.unsafe() == "", watch.unsafe()
square = numpy.random.rand(300, 300)
expected = (square @ square).sum()
for _ in range(2):
    child = os.fork()
    if child == 0:
        right = abs((square @ square).sum() - expected) < 1e-6 * expected
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert abs((square @ square).sum() - expected) < 1e-6 * expected
print(len(os.listdir("/proc/self/task")))
"""


@linux
@pytest.mark.slow
def test_numpy_may_be_forked_and_goes_on_on_both_sides() -> None:
    pytest.importorskip("numpy")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'runners'}", "OPENBLAS_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NUMPY],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert int(done.stdout) > 1

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fchains import DefinitionError, NotSupported, SetupError, chainlet
from fchains.calls.runner import Chain
from fchains_local.shipment import pack
from fchains_local.spawning import kill_all
from fchains_local.templatewire import MOST_FILES
from fchains_local.templating import TemplateClient
from tests.local import steps
from tests.local.far import ROOT, chain_of

pytestmark = [pytest.mark.slow]
PATIENCE = 20.0
RUN = "tests.local.newborns:"


class Workers:
    """A template, and what becomes of its workers."""

    def __init__(self, folder: Path, shipment: bytes) -> None:
        file = folder / "shipment"
        file.write_bytes(shipment)
        self.loop = asyncio.get_running_loop()
        self.unsafe: list[str] = []
        self.ends: dict[int, int] = {}
        self._told = asyncio.Event()
        environment = {**os.environ, "GIVEN": "to all"}
        self.client = TemplateClient(file, environment, on_exited=self._exited, on_unsafe=self.unsafe.append)

    async def fork(self, run: str, *files: int, **request: Any) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.client.fork("worker", {"run": RUN + run, **request}, files)

    async def said(self, run: str, **request: Any) -> Any:
        """What a worker wrote."""
        reading, writing = os.pipe()
        try:
            await self.fork(run, writing, **request)
        finally:
            os.close(writing)
        return json.loads(await self.read(reading))

    async def read(self, file: int) -> bytes:
        """What is written until nobody has the other end any more."""
        reader = asyncio.StreamReader()
        pipe = os.fdopen(file, "rb")
        transport, _ = await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        finally:
            transport.close()

    async def end_of(self, *pids: int) -> list[int]:
        """How workers ended: exit codes, or signals as negative numbers."""
        async with asyncio.timeout(PATIENCE):
            while not self.ends.keys() >= set(pids):
                self._told.clear()
                await self._told.wait()
        return [os.waitstatus_to_exitcode(self.ends[pid]) for pid in pids]

    def _exited(self, pid: int, status: int) -> None:
        assert pid not in self.ends
        self.ends[pid] = status
        self._told.set()


@asynccontextmanager
async def started(folder: Path, chain: Chain | None = None) -> AsyncGenerator[Workers]:
    workers = Workers(folder, pack(chain or chain_of(steps.double)))
    try:
        async with asyncio.timeout(PATIENCE):
            await workers.client.start()
        yield workers
    finally:
        async with asyncio.timeout(PATIENCE):
            await workers.client.aclose()


def shipment_of(folder: Path, source: str) -> bytes:
    """A chain whose module is replaced by another source before a worker imports it."""
    name = f"steps_of_{folder.name}"
    file = folder / f"{name}.py"
    file.write_text("from fchains import chainlet\n@chainlet\ndef f(x: int) -> int:\n    return x\n")
    sys.path.insert(0, str(folder))
    try:
        shipment = pack(chain_of(__import__(name).f))
    finally:
        sys.path.remove(str(folder))
        del sys.modules[name]
    file.write_text(file.read_text() + source)
    return shipment


async def failure_of_start(folder: Path, source: str) -> BaseException:
    workers = Workers(folder, shipment_of(folder, source))
    with pytest.raises((SetupError, DefinitionError)) as caught:
        await workers.client.start()
    assert not workers.client.usable
    with pytest.raises(OSError, match="its template has ended"):
        await workers.fork("tell")
    await workers.client.aclose()
    return caught.value


async def test_a_worker_is_a_process_of_its_own(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        assert workers.client.usable
        first = await workers.said("tell", env={"ADDED": "one"}, ask=["ADDED", "GIVEN"])
        second = await workers.said("tell", ask=["ADDED", "GIVEN"])

    assert first["chainlets"] == ["double"]
    assert first["session"]
    assert first["threads"] == 1
    assert first["environment"] == {"ADDED": "one", "GIVEN": "to all"}
    assert second["environment"] == {"ADDED": None, "GIVEN": "to all"}
    assert first["numbers"] != second["numbers"]
    assert first["inheritable"] == [False]
    assert first["blocked"] == []
    assert first["sigint"]
    assert first["sigterm"]
    assert first["sigchld"]
    assert first["parent"] == second["parent"]
    # 0, 1, 2, the one that it got, and the one that it looks with
    assert len(first["descriptors"]) == 5
    assert workers.unsafe == []


async def test_chainlets_by_value_run_in_a_forked_worker_and_numpy_draws_other_numbers(
    tmp_path: Path,
) -> None:
    np = pytest.importorskip("numpy")
    factor = 3

    @chainlet
    def scaled(x: int) -> int:
        return factor * steps.double(x) + int(np.zeros(1)[0])

    async with started(tmp_path, chain_of(scaled)) as workers:
        assert await workers.said("use_chain", calls={"scaled": [7]}) == {"scaled": 42}
        first, second = [(await workers.said("tell"))["numbers"] for _ in range(2)]

    assert len(first) == len(second) == 2
    assert not set(first) & set(second)
    assert workers.unsafe == []


async def test_fifty_at_once_start_and_end_while_others_are_killed(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        reading, writing = os.pipe()
        waiting = await asyncio.gather(*(workers.fork("wait", writing) for _ in range(5)))
        ending = [workers.fork("end", code=code) for code in range(50)]
        forks = asyncio.gather(*ending)
        for pid in waiting:
            kill_all(pid)
        ended = await forks
        codes = await workers.end_of(*ended)
        assert await workers.end_of(*waiting) == [-signal.SIGKILL] * 5
        os.close(writing)
        await workers.read(reading)  # what they started has been killed with them

    assert codes == list(range(50))
    assert len(set(ended)) == 50
    assert sorted(workers.ends) == sorted([*waiting, *ended])


async def test_ends_of_workers_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with started(tmp_path) as workers:
        raising = await workers.fork("end", **{"raise": "on purpose"})
        missing = await workers.fork("no_such_function")
        assert await workers.end_of(raising, missing) == [1, 1]

    shown = capfd.readouterr().err
    assert "RuntimeError: on purpose" in shown
    assert "no_such_function" in shown


async def test_a_template_that_is_killed_takes_its_workers_with_it(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        reading, writing = os.pipe()
        pids = [await workers.fork("wait", writing) for _ in range(3)]
        os.close(writing)
        template = (await workers.said("tell"))["parent"]
        os.kill(template, signal.SIGKILL)
        assert await workers.end_of(*pids) == [-signal.SIGKILL] * 3
        await workers.read(reading)
        assert not workers.client.usable
        with pytest.raises(OSError, match="its template has ended"):
            await workers.fork("tell")


async def test_forks_that_are_asked_for_when_the_template_dies_fail(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        template = (await workers.said("tell"))["parent"]
        os.kill(template, signal.SIGSTOP)
        forks = [asyncio.ensure_future(workers.fork("end", code=0)) for _ in range(500)]
        await asyncio.sleep(0)
        os.kill(template, signal.SIGKILL)
        results = await asyncio.gather(*forks, return_exceptions=True)

    assert {type(result) for result in results} == {ConnectionResetError}


async def test_a_worker_that_nobody_waits_for_any_more_is_killed(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        template = (await workers.said("tell"))["parent"]
        os.kill(template, signal.SIGSTOP)
        reading, writing = os.pipe()
        pad = "x" * 8000  # so that some requests have left, one partly, and some have not
        forks = [asyncio.ensure_future(workers.fork("wait", writing, pad=pad)) for _ in range(60)]
        await asyncio.sleep(0)
        for fork in forks[:-1]:
            fork.cancel()
        os.kill(template, signal.SIGCONT)
        last = await forks[-1]
        kill_all(last)
        os.close(writing)
        await workers.read(reading)
        assert await workers.end_of(last) == [-signal.SIGKILL]
        assert len(workers.ends) == 2
        assert (await workers.said("tell"))["parent"] == template


async def test_closing_ends_all_workers_and_what_they_started(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        reading, writing = os.pipe()
        for _ in range(3):
            await workers.fork("wait", writing)
        os.close(writing)
        await workers.client.aclose()
        pids = json.loads("[" + (await workers.read(reading)).decode().replace("][", "],[") + "]")

    assert len(pids) <= 3


async def test_a_stopped_template_is_closed_all_the_same(tmp_path: Path) -> None:
    async with started(tmp_path) as workers:
        template = (await workers.said("tell"))["parent"]
        os.kill(template, signal.SIGSTOP)


THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
"""


CLIENT = """
import asyncio, os, sys
from pathlib import Path
from fchains_local.templating import TemplateClient

async def main():
    client = TemplateClient(
        Path(sys.argv[1]), os.environ, on_exited=lambda *_: None, on_unsafe=lambda _: None
    )
    await client.start()
    for _ in range(3):
        await client.fork("worker", {"run": "tests.local.newborns:wait"}, [1])
    print("started", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.parametrize("source", ["", THREAD])
async def test_when_the_supervisor_is_killed_nothing_is_left(tmp_path: Path, source: str) -> None:
    (tmp_path / "shipment").write_bytes(shipment_of(tmp_path, source))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'runners'}"}
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CLIENT,
        str(tmp_path / "shipment"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert client.stdout is not None
    async with asyncio.timeout(PATIENCE):
        said = b""
        while b"started\n" not in said or said.count(b"]") < 3:
            said += await client.stdout.read(4096)
        client.kill()
        await client.stdout.read()  # until nobody has it any more
        await client.wait()


async def test_workers_of_a_chain_that_must_not_be_forked_import_it_themselves(tmp_path: Path) -> None:
    workers = Workers(tmp_path, shipment_of(tmp_path, THREAD))
    async with asyncio.timeout(PATIENCE):
        await workers.client.start()
    (warning,) = workers.unsafe
    assert warning.startswith(f"steps_of_{tmp_path.name} started a thread (poller) while it was imported, so")
    assert workers.client.usable
    facts = await workers.said("tell", env={"ADDED": "one"}, ask=["ADDED", "GIVEN"])
    reading, writing = os.pipe()
    killed, left = await workers.fork("wait", writing), await workers.fork("wait", writing)
    os.close(writing)
    ended = await workers.fork("end", code=7)
    kill_all(killed)
    assert await workers.end_of(killed, ended) == [-signal.SIGKILL, 7]
    assert left not in workers.ends
    await workers.client.aclose()
    await workers.read(reading)
    assert await workers.end_of(left) == [-signal.SIGKILL]

    assert facts["chainlets"] == ["f"]
    assert facts["threads"] == 2
    assert facts["session"]
    assert facts["environment"] == {"ADDED": "one", "GIVEN": "to all"}
    assert facts["inheritable"] == [False]
    assert facts["sigint"]
    assert facts["sigterm"]


async def test_a_fork_that_the_system_refuses_is_an_error(tmp_path: Path) -> None:
    source = "import os\ndef refuse():\n    raise BlockingIOError(11, 'no')\nos.fork = refuse\n"
    workers = Workers(tmp_path, shipment_of(tmp_path, source))
    await workers.client.start()
    with pytest.raises(BlockingIOError) as caught:
        await workers.fork("tell")
    assert caught.value.errno == errno.EAGAIN
    assert workers.client.usable
    with pytest.raises(ValueError, match="more than"):
        await workers.fork("tell", *range(MOST_FILES + 1))
    await workers.client.aclose()


async def test_a_template_without_room_for_descriptors_says_so(tmp_path: Path) -> None:
    source = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n"
    workers = Workers(tmp_path, shipment_of(tmp_path, source))
    await workers.client.start()
    reading, writing = os.pipe()
    with pytest.raises(OSError, match="Too many open files"):
        await workers.fork("tell", *([writing] * 10))
    os.close(writing)
    await workers.read(reading)  # what did arrive is not kept
    assert workers.client.usable
    await workers.client.aclose()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0\n", "a worker cannot import 'steps_of_{name}': ZeroDivisionError: division by zero"),
        ("import os\nos._exit(3)\n", "the process that imports the chain's modules ended with exit code 3"),
        (
            "import os\nos.kill(os.getpid(), 9)\n",
            "the process that imports the chain's modules was killed by",
        ),
        ("del f\n", "the module 'steps_of_{name}' has no 'f' in a worker"),
    ],
)
async def test_a_chain_that_cannot_be_loaded_is_told(tmp_path: Path, source: str, message: str) -> None:
    error = await failure_of_start(tmp_path, source)

    assert str(error).startswith(message.format(name=tmp_path.name))
    if "ZeroDivision" in message:
        assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (5, "f.remote(1).result()\n"),
        (8, "import asyncio\nasync def main():\n    await f.remote(1)\nasyncio.run(main())\n"),
        (6, "from fchains import use_runner\nwith use_runner('inline'):\n    pass\n"),
        (8, "def helper():\n    for x in f.map([1]):\n        pass\nhelper()\n"),
    ],
)
async def test_calls_while_a_worker_imports_are_refused(tmp_path: Path, line: int, source: str) -> None:
    error = await failure_of_start(tmp_path, source)
    file = tmp_path / f"steps_of_{tmp_path.name}.py"

    assert isinstance(error, SetupError)
    assert isinstance(error.__cause__, NotSupported)
    assert f"{file}:{line}: a worker imports this module" in str(error)
    assert 'under `if __name__ == "__main__":`' in str(error)


async def test_imports_that_do_not_end_can_be_given_up(tmp_path: Path) -> None:
    workers = Workers(tmp_path, shipment_of(tmp_path, "import time\ntime.sleep(1000)\n"))
    start = asyncio.ensure_future(workers.client.start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    async with asyncio.timeout(PATIENCE):
        await workers.client.aclose()

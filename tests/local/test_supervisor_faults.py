"""What is left when the parent, the supervisor or the template is killed, and what goes on."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from fchains_local.programs import program as command_of
from tests.local.programs import Programs

pytestmark = pytest.mark.slow

STUBBORN = """\
    import ctypes
    import signal
    import subprocess
    import sys
    import time
    from fchains import chainlet, setup, use, use_runner
    from tests.local.journal import say

    @setup
    def blocked() -> int:
        say("setting up")
        ctypes.PyDLL(None).sleep(60)  # holds the interpreter
        return 1

    @chainlet
    def quick() -> int:
        return 1

    @setup
    async def deaf() -> int:
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        return 1

    @chainlet
    def ignores(*, x: int = use(deaf)) -> int:
        say("ignores")
        while True:
            try:
                time.sleep(60)
            except BaseException:
                say("ignored")

    @chainlet
    def blocks() -> int:
        say("blocks")
        ctypes.PyDLL(None).sleep(60)
        return 1

    @chainlet
    def has_children() -> int:
        subprocess.Popen(["sleep", "60"])
        subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; sleep 60"])
        say("has children")
        return 1

    @chainlet
    async def never_ready(*, x: int = use(blocked)) -> int:
        return x

    if __name__ == "__main__":
        with use_runner("local"):
            quick.remote().result()
            calls = {
                "idle": lambda: [],
                "starting": lambda: [never_ready.remote()],
                "running": lambda: [has_children.remote(), ignores.remote(), blocks.remote()],
            }[sys.argv[1]]()
            say("called")
            time.sleep(60)
    """


@pytest.mark.parametrize(
    ("stage", "lines"),
    [
        ("idle", ["called"]),
        ("starting", ["setting up"]),
        ("running", ["ignores", "blocks", "has children"]),
    ],
)
def test_a_killed_program_leaves_nothing(programs: Programs, stage: str, lines: list[str]) -> None:
    program = programs.script(STUBBORN, stage)
    program.until("called", *lines)
    assert len(program.processes()) >= 4

    program.kill()

    assert program.left(within=2.0) == []


def test_calls_of_a_killed_supervisor_fail_or_are_retried_and_the_next_ones_work(programs: Programs) -> None:
    program = programs.script("""\
        from fchains import WorkerLost, chainlet, use_runner
        from tests.local.journal import say, wait_for

        @chainlet(concurrency=2)
        def waits(line: str) -> int:
            say("waiting for " + line)
            wait_for(line)
            return 1

        @chainlet
        async def nests(line: str) -> int:
            return await waits.remote(line) + 1

        if __name__ == "__main__":
            with use_runner("local"):
                lost = waits.remote("never")
                retried = waits.options(retries=2).remote("killed")
                wait_for("waiting for killed")
                for call in (lost, nests.remote("never again")):
                    error = call.exception()
                    assert type(error) is WorkerLost, error
                    say(str(error))
                assert retried.result() == 1
                assert nests.remote("killed").result() == 2
        """)
    program.until("waiting for never", "waiting for killed", "waiting for never again")

    os.kill(program.supervisor(), signal.SIGKILL)
    program.say("killed")

    program.ends_well()
    errors = [line for line in program.said if "supervisor" in line]
    assert len(errors) == 2, program.said
    assert all("the supervisor was killed by SIGKILL" in error for error in errors), errors
    assert "a new one is started" in program.err
    assert "Traceback" not in program.err


def test_calls_that_wait_for_a_replica_outlive_the_supervisor(programs: Programs) -> None:
    program = programs.script("""\
        from fchains import chainlet, setup, use, use_runner
        from tests.local.journal import say, wait_for

        @setup
        def slow() -> int:
            say("setting up")
            wait_for("killed")
            return 1

        @chainlet
        def get(*, one: int = use(slow)) -> int:
            return one

        if __name__ == "__main__":
            with use_runner("local"):
                assert [call.result() for call in [get.remote() for _ in range(3)]] == [1, 1, 1]
        """)
    program.until("setting up")

    os.kill(program.supervisor(), signal.SIGKILL)
    program.say("killed")

    program.ends_well()
    assert "a new one is started" in program.err


@pytest.mark.parametrize("which", ["template", "seed"])
def test_a_killed_template_is_replaced(programs: Programs, which: str) -> None:
    program = programs.script("""\
        import os
        from fchains import chainlet, use_runner
        from tests.local.journal import say, wait_for

        @chainlet(replicas=(1, 2))
        def meets(others: list[str], name: str) -> int:
            say(name)
            for other in others:
                wait_for(other)
            return os.getpid()

        if __name__ == "__main__":
            with use_runner("local"):
                meets.remote([], "ready").result()
                wait_for("killed")
                calls = [meets.remote(["one", "two"], name) for name in ("one", "two")]
                assert len({call.result() for call in calls}) == 2
        """)
    program.until("ready")

    os.kill(program.template() if which == "template" else program.seed(), signal.SIGKILL)
    program.until_err("replica meets-0 was killed by SIGKILL")
    program.say("killed")

    program.ends_well()


def test_calls_go_on_while_the_supervisor_is_stopped(programs: Programs) -> None:
    program = programs.script("""\
        import asyncio
        from fchains import chainlet, use_runner
        from tests.local.journal import say, wait_for

        @chainlet
        async def double(x: int) -> int:
            return 2 * x

        @chainlet
        async def quadruple(x: int) -> int:
            return await double.remote(await double.remote(x))

        @chainlet
        def waits() -> int:
            say("waiting")
            wait_for("done")
            return 3

        if __name__ == "__main__":
            with use_runner("local"):
                assert quadruple.remote(1).result() == 4
                waiting = waits.remote()
                wait_for("stopped")
                assert list(quadruple.map(range(100))) == [4 * x for x in range(100)]
                say("done")
                assert waiting.result() == 3
        """)
    program.until("waiting")
    supervisor = program.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    program.say("stopped")
    try:
        program.until("done")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    program.ends_well()
    assert program.err == ""


def test_a_template_that_nobody_waits_for_any_more_ends_in_silence(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        command = command_of("fchains_local.template", str(os.getpid()), str(theirs.fileno()), str(tmp_path))
        ended = subprocess.run(command, capture_output=True, pass_fds=[theirs.fileno()], check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")

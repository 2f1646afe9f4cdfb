"""Ctrl-C at every stage of a program: it ends soon, tears down what is ready, and leaves nothing."""

import signal

import pytest

from tests.local.programs import Programs

pytestmark = pytest.mark.slow

CHAIN = """\
    import asyncio
    import sys
    import time
    from collections.abc import AsyncIterator, Iterator
    from fchains import chainlet, setup, use, use_runner
    from tests.local.journal import said, say

    if __name__ != "__main__" and sys.argv[0] and "imports" in said():
        say("importing")
        time.sleep(60)

    @setup
    def ready() -> Iterator[int]:
        yield 1
        say("torn down")

    @setup
    def slow() -> int:
        say("setting up")
        time.sleep(60)
        return 1

    @setup
    def slow_to_go() -> Iterator[int]:
        yield 1
        say("going")
        time.sleep(60)

    @chainlet
    def quick(x: int, *, one: int = use(ready)) -> int:
        return x

    @chainlet
    def sets_up(*, one: int = use(slow)) -> int:
        return 1

    @chainlet
    def closes(*, one: int = use(slow_to_go)) -> int:
        return 1

    @chainlet
    def sleeps(x: int = 0, *, one: int = use(ready)) -> int:
        say("running")
        time.sleep(60)
        return x

    @chainlet
    def hangs(*, one: int = use(slow_to_go)) -> int:
        say("running")
        time.sleep(60)
        return 1

    @chainlet
    async def waits(x: int = 0, *, one: int = use(ready)) -> int:
        say("running")
        await asyncio.sleep(60)
        return x

    @chainlet
    async def counts(*, one: int = use(ready)) -> AsyncIterator[int]:
        yield 1
        say("running")
        await asyncio.sleep(60)
        yield 2

    async def wait() -> None:
        await waits.remote()

    async def read() -> None:
        async for _ in counts.remote():
            pass

    STAGES = {
        "imports": lambda: say("imports") or quick.remote(1).result(),
        "setup": lambda: sets_up.remote().result(),
        "sync": lambda: sleeps.remote().result(),
        "hangs": lambda: hangs.remote().result(),
        "async": lambda: asyncio.run(wait()),
        "map": lambda: list(waits.map(range(10))),
        "stream": lambda: list(counts.remote()),
        "async stream": lambda: asyncio.run(read()),
        "closing": lambda: closes.remote().result(),
    }

    if __name__ == "__main__":
        if sys.argv[1] == "default":
            STAGES[sys.argv[2]]()
        else:
            with use_runner("local"):
                STAGES[sys.argv[2]]()
    """

WHEN = {"imports": "importing", "setup": "setting up", "closing": "going"}
"""What the journal says at a stage, unless it is `running`."""


@pytest.mark.parametrize(
    ("where", "stage"),
    [
        ("block", "imports"),
        ("block", "setup"),
        ("block", "sync"),
        ("block", "async"),
        ("block", "map"),
        ("block", "stream"),
        ("block", "closing"),
        ("default", "sync"),
        ("default", "async stream"),
        ("default", "closing"),
    ],
)
def test_ctrl_c_ends_a_program(programs: Programs, where: str, stage: str) -> None:
    program = programs.script(CHAIN, where, stage)
    program.until(WHEN.get(stage, "running"))

    program.interrupt()

    # Python itself ignores what interrupts the very end of a program.
    assert program.ends(6.0) in ((0,) if (where, stage) == ("default", "closing") else (-signal.SIGINT, 130))
    assert program.left() == []
    assert program.err.rstrip(": \n").endswith("KeyboardInterrupt"), program.err
    assert program.err.count("Traceback") == 1 + program.err.count("During handling of the above"), (
        program.err
    )
    assert program.out == ""
    if stage not in WHEN:
        assert "torn down" in program.said


def test_a_second_ctrl_c_does_not_wait_for_a_teardown(programs: Programs) -> None:
    program = programs.script(CHAIN, "block", "hangs")
    program.until("running")
    program.interrupt()
    program.until("going")

    program.interrupt()

    assert program.ends(6.0) in (-signal.SIGINT, 130)
    assert program.left() == []
    assert program.err.rstrip(": \n").endswith("KeyboardInterrupt"), program.err

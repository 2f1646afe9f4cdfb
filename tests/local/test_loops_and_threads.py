"""One deployment used from several loops and threads, and from a process that forks."""

import pytest

from tests.local.programs import Programs

pytestmark = pytest.mark.slow

DOUBLE = """\
    import asyncio
    import os
    import sys
    import threading
    from collections.abc import AsyncIterator
    from concurrent.futures import ThreadPoolExecutor
    from fchains import chainlet, use_runner
    from tests.local.journal import say, wait_for

    @chainlet
    async def double(x: int) -> int:
        return 2 * x

    @chainlet
    async def count(n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield i

    @chainlet
    def pid() -> int:
        return os.getpid()
    """


def test_loops_one_after_another_and_at_once_and_threads_share_a_deployment(programs: Programs) -> None:
    program = programs.script(f"""{DOUBLE}
    @chainlet(replicas=2)
    async def meets(name: str, other: str) -> int:
        say(name)
        await asyncio.to_thread(wait_for, other)
        return os.getpid()

    async def use(x: int) -> int:
        total = await double.remote(x)
        async for i in count.remote(3):
            total += i
        return total + sum(await double.map(range(10)))

    def use_from_sync_code(x: int) -> int:
        return double.remote(x).result() + sum(count.remote(3)) + sum(double.map(range(10)))

    async def meet(name: str, other: str) -> int:
        return await meets.remote(name, other)

    def in_threads(function, arguments):
        results = [None] * len(arguments)
        def run(i):
            results[i] = function(*arguments[i])
        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(arguments))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def check():
        of = lambda x: 2 * x + 3 + 90
        assert [asyncio.run(use(x)) for x in range(2)] == [of(0), of(1)]
        assert use_from_sync_code(2) == of(2)
        arguments = [(x,) for x in range(4)]
        assert in_threads(use_from_sync_code, arguments) == [of(x) for x in range(4)]
        with ThreadPoolExecutor(4) as executor:
            assert list(executor.map(use_from_sync_code, range(8))) == [of(x) for x in range(8)]
        both = in_threads(lambda *names: asyncio.run(meet(*names)), [("one", "two"), ("two", "one")])
        assert None not in both
        say(f"pid {{pid.remote().result()}}")

    if __name__ == "__main__":
        check()
        with use_runner("local"):
            in_threads(check, [()])
    """)
    program.ends_well()
    assert program.err == ""
    assert len({line for line in program.said if line.startswith("pid")}) == 2  # each runner has its own


def test_a_chain_outlives_the_loops_of_a_test_run(programs: Programs) -> None:
    programs.module(
        "test_chain",
        """\
        import os
        import pytest
        from fchains import chainlet, use_runner
        from tests.local.journal import say

        @chainlet
        async def double(x: int) -> int:
            return 2 * x

        @chainlet
        def pid() -> int:
            return os.getpid()

        @pytest.fixture(scope="module", autouse=True)
        def runner():
            with use_runner("local"):
                yield

        @pytest.mark.parametrize("x", range(3))
        @pytest.mark.anyio
        async def test_double(x):
            assert await double.remote(x) == 2 * x
            say(str(await pid.remote()))

        def test_from_sync_code():
            assert double.remote(1).result() == 2
            say(str(pid.remote().result()))
        """,
    )
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not trio"]
    program = programs.python("-m", "pytest", *options, "test_chain.py")
    program.ends_well()
    assert "4 passed" in program.out
    assert len(program.said) == 4
    assert len(set(program.said)) == 1


FORKS = f"""{DOUBLE}
    def run() -> None:
        before = pid.remote().result()
        child = os.fork()
        if child == 0:
            try:
                say(f"{{double.remote(1).result()}}")
            except BaseException as error:
                say(f"{{type(error).__name__}}: {{error}}")
            if sys.argv[2] == "leave":
                sys.exit(7)  # with all ends that a process has
            threading.Event().wait()
        if sys.argv[2] == "leave":
            assert os.waitpid(child, 0)[1] == 7 << 8
            assert double.remote(2).result() == 4
            assert pid.remote().result() == before
        else:
            threading.Event().wait()

    if __name__ == "__main__":
        if sys.argv[1] == "default":
            run()
        else:
            with use_runner("local"):
                run()
    """


def test_a_forked_child_gets_an_error_and_leaves_the_deployment_alone(programs: Programs) -> None:
    program = programs.script(FORKS, "block", "leave")
    program.ends_well()
    (error,) = program.said
    assert "NotSupported: double: this process was forked from the one that has the runner" in error
    assert program.err == ""


def test_a_forked_child_has_a_default_runner_of_its_own(programs: Programs) -> None:
    program = programs.script(FORKS, "default", "leave")
    program.ends_well()
    assert program.said == ["2"]
    assert program.err == ""


def test_a_forked_child_that_lives_on_keeps_nothing_of_a_killed_program(programs: Programs) -> None:
    program = programs.script(FORKS, "block", "stay")
    while not program.said:
        program.until()
    program.kill()
    assert len(program.left(expected=1)) == 1

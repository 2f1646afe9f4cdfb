"""What replicas find around them: environment, folders, volumes, GPUs; and where their output goes."""

import sys

import pytest

from tests.local.programs import Programs

pytestmark = pytest.mark.slow


def test_environment_of_a_chainlet_is_there_at_import_and_is_its_own(programs: Programs) -> None:
    programs.module(
        "steps",
        """\
        import os
        from pathlib import Path
        from fchains import chainlet

        AT_IMPORT = os.environ.get("FLAVOUR")

        def seen() -> list[str | None]:
            return [AT_IMPORT, os.environ.get("FLAVOUR"), os.environ.get("OTHER"), str(Path.cwd())]

        @chainlet(env={"FLAVOUR": "sweet"})
        def sweet() -> list[str | None]:
            return seen()

        @chainlet(env={"FLAVOUR": "sour", "OTHER": "one"})
        def sour() -> list[str | None]:
            return seen()

        @chainlet
        async def plain() -> list[list[str | None]]:
            return [seen(), await sweet.remote(), await sour.remote()]
        """,
    )
    program = programs.script("""\
        import os
        from pathlib import Path
        from steps import plain, sour, sweet

        if __name__ == "__main__":
            here = str(Path.cwd())
            of_sweet, of_sour = ["sweet", "sweet", None, here], ["sour", "sour", "one", here]
            assert plain.remote().result() == [[None, None, None, here], of_sweet, of_sour]
            assert sweet.remote().result() == of_sweet
            assert "FLAVOUR" not in os.environ
        """)
    program.ends_well()
    assert program.err == ""


def test_replicas_and_runs_share_a_volume(programs: Programs) -> None:
    source = """\
        import sys
        from pathlib import Path
        from fchains import Volume, chainlet
        from tests.local.journal import say, wait_for

        shared = Path.cwd() / "shared" / "cache"
        again = Path.cwd() / "again"

        @chainlet(replicas=2, volumes={str(shared): Volume("cache")})
        def exchange(name: str, other: str) -> str:
            (shared / name).write_text(name)
            say(name)
            wait_for(other)
            return (shared / other).read_text()

        @chainlet(volumes={str(again): Volume("cache")})
        def found() -> list[str]:
            return sorted(path.name for path in again.iterdir())

        if __name__ == "__main__":
            if sys.argv[1] == "write":
                calls = [exchange.remote("one", "two"), exchange.remote("two", "one")]
                assert [call.result() for call in calls] == ["two", "one"]
            assert found.remote().result() == ["one", "two"]
        """
    programs.script(source, "write").ends_well()
    programs.again("read").ends_well()
    assert (programs.folder / "home" / "volumes" / "cache" / "one").read_text() == "one"


GPUS = """\
    import os
    from fchains import DeployError, chainlet, deployment, use_runner
    from tests.local.journal import say, wait_for

    @chainlet(gpu="L4", replicas=2)
    def sees(name: str, other: str) -> tuple[str, tuple[str, ...]]:
        say(name)
        wait_for(other)
        return os.environ["CUDA_VISIBLE_DEVICES"], deployment().devices
    """


def test_replicas_get_different_gpus(programs: Programs) -> None:
    program = programs.script(f"""{GPUS}
    if __name__ == "__main__":
        with use_runner("local", gpus=["0", "1"]):
            calls = [sees.remote("one", "two"), sees.remote("two", "one")]
            results = sorted(call.result() for call in calls)
        assert results == [("0", ("0",)), ("1", ("1",))], results
        try:
            with use_runner("local", gpus=[], require_gpu=True):
                sees.remote("one", "two").result()
        except DeployError as error:
            say(str(error))
        with use_runner("local", gpus=[]):
            assert sees.remote("one", "two").result() == ("", ())
    """)
    program.ends_well()
    refusal = "sees wants 1 L4, this machine has no GPU: run it where there are enough"
    assert any(refusal in line for line in program.said), program.said
    assert program.err.count("\n") == 1, program.err
    assert "sees wants 1 L4, this machine has no GPU: it runs without one" in program.err


TALKS = """\
    import logging
    import os
    import signal
    import sys
    from fchains import WorkerLost, chainlet, use_runner

    logger = logging.getLogger("shop")

    @chainlet(replicas=1)
    def talks() -> int:
        print("printed")
        print("to stderr", file=sys.stderr)
        logger.info("logged %d", 1)
        os.write(1, b"past Python\\n")
        return 1

    @chainlet(replicas=1)
    def dies() -> int:
        print("last words")
        print("unfinished", end="")
        os.write(2, b"past Python")
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    def run() -> list[str]:
        call = talks.remote()
        call.result()
        lost = dies.remote()
        assert isinstance(lost.exception(), WorkerLost)
        return [call.id, lost.id]
    """


def test_output_of_chainlets_reaches_the_sink(programs: Programs) -> None:
    program = programs.script(f"""{TALKS}
    if __name__ == "__main__":
        logging.basicConfig(level=logging.INFO)
        lines = []
        with use_runner("local", log_sink=lines.append):
            first, last = run()
        got = {{
            (line.text, line.stream, line.logger, line.chainlet, line.replica, line.call_id)
            for line in lines
        }}
        here = ("talks", "talks-0", first)
        there = ("dies", "dies-0", last)
        wanted = {{
            ("printed", "stdout", "", *here),
            ("to stderr", "stderr", "", *here),
            ("logged 1", "INFO", "shop", *here),
            ("past Python", "stdout", "", "talks", "talks-0", ""),
            ("last words", "stdout", "", *there),
            ("unfinished", "stdout", "", *there),
            ("past Python", "stderr", "", "dies", "dies-0", ""),
        }}
        assert got == wanted, got ^ wanted
        assert all(line.time > 1e9 for line in lines)
    """)
    program.ends_well()
    assert program.out == ""


def test_output_of_chainlets_is_printed_with_the_name_of_the_replica(programs: Programs) -> None:
    program = programs.script(f"""{TALKS}
    if __name__ == "__main__":
        logging.basicConfig(level=logging.INFO)
        run()
    """)
    program.ends_well()
    assert sorted(program.out.splitlines()) == [
        "dies-0 | last words",
        "dies-0 | unfinished",
        "talks-0 | past Python",
        "talks-0 | printed",
    ]
    lines = program.err.splitlines()
    assert "talks-0 | to stderr" in lines
    assert "talks-0 | INFO shop: logged 1" in lines
    assert "dies-0 | past Python" in lines


def test_a_program_goes_on_when_nobody_reads_its_output_any_more(programs: Programs) -> None:
    programs.module(
        "app",
        """\
        from fchains import chainlet, use_runner
        from tests.local.journal import say

        @chainlet
        def talks(lines: int) -> int:
            for number in range(lines):
                print(number, "x" * 100)
            return lines

        if __name__ == "__main__":
            with use_runner("local"):
                say(str(talks.remote(5_000).result()))
        """,
    )
    program = programs.command("sh", "-c", '"$0" app.py | head -n 1', sys.executable)
    program.ends_well()
    assert program.said == ["5000"]
    assert program.out.startswith("talks-0 | 0 x")

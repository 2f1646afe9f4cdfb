"""Scripts as users run them: breakpoints, exit codes, and no ceremony around the main part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.slow


def run(folder: Path, source: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    script = folder / "app.py"
    script.write_text(dedent(source))
    environment = {**os.environ, "FCHAINS_RUNNER": "inline", "PYTHONUNBUFFERED": "1"}
    return subprocess.run(
        [sys.executable, str(script)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_breakpoint_in_user_code_stops_there_and_goes_on(tmp_path: Path, kind: str) -> None:
    source = f"""\
        from fchains import chainlet

        @chainlet
        {kind} double(x: int) -> int:
            y = x * 2
            breakpoint()
            y += 1
            return y

        if __name__ == "__main__":
            print("got", double.remote(21).result())
        """
    ended = run(tmp_path, source, "p y\nwhere\nnext\np 'then', y\ncontinue\n")
    assert ended.returncode == 0, ended.stderr
    assert "(Pdb) 42" in ended.stdout
    assert "app.py(7)double()" in ended.stdout
    assert "('then', 43)" in ended.stdout
    assert "got 43" in ended.stdout


def test_an_unguarded_script_with_a_closure_and_models_runs_as_it_is(tmp_path: Path) -> None:
    source = """\
        from pydantic import BaseModel
        from fchains import chainlet

        class Order(BaseModel):
            amount: int

        factor = 3

        @chainlet
        def scale(order: Order) -> Order:
            return Order(amount=order.amount * factor)

        print(scale.remote(Order(amount=2)).result())
        """
    ended = run(tmp_path, source)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "amount=6\n", "")


def test_a_wrong_definition_ends_the_script_with_an_error(tmp_path: Path) -> None:
    source = """\
        from fchains import chainlet

        @chainlet(gpu="H999", timeout=-5)
        def wrong(x: int, *more: int) -> int:
            return x
        """
    ended = run(tmp_path, source)
    assert ended.returncode == 1
    assert ended.stderr.count("app.py:4: wrong: ") == 3
    assert "DefinitionError" in ended.stderr


def test_a_failed_call_that_nobody_retrieved_is_told_once_also_at_the_end(tmp_path: Path) -> None:
    source = """\
        from fchains import chainlet

        @chainlet
        def fail() -> int:
            raise LookupError("lost?")

        call = fail.remote()
        while not call.done():
            pass
        del call
        """
    ended = run(tmp_path, source)
    assert ended.returncode == 0
    assert ended.stderr.count("LookupError: lost?") == 1


def test_a_script_ends_at_once_though_calls_are_under_way(tmp_path: Path) -> None:
    source = """\
        import asyncio
        from fchains import chainlet

        @chainlet
        async def endless() -> int:
            await asyncio.Event().wait()
            return 1

        @chainlet
        async def quick() -> int:
            return 1

        call = endless.remote()
        quick.remote().result()
        call.cancel()
        """
    assert run(tmp_path, source).returncode == 0

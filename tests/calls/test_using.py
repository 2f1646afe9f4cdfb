from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import NoReturn

import pytest

from fchains import NotSupported, RunnerNotFound, chainlet, use_runner
from fchains.calls.runner import Chain
from fchains.calls.session import ChainSession
from fchains.calls.using import forbid_sessions, session_in_use, set_process_session
from fchains.testing.inline import InlineRunner


@chainlet
def double(x: int) -> int:
    return 2 * x


def test_the_innermost_block_is_in_use_and_then_the_one_around_it() -> None:
    with use_runner("inline") as outer:
        with use_runner("inline") as inner:
            assert session_in_use() is inner
        assert session_in_use() is outer


def test_a_thread_without_the_context_of_a_block_gets_the_one_opened_last() -> None:
    seen: list[object] = []
    with use_runner("inline") as session:
        thread = threading.Thread(target=lambda: seen.append(session_in_use()))
        thread.start()
        thread.join()
    assert seen == [session]


def test_a_block_that_is_left_in_another_context_is_closed_all_the_same() -> None:
    block = use_runner("inline")
    session = contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    with use_runner("inline") as other:
        assert session_in_use() is other
    with pytest.raises(Exception, match="has been closed"):
        session.route(double.definition)


def test_options_belong_to_a_runner_that_is_named() -> None:
    with pytest.raises(TypeError, match="not to use_runner: health_interval"):
        use_runner(InlineRunner(), health_interval=1.0)
    with pytest.raises(RunnerNotFound, match="Did you mean 'inline'"):
        use_runner("inlin")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # since 3.12, as there are threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_is_told_that_the_runner_stayed_behind() -> None:
    with use_runner("inline") as session:
        assert double.remote(1).result(10) == 2
        child = os.fork()
        if child == 0:
            code = 1
            try:
                double.remote(1)
            except NotSupported as error:
                session.close()  # what the end of the block and of the process do: nothing
                code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert double.remote(2).result(10) == 4


def _no_deployment() -> NoReturn:
    raise AssertionError("nothing is called")


@pytest.fixture
def own_session() -> Iterator[ChainSession]:
    session = ChainSession(Chain("double", {}, "1"), _no_deployment)
    set_process_session(session)
    yield session
    set_process_session(None)


def test_the_session_of_the_process_is_in_use_where_no_block_says_otherwise(
    own_session: ChainSession,
) -> None:
    assert session_in_use() is own_session
    seen: list[object] = []
    with use_runner("inline") as session:
        assert session_in_use() is session
        thread = threading.Thread(target=lambda: seen.append(session_in_use()))
        thread.start()
        thread.join()
    assert seen == [own_session]


def test_calls_and_blocks_are_refused_with_the_line_where_they_are_forbidden(
    own_session: ChainSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "importing", ModuleType("importing"))
    set_process_session(None)
    forbid_sessions("not here")
    module = "import threading\n\ndef call():\n    double.remote(1)\n\n{}\n"
    for line in ("call()", "use_runner('inline').__enter__()", "list(double.map([1]))"):
        code = compile(module.format(line), "importing.py", "exec")
        with pytest.raises(NotSupported, match=r"^importing.py:6: not here$"):
            exec(code, {"__name__": "importing", "double": double, "use_runner": use_runner})

    async def main() -> None:
        async with use_runner("inline"):
            raise AssertionError

    with pytest.raises(NotSupported, match=r"test_using.py:\d+: not here$"):
        asyncio.run(main())
    set_process_session(own_session)
    assert session_in_use() is own_session


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_forked_from_a_replica_makes_no_calls(own_session: ChainSession) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            double.remote(1)
        except NotSupported as error:
            code = 0 if "was forked from a replica's" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert session_in_use() is own_session

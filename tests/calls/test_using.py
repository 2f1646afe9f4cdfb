from __future__ import annotations

import contextvars
import os
import threading

import pytest

from fchains import NotSupported, RunnerNotFound, chainlet, use_runner
from fchains.calls.using import session_in_use
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

from __future__ import annotations

import asyncio
import threading

from fchains.worker.whereabouts import of_task, of_thread


async def inner() -> None:
    await asyncio.Event().wait()


async def outer() -> None:
    await inner()


async def test_of_a_task_it_is_the_innermost_coroutine_that_waits() -> None:
    task = asyncio.ensure_future(outer())
    await asyncio.sleep(0)
    assert of_task(task).endswith(f"test_whereabouts.py:{inner.__code__.co_firstlineno + 1} in inner")
    task.cancel()


async def test_of_a_task_that_has_ended_nothing_is_known() -> None:
    task = asyncio.ensure_future(asyncio.sleep(0))
    await task
    assert of_task(task) == ""


def test_of_a_thread_it_is_the_innermost_line_of_user_code() -> None:
    began, end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(10)
    assert thread.ident is not None
    assert of_thread(thread.ident).endswith("in work")
    end.set()
    thread.join()
    assert of_thread(0) == ""

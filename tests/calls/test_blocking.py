from __future__ import annotations

import pytest

from fchains.calls.blocking import BlockingError, refuse_in_event_loop, rewrite


@pytest.mark.parametrize(
    ("line", "better"),
    [
        ("x = f.remote(1).result()", "x = await f.remote(1)"),
        ("print(f.remote(1).result(timeout=3))", "print(await f.remote(1))"),
        ("e = f.remote(1).exception()", "e = await f.remote(1)"),
        ("for item in f.map(items):", "async for item in f.map(items):"),
        ("x = call(", None),
        ("x = 1", None),
    ],
)
def test_a_line_is_rewritten_where_that_is_certain(line: str, better: str | None) -> None:
    assert rewrite(line) == better


def test_a_thread_without_a_loop_may_block() -> None:
    refuse_in_event_loop(".result()")


async def test_in_a_loop_the_callers_line_is_shown() -> None:
    with pytest.raises(BlockingError) as caught:
        refuse_in_event_loop(".result()")
    assert "test_blocking.py" in str(caught.value)
    assert "use `await`" in str(caught.value)

from __future__ import annotations

import pytest

from fchains.calls.trace import Trace


def test_a_traceparent_survives_the_round_trip() -> None:
    text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    trace = Trace.parse(text)
    assert trace is not None
    assert str(trace) == text


def test_a_child_has_the_trace_of_its_parent_and_a_span_of_its_own() -> None:
    parent = Trace.start()
    child = parent.child()
    assert child.trace_id == parent.trace_id
    assert child.span_id != parent.span_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_malformed_headers_are_ignored(text: str) -> None:
    assert Trace.parse(text) is None

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.wire.failures import Failure, exception_of, failure_of
from fchains.wire.payload import Payload
from tests.wire.raisers import LOOKUP, Page, Several, raised_by, remote, travel


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[{}]",
        b'[{"type_name": 3, "message": ""}]',
        b'[{"type_name": "a:b", "message": "", "cause": 1}]',
        b'[{"type_name": "a:b", "message": "", "held": [-1]}]',
        b'[{"type_name": "a:b", "message": "", "buffers": [0]}]',
        b'[{"type_name": "a:b", "message": "", "trace": [{"file": "x"}]}]',
        b"\xff\xfe",
    ],
)
def test_malformed_bytes_make_a_failure_that_says_so(body: bytes) -> None:
    failure = Failure.from_payload(Payload(body))
    arrived = remote(exception_of(failure, LOOKUP))
    assert "arrived malformed" in str(arrived)
    assert arrived.type_name == ""
    assert str(travel(arrived)) == str(arrived)


@pytest.mark.slow
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    error = ExceptionGroup("g", [Several("a", line=1), ValueError(b"abc", Page(number=1))])
    error.__cause__ = raised_by(lambda: Page.model_validate({"number": "x"}))
    payload = failure_of(error).to_payload()
    damaged = bytearray(payload.body)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.sampled_from(b'0129"[]{}:,-ax\xff'))
    exception_of(Failure.from_payload(Payload(bytes(damaged), payload.buffers)), LOOKUP)

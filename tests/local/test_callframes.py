"""Calls as frames: what goes in comes out on the other side, and nothing malformed is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.calls.invocation import Failed, FailureKind, Invocation, Outcome, Success
from fchains.calls.trace import Trace
from fchains.errors import SerializationError
from fchains.wire.failures import failure_of
from fchains.wire.frames import Frame, FrameDecoder, Kind, ProtocolError, encode, hello
from fchains.wire.payload import Payload
from fchains.wire.windows import Credit
from fchains_local.callframes import (
    End,
    Stop,
    accept_frame,
    call_frame,
    cancel_frame,
    credit_frame,
    credit_of,
    end_frame,
    end_of,
    invocation_of,
    item_frame,
    outcome_frame,
    outcome_of,
    refuse_frame,
    stop_of,
)

TRACE = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
SMALL = Invocation("call-1", "chain-1", "score", Payload(b'{"x":1}'), trace=TRACE)
FAILURE = failure_of(ValueError("not this one"))

text = st.text(st.characters(codec="utf-8"))
invocations = st.builds(
    Invocation,
    id=text,
    chain_id=text,
    chainlet=st.just("score"),
    arguments=st.just(Payload(b"[1]", (b"buffer",), tagged=True)),
    attempt=st.integers(1, 100),
    timeout=st.none() | st.floats(0, 1e6),
    remaining=st.none() | st.floats(0, 1e6, width=32),
    trace=st.booleans().map(lambda sampled: replace(TRACE, sampled=sampled)),
    path=st.lists(text).map(tuple),
    headers=st.dictionaries(text, text),
    uploads=st.lists(text, unique=True).map(tuple),
    key=st.none() | text,
)


def travelled(frame: Frame) -> Frame:
    """The frame as it arrives."""
    data = b"".join(bytes(piece) for each in (hello(), frame) for piece in encode(each))
    _, arrived = FrameDecoder().feed(data)
    return arrived


@given(invocations)
@settings(max_examples=50)
def test_an_invocation_arrives_as_it_was_sent(invocation: Invocation) -> None:
    assert invocation_of(travelled(call_frame(7, 3, invocation)), "score") == invocation


def test_a_call_names_its_number_and_its_channel() -> None:
    frame = call_frame(2**32 - 1, 3, SMALL)
    assert (frame.kind, frame.call, frame.channel) == (Kind.CALL, 2**32 - 1, 3)


def test_the_head_of_a_call_leaves_defaults_out() -> None:
    assert json.loads(call_frame(1, 0, SMALL).head) == {
        "id": "call-1",
        "chain_id": "chain-1",
        "trace": [TRACE.trace_id, TRACE.span_id, True],
    }


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        call_frame(1, 0, SMALL).head[:-1],
        call_frame(1, 0, SMALL).head.replace(b'"call-1"', b"1"),
        call_frame(1, 0, SMALL).head.replace(b"true", b'"yes"'),
        call_frame(1, 0, SMALL).head.replace(b"b7ad", b"zzzz"),
        call_frame(1, 0, SMALL).head.replace(b"}", b',"attempt":"2"}'),
        call_frame(1, 0, SMALL).head.replace(b"}", b',"timeout":NaN}'),
        call_frame(1, 0, SMALL).head.replace(b"}", b',"path":[1]}'),
        call_frame(1, 0, SMALL).head.replace(b"}", b',"headers":{"a":1}}'),
        call_frame(1, 0, SMALL).head.replace(b"}", b',"unheard_of":1}'),
        b"\xff\xfe",
    ],
)
def test_a_call_with_a_bad_head_breaks_the_protocol(broken: bytes) -> None:
    with pytest.raises(ProtocolError, match="CALL 9 for score"):
        invocation_of(Frame(Kind.CALL, 9, head=broken), "score")


def test_a_key_that_is_no_text_cannot_travel() -> None:
    with pytest.raises(SerializationError, match="score: the key or a header of call call-1"):
        call_frame(1, 0, replace(SMALL, key="\ud800"))


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Success(Payload(b"3", (b"buffer",), tagged=True)), Kind.RESULT),
        (Success(Payload(b"null"), 12), Kind.END),
        *((Failed(kind, FAILURE), Kind.ERROR) for kind in FailureKind),
    ],
)
def test_an_outcome_arrives_as_it_was_sent(outcome: Outcome, kind: Kind) -> None:
    frame = travelled(outcome_frame(5, outcome))
    assert (frame.kind, frame.call) == (kind, 5)
    assert outcome_of(frame) == outcome


@pytest.mark.parametrize("how", Stop)
def test_why_a_call_is_to_stop_arrives(how: Stop) -> None:
    assert stop_of(travelled(cancel_frame(1, how))) is how


@pytest.mark.parametrize("failure", [None, FAILURE])
def test_the_end_of_an_upload_arrives_with_its_count_and_failure(failure: object) -> None:
    sent = end_frame(1, 2, 40, FAILURE if failure else None)
    assert end_of(travelled(sent)) == End(40, FAILURE if failure else None)


def test_items_and_credit_name_their_stream() -> None:
    item = travelled(item_frame(1, 2, Payload(b'"x"')))
    credit = travelled(credit_frame(1, 2, 8, 2**40))
    assert (item.kind, item.channel, item.payload) == (Kind.ITEM, 2, Payload(b'"x"'))
    assert (credit.kind, credit.channel, credit_of(credit)) == (Kind.CREDIT, 2, Credit(8, 2**40))


def test_what_says_nothing_more_is_a_bare_header() -> None:
    assert [len(encode(frame)[0]) for frame in (accept_frame(1), refuse_frame(1))] == [16, 16]


@pytest.mark.parametrize(
    ("read", "frame"),
    [
        (stop_of, Frame(Kind.CANCEL, payload=Payload(b'"because"'))),
        (stop_of, Frame(Kind.CANCEL)),
        (outcome_of, Frame(Kind.ERROR, head=b'"odd"', payload=FAILURE.to_payload())),
        (outcome_of, Frame(Kind.END, head=b"-1")),
        (outcome_of, Frame(Kind.END, head=b"{}")),
        (end_of, Frame(Kind.END)),
        (end_of, Frame(Kind.END, head=b"1.5")),
        (end_of, Frame(Kind.END, head=b"true")),
        (credit_of, Frame(Kind.CREDIT, payload=Payload(b"[1]"))),
        (credit_of, Frame(Kind.CREDIT, payload=Payload(b"[1,-1]"))),
        (credit_of, Frame(Kind.CREDIT, payload=Payload(b"[true,1]"))),
        (credit_of, Frame(Kind.CREDIT, payload=Payload(b"x" * 1000))),
    ],
)
def test_what_is_malformed_breaks_the_protocol(read: Callable[[Frame], object], frame: Frame) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(frame)
    assert len(str(caught.value)) < 200


def test_an_error_whose_failure_is_malformed_says_so() -> None:
    outcome = outcome_of(Frame(Kind.ERROR, head=b'"user"', payload=Payload(b"{")))
    assert isinstance(outcome, Failed)
    assert "arrived malformed" in outcome.failure.message

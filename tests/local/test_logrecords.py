from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.worker.logs import Fragment, Owner
from fchains_local.logrecords import LIMIT, decode, encode, from_wire, pieces, to_wire

ONE = Owner("greet", "greet-0", "call-1")
texts = st.one_of(st.text(st.characters(codec="utf-8"), max_size=30), st.binary(max_size=30))
fragments = st.builds(
    Fragment,
    st.just(ONE),
    st.sampled_from(["stdout", "stderr", "WARNING"]),
    texts,
    st.sampled_from(["", "user.é"]),
    st.floats(0, 2e9),
    ends=st.booleans(),
)


@settings(max_examples=40)
@given(fragments.filter(lambda fragment: not (fragment.ends and isinstance(fragment.text, bytes))))
def test_a_record_is_the_fragment(fragment: Fragment) -> None:
    assert decode(encode(fragment), "greet-0") == fragment


@settings(max_examples=40)
@given(fragments)
def test_json_is_the_fragment(fragment: Fragment) -> None:
    assert from_wire(json.loads(json.dumps(to_wire(fragment)))) == fragment
    raw = Fragment(ONE, "stdout", b"\xff", raw=True)
    assert from_wire(to_wire(raw)) == raw


def test_what_is_no_unicode_becomes_so() -> None:
    odd = Fragment(ONE, "INFO", "a\udcff", "log\0ger\udcff", 1.0)
    assert decode(encode(odd), "greet-0") == Fragment(ONE, "INFO", "a?", "logger?", 1.0)
    assert from_wire(to_wire(odd)).text == "a?"


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", b"\xff"])
def test_long_texts_are_cut_so_that_every_part_fits_a_record(unit: str | bytes) -> None:
    text = unit * 100_000
    parts = [part.text for part in pieces(Fragment(ONE, "stdout", text))]
    assert type(text)().join(parts) == text  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert max(len(part if isinstance(part, bytes) else part.encode()) for part in parts) <= LIMIT


def test_long_texts_are_cut_where_a_line_ends() -> None:
    text = "".join(f"line {n}\n" for n in range(20_000))
    parts = [str(part.text) for part in pieces(Fragment(ONE, "ERROR", text))]
    assert "".join(parts) == text
    assert all(part.endswith("\n") for part in parts)

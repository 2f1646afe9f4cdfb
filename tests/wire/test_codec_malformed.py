"""Bodies that no codec wrote: they are refused, and never do anything else."""

import contextlib
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fchains.errors import InvalidArguments, SerializationError
from fchains.wire.arguments import ArgumentsCodec
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec
from fchains.wire.payload import Payload
from fchains.wire.tagged import decode_tagged, encode_tagged
from tests.wire import samples
from tests.wire.strategies import any_values

REFUSALS = (ValueError, SerializationError, InvalidArguments)
CODECS: list[Codec[Any]] = [Codec(samples.Basket), Codec(dict[str, Any]), Codec(list[int] | samples.Size)]
ARGUMENTS = ArgumentsCodec({"a": int, "b": samples.Shelf}, ["a"])

_TAGS = (
    "tuple set dict deque defaultdict bytes model dataclass enum flags adapter namedtuple url secret datetime"
    " decimal pattern range uuid path zone Counter"
)
_NAMES = (
    "os:system subprocess:Popen builtins:eval builtins:int x list SecretStr numpy.ndarray"
    " tests.wire.samples:Point tests.wire.samples:Color tests.wire.samples:Size"
)
_tags = st.sampled_from(_TAGS.split())
_names = st.sampled_from(_NAMES.split())
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), _names),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.fixed_dictionaries(
            {"$": _tags}, optional=dict.fromkeys("vcnfbspx", inner) | {"c": _names, "n": _names}
        ),
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(_json, st.booleans())
def test_any_tree_is_read_or_refused(tree: Any, tagged: bool) -> None:
    payload = Payload(json.dumps(tree).encode(), (b"1234",), tagged=tagged)
    for decode in (ARGUMENTS.decode, *(codec.decode for codec in CODECS)):
        with contextlib.suppress(*REFUSALS):
            decode(payload)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(any_values, st.data())
def test_a_damaged_body_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    payload = encode_tagged(value, ClassLookup(), what="value")
    at = data.draw(st.integers(0, len(payload.body) - 1))
    body = payload.body[:at] + data.draw(st.binary(max_size=2)) + payload.body[at + 1 :]
    with contextlib.suppress(*REFUSALS):
        decode_tagged(Payload(body, payload.buffers[1:], tagged=True), ClassLookup())


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=20), st.booleans())
def test_any_bytes_are_refused_as_arguments(body: bytes, tagged: bool) -> None:
    with pytest.raises(InvalidArguments):
        ARGUMENTS.decode(Payload(body, (), tagged=tagged))


@pytest.mark.parametrize(
    "name", ["os:system", "os:path", "subprocess:Popen", "builtins:eval", "builtins:dict"]
)
@pytest.mark.parametrize("tag", ["model", "dataclass", "enum", "flags", "namedtuple", "url"])
def test_only_data_classes_are_made(name: str, tag: str) -> None:
    body = json.dumps({"$": tag, "c": name, "v": {}}).encode()
    with pytest.raises(SerializationError):
        decode_tagged(Payload(body, (), tagged=True), ClassLookup())


def test_no_module_is_imported_for_a_body() -> None:
    assert "this" not in sys.modules
    body = json.dumps({"$": "model", "c": "this:Zen", "v": {}}).encode()
    with pytest.raises(SerializationError, match="not imported here and not part of the bundle"):
        decode_tagged(Payload(body, (), tagged=True), ClassLookup())
    assert "this" not in sys.modules


def test_the_base_class_of_models_is_not_made() -> None:
    body = b'{"$":"model","c":"pydantic.main:BaseModel","v":{"__class__":1}}'
    with pytest.raises(SerializationError, match="which it is not"):
        decode_tagged(Payload(body, (), tagged=True), ClassLookup())

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec
from fchains.wire.tagged import decode_tagged, encode_tagged
from tests.wire.equality import same
from tests.wire.strategies import Fitting, any_values, fitting

CLASSES = ClassLookup()
relaxed = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.slow
@relaxed
@given(any_values)
def test_every_kind_of_value_comes_back_as_it_was(value: Any) -> None:
    assert same(decode_tagged(encode_tagged(value, CLASSES, what="value"), CLASSES), value)


@pytest.mark.slow
@relaxed
@given(fitting)
def test_both_engines_give_back_the_value_whatever_its_annotation(pair: Fitting) -> None:
    annotation, value = pair
    codec: Codec[Any] = Codec(annotation)
    chosen = codec.encode(value, what="value")
    tagged = encode_tagged(value, CLASSES, what="value")
    by_tags = codec.decode(tagged)
    assert same(codec.decode(chosen), by_tags)
    assert same(by_tags, value)


@pytest.mark.slow
@relaxed
@given(fitting, st.data())
def test_a_value_of_another_annotation_never_changes_silently(pair: Fitting, data: st.DataObject) -> None:
    annotation, _ = pair
    _, value = data.draw(fitting)
    codec: Codec[Any] = Codec(annotation)
    chosen = _outcome(codec, codec.encode(value, what="value"))
    tagged = _outcome(codec, encode_tagged(value, CLASSES, what="value"))
    assert same(chosen, tagged)


def _outcome(codec: Codec[Any], payload: Any) -> Any:
    try:
        return codec.decode(payload)
    except ValueError:
        return "refused"

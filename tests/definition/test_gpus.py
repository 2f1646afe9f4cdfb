from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.definition.gpus import KNOWN, MAX_COUNT, Gpu, parse_gpu, parse_gpus
from fchains.definition.problems import BadValue


@pytest.mark.parametrize(
    ("written", "gpu"),
    [
        ("L4", Gpu("L4")),
        ("l4", Gpu("L4")),
        ("a10g:2", Gpu("A10G", 2)),
        ("A100", Gpu("A100-40GB")),
        ("a100-80gb:16", Gpu("A100-80GB", 16)),
        (" H100 : 8 ", Gpu("H100", 8)),
        ("rtx-pro-6000", Gpu("RTX-PRO-6000")),
        ("ANY", Gpu("any")),
        (Gpu("T4", 2), Gpu("T4", 2)),
    ],
)
def test_a_gpu_is_a_name_of_any_case_and_perhaps_a_count(written: object, gpu: Gpu) -> None:
    assert parse_gpu(written) == gpu


@given(st.sampled_from(KNOWN), st.integers(1, MAX_COUNT))
def test_the_text_of_a_gpu_is_parsed_back(name: str, count: int) -> None:
    assert parse_gpu(str(Gpu(name, count))) == Gpu(name, count)


@pytest.mark.parametrize(
    ("gpu", "text"), [(Gpu("L4"), "L4"), (Gpu("A100-80GB", 2), "A100-80GB:2"), (Gpu("any"), "any")]
)
def test_a_count_of_one_is_not_written(gpu: Gpu, text: str) -> None:
    assert str(gpu) == text


@pytest.mark.parametrize("written", [None, [], ()])
def test_nothing_stands_for_no_gpu(written: object) -> None:
    assert parse_gpus(written) == ()


def test_a_list_keeps_the_order_of_preference() -> None:
    assert parse_gpus(["h100", "A100-80GB:2", "L4"]) == (Gpu("H100"), Gpu("A100-80GB", 2), Gpu("L4"))
    assert parse_gpus("L4") == (Gpu("L4"),)


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("A10", "names no known GPU: 'A10'. Did you mean 'A10G'?", "known are T4, "),
        ("h20", "names no known GPU: 'h20'. Did you mean 'H200'?", "known are T4, "),
        ("banana", "names no known GPU: 'banana'", "known are T4, "),
        ("", "names no known GPU: ''", "known are T4, "),
        ("A10G:hello", "must have a count from 1 to 16 after the colon: 'A10G:hello'", '"L4:2"'),
        ("L4:0", "must have a count from 1 to 16 after the colon: 'L4:0'", '"L4:2"'),
        ("L4:17", "must have a count from 1 to 16 after the colon: 'L4:17'", '"L4:2"'),
        ("L4:-1", "must have a count from 1 to 16 after the colon: 'L4:-1'", '"L4:2"'),
        ("L4:", "must have a count from 1 to 16 after the colon: 'L4:'", '"L4:2"'),
        ("L4:²", "must have a count from 1 to 16 after the colon: 'L4:²'", '"L4:2"'),
        ("L4:2:2", "must have a count from 1 to 16 after the colon: 'L4:2:2'", '"L4:2"'),
        (1, "must be a name, not 1", 'gpu="L4"'),
        (True, "must be a name, not True", 'gpu="L4"'),
        ({"L4": 1}, "must be a name, not {'L4': 1}", 'gpu="L4"'),
    ],
)
def test_a_faulty_gpu_is_refused(written: object, message: str, hint: str) -> None:
    with pytest.raises(BadValue) as raised:
        parse_gpus(written)
    assert raised.value.message == message
    assert hint in raised.value.hint


def test_every_faulty_gpu_of_a_list_is_named() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        parse_gpus(["A10", "L4", 7])
    assert [str(fault)[:20] for fault in raised.value.exceptions] == [
        "names no known GPU: ",
        "must be a name, not ",
    ]

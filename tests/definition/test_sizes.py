from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.definition.problems import BadValue
from fchains.definition.sizes import format_memory, parse_cpu, parse_memory

MIB = 1024**2
GIB = 1024**3


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2GiB", 2 * GIB),
        ("16Gi", 16 * GIB),
        ("512MiB", 512 * MIB),
        ("16GB", 16 * 10**9),
        ("0.5GiB", GIB // 2),
        ("1.5 tib", 1536 * GIB),
        (" 512 mb ", 512 * 10**6),
        ("2048KiB", 2 * MIB),
        ("1048576B", MIB),
        (MIB, MIB),
        (np.int64(GIB), GIB),
    ],
)
def test_memory_has_a_unit_or_is_an_int_of_bytes(written: object, size: int) -> None:
    assert parse_memory(written) == size


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        (16, "is only 16 bytes: an int counts bytes", 'write "16GiB" or "16MiB"'),
        (0, "must be at least 1MiB, not 0", '"2GiB"'),
        (-MIB, "must be at least 1MiB, not -1048576", '"2GiB"'),
        ("1KiB", "must be at least 1MiB, not '1KiB'", '"2GiB"'),
        ("2048", "has no unit: '2048'", 'write "2048GiB", or "2048GB" for powers of ten'),
        ("16G", "has an unknown unit: '16G'", 'write "16GiB", or "16GB" for powers of ten'),
        ("16 gigs", "has an unknown unit: '16 gigs'", 'write "16GiB"'),
        ("-2GiB", "is no size: '-2GiB'", '"2GiB"'),
        ("nanGiB", "is no size: 'nanGiB'", '"2GiB"'),
        ("٣GiB", "is no size: '٣GiB'", '"2GiB"'),
        ("", "is no size: ''", '"2GiB"'),
        (2.0, "is no size: 2.0", '"2GiB"'),
        (True, "is no size: True", '"2GiB"'),
        (None, "is no size: None", '"2GiB"'),
    ],
)
def test_what_is_no_size_is_refused(written: object, message: str, hint: str) -> None:
    with pytest.raises(BadValue) as raised:
        parse_memory(written)
    assert raised.value.message == message
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("size", "text"),
    [(2 * GIB, "2GiB"), (16 * 10**9, "16GB"), (1536 * MIB, "1536MiB"), (MIB + 1, "1048577B"), (0, "0B")],
)
def test_a_size_is_written_with_its_largest_exact_unit(size: int, text: str) -> None:
    assert format_memory(size) == text


@given(st.integers(MIB, 2**50))
def test_the_text_of_a_size_is_parsed_back(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@pytest.mark.parametrize(
    ("written", "cores"),
    [(1, 1), (0.5, 0.5), ("500m", 0.5), ("2", 2), (" 1.5 ", 1.5), (448, 448), (np.float32(0.5), 0.5)],
)
def test_cpu_is_a_number_of_cores_or_of_thousandths(written: object, cores: float) -> None:
    assert parse_cpu(written) == cores


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (0, "must be more than 0 and at most 448 cores, not 0"),
        (-1, "must be more than 0 and at most 448 cores, not -1"),
        (449, "must be more than 0 and at most 448 cores, not 449"),
        ("0m", "must be more than 0 and at most 448 cores, not '0m'"),
        (math.nan, "is no number of cores: nan"),
        (math.inf, "is no number of cores: inf"),
        (10**400, "is no number of cores: 1000"),
        (True, "is no number of cores: True"),
        ("many", "is no number of cores: 'many'"),
        ("1e2", "is no number of cores: '1e2'"),
        (None, "is no number of cores: None"),
    ],
)
def test_what_is_no_number_of_cores_is_refused(written: object, message: str) -> None:
    with pytest.raises(BadValue) as raised:
        parse_cpu(written)
    assert raised.value.message.startswith(message)
    assert "cpu=2" in raised.value.hint


@given(st.text("0123456789.-+ eEkKMGTtiBbm²") | st.integers() | st.floats() | st.none())
def test_any_size_is_parsed_or_refused(written: object) -> None:
    for parse in (parse_memory, parse_cpu):
        with suppress(BadValue):
            assert parse(written) > 0

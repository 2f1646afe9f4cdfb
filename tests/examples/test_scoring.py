import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import word_errors

words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("he was not", "he was not", 0),
        ("he was not", "he is not", 1),
        ("he was not", "he not", 1),
        ("he was not", "he was really not so", 2),
        ("he was not", "", 3),
        ("", "he", 1),
    ],
)
def test_inserted_dropped_and_replaced_words_count(said: str, heard: str, errors: int) -> None:
    assert word_errors(said.split(), heard.split()) == errors


@given(words, words)
def test_errors_are_symmetric_and_bounded(said: list[str], heard: list[str]) -> None:
    errors = word_errors(said, heard)

    assert errors == word_errors(heard, said)
    assert abs(len(said) - len(heard)) <= errors <= max(len(said), len(heard))
    assert (errors == 0) == (said == heard)

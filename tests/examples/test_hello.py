import pytest

import hello
from fchains import use_runner


def test_everybody_is_greeted() -> None:
    with use_runner("inline"):
        assert hello.hello.remote(["Ada", "Grace"]).result() == ["Hello, Ada!", "Hello, Grace!"]


def test_the_words_of_a_language_can_be_replaced_in_a_test() -> None:
    with hello.greetings.override({"en": "Hi"}), use_runner("inline"):
        assert hello.greet.remote("Ada").result() == "Hi, Ada!"


def test_the_chainlet_is_still_the_plain_function() -> None:
    assert hello.greet("Ada", "fr", words={"fr": "Salut"}) == "Salut, Ada!"


def test_an_unknown_language_reaches_the_caller_as_the_error_it_is() -> None:
    with use_runner("inline"), pytest.raises(KeyError, match="xx"):
        hello.greet.remote("Ada", "xx").result()

"""A fake must fit the chainlet it replaces; it may leave out what `use()` injects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack

from fchains import chainlet, setup, use


class Model: ...


@setup
def model() -> Model:
    return Model()


@chainlet
def ask(question: str, limit: int = 3, *, model: Model = use(model)) -> list[str]:
    return [question] * limit


@chainlet
async def translate(text: str, *, lang: str, model: Model = use(model)) -> str:
    return text + lang


@chainlet
def double(x: int) -> int:
    return 2 * x


@chainlet
async def count(to: int, *, model: Model = use(model)) -> AsyncIterator[int]:
    for n in range(to):
        yield n


def ask_fake(question: str, limit: int = 3) -> list[str]:
    return []


def ask_with_model(question: str, limit: int = 3, *, model: Model | None = None) -> list[str]:
    return []


async def ask_async(question: str, limit: int = 3) -> list[str]:
    return []


def ask_number(question: int, limit: int = 3) -> list[str]:
    return []


def ask_limit(question: str, limit: str = "") -> list[str]:
    return []


def ask_other_name(query: str, limit: int = 3) -> list[str]:
    return []


def ask_more(question: str, limit: int, context: str) -> list[str]:
    return []


def ask_wrong_result(question: str, limit: int = 3) -> list[int]:
    return []


async def ask_wrong_result_async(question: str, limit: int = 3) -> list[int]:
    return []


def ask_wrong_model(question: str, limit: int = 3, *, model: str) -> list[str]:
    return []


def translate_fake(text: str, *, lang: str) -> str:
    return text


async def translate_async(text: str, *, lang: str) -> str:
    return text


def translate_number(text: str, *, lang: int) -> str:
    return text


def translate_positional(text: str) -> str:
    return text


def fakes_that_fit() -> None:
    with ask.override(ask_fake), ask.override(ask_with_model), ask.override(ask_async):
        pass
    with translate.override(translate_fake), translate.override(translate_async):
        pass
    with double.override(lambda x: x + 1):
        pass
    with double.override(lambda x: x.bit_length()), double.options(timeout=3).override(double):
        pass
    with ExitStack() as stack:
        stack.enter_context(ask.override(ask_fake))
    block: AbstractContextManager[None] = ask.override(ask_fake)
    with block:
        pass


def fakes_with_another_result() -> None:
    with ask.override(ask_wrong_result):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    with ask.override(ask_wrong_result_async):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    with double.override(lambda x: "two"):  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownLambdaType]
        pass


def fakes_with_other_parameters() -> None:
    with ask.override(ask_number):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with ask.override(ask_limit):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with ask.override(ask_other_name):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with ask.override(ask_more):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with ask.override(ask_wrong_model):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with translate.override(translate_number):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with double.override(ask_fake):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass


def count_fake(to: int) -> Iterator[int]:
    yield to


async def count_async(to: int) -> AsyncIterator[int]:
    yield to


def count_texts(to: int) -> Iterator[str]:
    yield ""


def count_to_text(to: str) -> Iterator[int]:
    yield 1


def count_list(to: int) -> list[int]:
    return [to]


def fakes_of_streams() -> None:
    with count.override(count_fake), count.override(count_async):
        pass
    with count.override(count_texts):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    with count.override(count_list):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    with count.override(count_to_text):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues]
        pass

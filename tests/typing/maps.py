"""`.map` and `.starmap` check their items, and give the results as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import assert_type

from fchains import Stream, chainlet, setup, use


@setup
def model() -> list[int]:
    return [1]


@chainlet
def square(x: int) -> str:
    return str(x * x)


@chainlet
def injected(x: int, lang: str = "en", *, model: list[int] = use(model)) -> bytes:
    return b""


@chainlet
async def two(x: int, name: str) -> float:
    return 1.0


@chainlet
def keyword_only(x: int, *, lang: str) -> bytes:
    return b""


@chainlet
def five(a: int, b: str, c: bytes, d: float, e: bool, *, model: list[int] = use(model)) -> str:
    return ""


@chainlet
def length(text: str) -> int:
    return len(text)


@chainlet
def words(text: str) -> Iterator[str]:
    yield text


async def numbers() -> AsyncIterator[int]:
    yield 1


async def texts() -> AsyncIterator[str]:
    yield ""


async def results_are_a_stream(endless: Iterable[int]) -> None:
    assert_type(square.map([1, 2]), Stream[str])
    assert_type(square.map(range(3), ordered=False, max_in_flight=8), Stream[str])
    assert_type(square.map(n for n in endless), Stream[str])
    assert_type(square.map(numbers()), Stream[str])
    assert_type(square.map([True, False]), Stream[str])
    assert_type(await square.map([1]), list[str])
    assert_type(injected.map([1]), Stream[bytes])
    assert_type(two.map([1], kwargs={"name": "a"}), Stream[float])
    assert_type(keyword_only.map([1], kwargs={"lang": "de"}), Stream[bytes])
    assert_type(injected.map([1], kwargs={"lang": "de"}), Stream[bytes])
    assert_type(square.options(timeout=3).map([1]), Stream[str])
    assert_type(square.map(length.map(words.remote("a"))), Stream[str])


def exceptions_can_take_their_place(sometimes: bool) -> None:
    assert_type(square.map([1], return_exceptions=True), Stream[str | Exception])
    assert_type(square.map([1], return_exceptions=False), Stream[str])
    assert_type(square.map([1], return_exceptions=sometimes), Stream[str | Exception])
    assert_type(keyword_only.map([1], kwargs={"lang": ""}, return_exceptions=True), Stream[bytes | Exception])
    assert_type(two.starmap([(1, "a")], return_exceptions=True), Stream[float | Exception])
    assert_type(two.starmap([(1, "a")], return_exceptions=sometimes), Stream[float | Exception])


def items_must_fit_the_first_parameter() -> None:
    square.map(["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    square.map(texts())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    square.map(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    square.map(square.map([1]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    injected.map(["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    square.map(["a"], return_exceptions=True)  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
    keyword_only.map(["a"], kwargs={"lang": "de"})  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def one_item_must_be_enough() -> None:
    two.map([1])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    keyword_only.map([1])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    square.map([1], kwargs=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    square.map([1], in_flight=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    words.map(["a"])  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]


def tuples_are_checked_item_by_item(pairs: AsyncIterator[tuple[int, str]]) -> None:
    assert_type(square.starmap([(1,)]), Stream[str])
    assert_type(two.starmap([(1, "a")]), Stream[float])
    assert_type(two.starmap(zip([1], ["a"], strict=True)), Stream[float])
    assert_type(two.starmap(pairs), Stream[float])
    assert_type(two.starmap({1: "a"}.items()), Stream[float])
    assert_type(injected.starmap([(1,)]), Stream[bytes])
    assert_type(injected.starmap([(1, "de")]), Stream[bytes])
    assert_type(five.starmap([(1, "", b"", 1.0, True)]), Stream[str])
    assert_type(keyword_only.starmap([(1,)], kwargs={"lang": "de"}), Stream[bytes])
    two.starmap([("a", "a")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    two.starmap([(1,)])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    two.starmap([(1, "a", 3)])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    five.starmap([(1, "", b"", 1.0, "")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    square.starmap([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

"""Each kind of function becomes the right kind of chainlet, with and without parentheses."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict, assert_type

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from fchains import Call, Chainlet, Stream, StreamChainlet, chainlet


class Model(BaseModel):
    """Iterable, as all pydantic models are, but returned whole."""

    x: int


@dataclass
class Transcript:
    """A value that one can iterate over, but returned whole."""

    words: list[str]

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)


class Pair(NamedTuple):
    a: int
    b: str


class Row(TypedDict):
    a: int


@chainlet
def plain(x: int, *, lang: str = "en") -> str:
    return lang * x


@chainlet()
def with_parentheses(x: int, *, lang: str = "en") -> str:
    return lang * x


@chainlet(gpu="L4")
async def coroutine(x: int) -> list[str]:
    return ["a"] * x


@chainlet
async def bare_coroutine(x: int) -> Model:
    return Model(x=x)


@chainlet
def nothing(x: int) -> None: ...


@chainlet
def anything(x: int) -> dict[str, Any]:
    return {"x": x}


async def plain_calls() -> None:
    assert_type(plain(1, lang="de"), str)
    assert_type(with_parentheses(1), str)
    assert_type(await coroutine(1), list[str])
    assert_type(await bare_coroutine(1), Model)


async def remote_calls() -> None:
    assert_type(plain.remote(1, lang="de"), Call[str])
    assert_type(with_parentheses.remote(x=1), Call[str])
    assert_type(coroutine.remote(1), Call[list[str]])
    assert_type(bare_coroutine.remote(1), Call[Model])
    assert_type(nothing.remote(1), Call[None])
    assert_type(anything.remote(1), Call[dict[str, Any]])
    assert_type(await plain.remote(1), str)
    assert_type(await coroutine.remote(1), list[str])
    assert_type(plain.remote(1).result(timeout=3), str)
    assert_type(plain.remote(1).exception(), BaseException | None)
    assert_type(plain.remote(1).done(), bool)
    assert_type(plain.remote(1).cancel(), bool)
    assert_type(plain.remote(1).id, str)


@chainlet
def iterator(x: int) -> Iterator[bytes]:
    yield b"a" * x


@chainlet()
def iterable(x: int) -> Iterable[bytes]:
    yield b"a" * x


@chainlet
def generator(x: int) -> Generator[bytes, str, int]:
    yield b"a" * x
    return 1


@chainlet(timeout=None)
async def async_iterator(x: int) -> AsyncIterator[bytes]:
    yield b"a" * x


@chainlet
async def async_iterable(x: int) -> AsyncIterable[bytes]:
    yield b"a" * x


@chainlet
async def async_generator(x: int) -> AsyncGenerator[bytes, str]:
    yield b"a" * x


def streams_remotely() -> None:
    assert_type(iterator.remote(1), Stream[bytes])
    assert_type(iterable.remote(x=1), Stream[bytes])
    assert_type(generator.remote(1), Stream[bytes])
    assert_type(async_iterator.remote(1), Stream[bytes])
    assert_type(async_iterable.remote(1), Stream[bytes])
    assert_type(async_generator.remote(1), Stream[bytes])


def streams_as_plain_functions() -> None:
    assert_type(iterator(1), Iterator[bytes])
    assert_type(iterable(1), Iterable[bytes])
    assert_type(generator(1), Generator[bytes, str, int])
    assert_type(async_iterator(1), AsyncIterator[bytes])
    assert_type(async_iterable(1), AsyncIterable[bytes])
    assert_type(async_generator(1), AsyncGenerator[bytes, str])


async def reading_a_stream() -> None:
    async for piece in async_iterator.remote(1):
        assert_type(piece, bytes)
    for piece in iterator.remote(1):
        assert_type(piece, bytes)
    assert_type(await iterator.remote(1), list[bytes])
    async with async_iterator.remote(1) as stream:
        assert_type(stream, Stream[bytes])
    with iterator.remote(1) as stream:
        stream.cancel()
    await stream.aclose()


@chainlet
def returns_list(x: int) -> list[int]:
    return [x]


@chainlet()
def returns_sequence(x: int) -> Sequence[int]:
    return [x]


@chainlet
def returns_mapping(x: int) -> Mapping[str, int]:
    return {"a": x}


@chainlet
def returns_bytes(x: int) -> bytes:
    return bytes(x)


@chainlet
def returns_model(x: int) -> Model:
    return Model(x=x)


@chainlet()
def returns_dataclass(x: int) -> Transcript:
    return Transcript(["a"] * x)


@chainlet
def returns_optional(x: int) -> list[int] | None:
    return [x] if x else None


@chainlet
def returns_union(x: int) -> Model | Transcript | str:
    return str(x)


@chainlet
def returns_named_tuple(x: int) -> Pair:
    return Pair(x, "")


@chainlet
def returns_typed_dict(x: int) -> Row:
    return {"a": x}


@chainlet
def returns_array(x: int) -> npt.NDArray[np.float32]:
    return np.zeros(x, np.float32)


def values_that_can_be_iterated_are_no_streams() -> None:
    assert_type(returns_list.remote(1), Call[list[int]])
    assert_type(returns_sequence.remote(1), Call[Sequence[int]])
    assert_type(returns_mapping.remote(1), Call[Mapping[str, int]])
    assert_type(returns_bytes.remote(1), Call[bytes])
    assert_type(returns_model.remote(1), Call[Model])
    assert_type(returns_dataclass.remote(1), Call[Transcript])
    assert_type(returns_optional.remote(1), Call[list[int] | None])
    assert_type(returns_union.remote(1), Call[Model | Transcript | str])
    assert_type(returns_named_tuple.remote(1), Call[Pair])
    assert_type(returns_typed_dict.remote(1), Call[Row])
    assert_type(returns_array.remote(1), Call[npt.NDArray[np.float32]])


def takes_callable(function: Callable[[int], str]) -> None: ...


def takes_chainlet(function: Chainlet[[int], str, [int], str]) -> None: ...


def takes_any_chainlet(function: Chainlet[..., object, ..., object]) -> None: ...


def takes_stream_chainlet(function: StreamChainlet[..., object, ..., object]) -> None: ...


def chainlets_are_functions() -> None:
    takes_callable(plain)
    takes_callable(coroutine)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    takes_callable(iterator)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    takes_any_chainlet(plain)
    takes_any_chainlet(iterator)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    takes_stream_chainlet(iterator)
    takes_stream_chainlet(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(plain.__name__, str)
    assert_type(plain.__doc__, str | None)
    assert_type(plain.__wrapped__(1, lang="x"), str)


def what_is_no_function_is_rejected() -> None:
    chainlet(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    chainlet("name")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    chainlet(gpu="L4")(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

"""A function over lists under `@batched` has the signature of one item for its remote callers."""

from __future__ import annotations

from typing import assert_type

from fchains import Call, Stream, batched, chainlet, setup, use


@setup
def model() -> dict[str, float]:
    return {}


@chainlet(gpu="L4")
@batched(max_size=32, max_wait=0.01)
def embed(texts: list[str], *, model: dict[str, float] = use(model)) -> list[float]:
    return [model[text] for text in texts]


@chainlet
@batched(max_size=32, max_wait=0.01)
async def embed_async(texts: list[str]) -> list[float]:
    return [1.0 for _ in texts]


@chainlet
@batched(max_size=32, max_wait=0)
def may_fail(texts: list[str]) -> list[float | Exception]:
    return [ValueError(text) for text in texts]


@chainlet()
@batched(max_size=32, max_wait=0)
async def may_fail_async(texts: list[str]) -> list[float | Exception]:
    return [ValueError(text) for text in texts]


@chainlet
@batched(max_size=8, max_wait=0)
def may_lack(texts: list[str]) -> list[float | None]:
    return [None for _ in texts]


@chainlet
@batched(max_size=8, max_wait=0)
def pairs(xs: list[int], names: list[str], *, model: dict[str, float] = use(model)) -> list[bytes]:
    return [b"" for _ in zip(xs, names, strict=True)]


@chainlet
@batched(max_size=8, max_wait=0)
async def triples(xs: list[int], names: list[str], flags: list[bool]) -> list[bytes | Exception]:
    return [b"" for _ in xs]


async def remote_callers_pass_one_item() -> None:
    assert_type(embed.remote("a"), Call[float])
    assert_type(embed_async.remote("a"), Call[float])
    assert_type(may_fail.remote("a"), Call[float])
    assert_type(may_fail_async.remote("a"), Call[float])
    assert_type(may_lack.remote("a"), Call[float | None])
    assert_type(pairs.remote(1, "a"), Call[bytes])
    assert_type(triples.remote(1, "a", True), Call[bytes])
    embed.remote(["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    embed.remote(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pairs.remote(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    pairs.remote("a", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def plain_calls_pass_lists() -> None:
    assert_type(embed(["a"]), list[float])
    assert_type(embed(texts=["a"], model={}), list[float])
    assert_type(await embed_async(texts=["a"]), list[float])
    assert_type(may_fail(["a"]), list[float | Exception])
    assert_type(pairs([1], names=["a"]), list[bytes])
    embed("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def verbs_work_on_items() -> None:
    assert_type(embed.map(["a", "b"]), Stream[float])
    assert_type(embed.map(["a"], return_exceptions=True), Stream[float | Exception])
    assert_type(pairs.starmap([(1, "a")]), Stream[bytes])
    assert_type(embed.options(timeout=1).remote("a"), Call[float])
    embed.map([["a"]])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def one_text(text: str) -> float:
    return 1.0


async def one_text_async(text: str) -> float:
    return 1.0


def many_texts(texts: list[str]) -> list[float]:
    return [1.0]


def fakes_take_one_item() -> None:
    with (
        embed.override(one_text),
        embed.override(one_text_async),
        embed.override(lambda text: len(text) + 0.5),
    ):
        pass
    with embed.override(many_texts):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass


def scalar(text: str) -> float:
    return 1.0


def single(texts: list[str]) -> float:
    return 1.0


def keyword(texts: list[str], *, lang: str) -> list[float]:
    return [1.0]


def what_takes_no_lists_is_rejected() -> None:
    batch = batched(max_size=8, max_wait=0.01)
    batch(scalar)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    batch(single)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    batch(keyword)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    batch(many_texts)(["a"])  # type: ignore[operator]  # pyright: ignore[reportCallIssue]
    assert_type(batch(many_texts).max_size, int)
    batched(max_size=8)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    batched(max_size="8", max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    batched(many_texts)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]

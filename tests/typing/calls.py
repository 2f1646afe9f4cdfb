"""Remote calls take the function's own parameters, through handles and variants too."""

from __future__ import annotations

from typing import assert_type

from fchains import Call, Image, Retry, Stream, chainlet, gather, setup, use
from fchains.definition.handle import AnyChainlet


@setup
def numbers() -> list[int]:
    return [1]


@setup
def other_numbers() -> list[int]:
    return [2]


@chainlet
def scale(x: int, factor: float = 1, *, unit: str, model: list[int] = use(numbers)) -> str:
    return f"{x * factor * model[0]}{unit}"


@chainlet
async def fetch(url: str) -> bytes:
    return url.encode()


def arguments_are_those_of_the_function() -> None:
    assert_type(scale.remote(1, unit="m"), Call[str])
    assert_type(scale.remote(1, 2.5, unit="m"), Call[str])
    assert_type(scale.remote(x=1, factor=2, unit="m"), Call[str])
    scale.remote("1", unit="m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.remote(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.remote(1, units="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.remote(1, 2, "m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.remote(1, unit=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale("1", unit="m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fetch.remote()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def results_are_those_of_the_function() -> None:
    wrong: int = await fetch.remote("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(wrong)
    also_wrong: int = fetch.remote("a").result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(also_wrong)
    fetch.remote("a").decode()  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]


def options_keep_parameters_and_result() -> None:
    handle = scale.options(timeout=3, retries=2, key="k")
    assert_type(handle.remote(1, unit="m"), Call[str])
    assert_type(handle.options(timeout=None, retries=Retry(attempts=2)).remote(1, unit="m"), Call[str])
    assert_type(handle.options()(1, unit="m"), str)
    handle.remote("1", unit="m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.options(timeuot=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.options(timeout="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.options(retries="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.options(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def variants_keep_parameters_and_result() -> None:
    large = scale.variant(name="large", gpu="H100", image=Image.debian_slim(), memory="64GiB")
    assert_type(large.remote(1, unit="m"), Call[str])
    assert_type(large(1, unit="m"), str)
    assert_type(fetch.variant(name="b", replicas=(0, 4)).remote("a"), Call[bytes])
    scale.variant(name="other", resources={"model": other_numbers}, calls=[fetch, large], retries=2)
    large.remote("1", unit="m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.variant(gpu="H100")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.variant(name="x", gpus="H100")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scale.variant(name="x", replicas="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    scale.variant(name="x", resources={"model": [3]})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


def chainlets_of_any_signature() -> None:
    listed: list[AnyChainlet] = [scale, fetch, scale.options(timeout=1)]
    listed.append(numbers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def gather_keeps_each_type(calls: list[Call[int]], stream: Stream[int]) -> None:
    a = fetch.remote("a")
    b = scale.remote(1, unit="m")
    assert_type(await gather(a), tuple[bytes])
    assert_type(await gather(a, b), tuple[bytes, str])
    assert_type(await gather(a, b, a), tuple[bytes, str, bytes])
    assert_type(await gather(a, b, a, b), tuple[bytes, str, bytes, str])
    assert_type(await gather(a, b, a, b, a), tuple[bytes, str, bytes, str, bytes])
    assert_type(await gather(a, b, a, b, a, b), tuple[bytes, str, bytes, str, bytes, str])
    assert_type(await gather(a, a, a, a, a, a, a), tuple[bytes, ...])
    assert_type(await gather(*calls), tuple[int, ...])
    assert_type(await gather(a, stream), tuple[bytes, list[int]])
    x, y = await gather(a, b)
    assert_type(x, bytes)
    assert_type(y, str)
    gather(calls)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    gather(a, 3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

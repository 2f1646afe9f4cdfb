"""A resource has the type of what its setup function makes, and `use()` checks the parameter's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import assert_type

from fchains import Resource, chainlet, setup, use


class Model: ...


class LargeModel(Model): ...


class Client: ...


@setup
def model() -> Model:
    return Model()


@setup
def large_model(size: str = "large") -> LargeModel:
    return LargeModel()


@setup
async def client(*, model: Model = use(model)) -> Client:
    return Client()


@setup
def pool() -> Iterator[Client]:
    yield Client()


@setup
def pool_generator() -> Generator[Client, None, None]:
    yield Client()


@setup
async def connection() -> AsyncIterator[Client]:
    yield Client()


@setup
async def connection_generator() -> AsyncGenerator[Client, None]:
    yield Client()


def resources_have_the_type_of_their_value() -> None:
    assert_type(model, Resource[Model])
    assert_type(client, Resource[Client])
    assert_type(pool, Resource[Client])
    assert_type(pool_generator, Resource[Client])
    assert_type(connection, Resource[Client])
    assert_type(connection_generator, Resource[Client])
    assert_type(large_model.bind(size="small"), Resource[LargeModel])
    assert_type(use(model), Model)
    assert_type(use(connection), Client)
    assert_type(use(large_model.bind(size="small")), LargeModel)


@chainlet
def fits(x: int, *, model: Model = use(model), client: Client = use(connection)) -> int:
    return x


@chainlet
def takes_a_base_class(x: int, *, model: Model = use(large_model)) -> int:
    return x


@chainlet
def wrong_type(
    x: int,
    *,
    model: Client = use(model),  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
) -> int:
    return x


@chainlet
def too_wide(
    x: int,
    *,
    model: LargeModel = use(model),  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
) -> int:
    return x


def no_resource() -> None:
    use(Model())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    use(fits)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@setup
def wrong_dependency(
    *,
    model: Client = use(model),  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
) -> Client:
    return model


def overriding_a_resource() -> None:
    with model.override(Model()):
        pass


def healthy(*, model: Model = use(model)) -> bool:
    return True


async def healthy_async() -> bool:
    return True


def healthy_text() -> str:
    return ""


def healthy_if(limit: int) -> bool:
    return True


def health_checks() -> None:
    chainlet(health=healthy)
    chainlet(health=healthy_async)
    chainlet(health=lambda: True)
    chainlet(health=healthy_text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    chainlet(health=healthy_if)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    check: Callable[[], bool | Awaitable[bool]] = healthy
    print(check)

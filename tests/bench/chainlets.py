"""What the benchmarks call: chainlets that do next to nothing, so that what is measured is the call."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from fchains import chainlet


class Line(BaseModel):
    article: str
    quantity: int
    price: float


class Order(BaseModel):
    number: int
    customer: str
    lines: list[Line]


ORDER = Order(number=7, customer="Ada", lines=[Line(article="tea", quantity=2, price=1.5)] * 3)


@chainlet(replicas=1, concurrency=256)
async def noop(number: int) -> int:
    return number


@chainlet(replicas=1)
def noop_sync(number: int) -> int:
    return number


noop_twice = noop.variant(name="noop_twice", replicas=2)


@chainlet(replicas=1)
async def same_order(order: Order) -> Order:
    return order


@chainlet(replicas=1)
async def chain_b(number: int) -> int:
    return await noop.remote(number)


@chainlet(replicas=1)
async def chain_a(number: int) -> int:
    return await chain_b.remote(number)


@chainlet(replicas=1)
async def size_of_bytes(data: bytes) -> int:
    return len(data)


@chainlet(replicas=1)
async def same_bytes(data: bytes) -> bytes:
    return data


@chainlet(replicas=1)
async def size_of_array(data: NDArray[np.float32]) -> int:
    return data.nbytes


@chainlet(replicas=1)
async def same_array(data: NDArray[np.float32]) -> NDArray[np.float32]:
    return data

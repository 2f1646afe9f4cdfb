"""Durable work keeps parameters and results as calls do."""

from __future__ import annotations

from typing import Any, assert_type

from fchains import Job, MapJob, chainlet


@chainlet
async def train(path: str, *, epochs: int = 1) -> float:
    return 0.0


async def jobs_keep_parameters_and_result() -> None:
    assert_type(train.spawn("a", epochs=3), Job[float])
    assert_type(await train.spawn("a"), float)
    assert_type(train.spawn("a").result(timeout=3), float)
    assert_type(train.spawn("a").id, str)
    assert_type(Job.from_id("a"), Job[Any])
    assert_type(train.spawn_map(["a", "b"]), MapJob[float])
    assert_type(train.spawn_map(["a"], kwargs={"epochs": 3}), MapJob[float])
    assert_type(await train.spawn_map(["a"]), list[float])
    assert_type(MapJob.from_id("a"), MapJob[Any])
    train.spawn(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    train.spawn("a", epoch=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train.spawn_map([3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

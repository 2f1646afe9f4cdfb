"""The options of `@chainlet` are typed, so that a misspelt one is an error before anything runs."""

from __future__ import annotations

from typing import assert_type

from fchains import Call, Cron, Image, Retry, Volume, chainlet


@chainlet
def other(x: int) -> int:
    return x


@chainlet(
    name="everything",
    entrypoint=True,
    expose=True,
    image=Image.debian_slim(python="3.11"),
    gpu=["H100", "A100-80GB:2"],
    cpu="500m",
    memory="16GiB",
    disk="100GiB",
    replicas=(0, 8),
    group=None,
    concurrency=4,
    max_queue=10,
    scaledown_window=30,
    timeout=None,
    grace=0.5,
    startup_timeout=60,
    retries=Retry(attempts=3, on=(ConnectionError,)),
    kill_on_cancel=True,
    health=None,
    secrets=["HF_TOKEN"],
    env={"LOG_LEVEL": "info"},
    volumes={"/cache": Volume("hf-cache")},
    schedule=Cron("0 6 * * *", timezone="Europe/Berlin"),
    calls=[other],
)
def everything(x: int) -> str:
    return str(x)


@chainlet(gpu="L4", cpu=0.5, memory=2**30, disk=2**30, replicas=2, retries=3, group="one", secrets=("A",))
async def other_forms(x: int) -> str:
    return str(x)


def options_do_not_change_the_types() -> None:
    assert_type(everything.remote(1), Call[str])
    assert_type(other_forms.remote(1), Call[str])


def wrong_options() -> None:
    chainlet(gpus="L4")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    chainlet(gpu=4)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(replicas="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(replicas=(1, 2, 3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    chainlet(timeout="3s")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(retries=(3,))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(image="python:3.11")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(volumes={"/a": "b"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    chainlet(schedule="0 6 * * *")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    chainlet(calls=[print])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    chainlet(env={"A": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    chainlet(None, "name")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

"""The options of a chainlet, checked and brought into one form.

A faulty option keeps its default, so that the checks of the others go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from fchains.definition.cron import Cron
from fchains.definition.gpus import Gpu
from fchains.definition.option_values import NAME_RULE, PARSERS, name_from
from fchains.definition.problems import BadValue, Problem, close_match, shown
from fchains.definition.replicas import Replicas
from fchains.definition.retry import NO_RETRY, Retry

if TYPE_CHECKING:
    from fchains.packaging.image import Image
    from fchains.packaging.volume import Volume

Place = tuple[str, int]
_FIELDS = {"retries": "retry"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a chainlet needs and how it is run.

    Args:
        name: the name it is called by; unique in a chain.
        entrypoint: whether it answers `POST /`.
        expose: whether it is reachable over HTTP besides the entrypoint.
        image: what its code runs in; None is the runner's own.
        gpu: the kinds of GPU that will do, the preferred one first; empty is none.
        cpu: cores of each replica.
        memory: bytes of each replica.
        disk: bytes of scratch space of each replica; None is what the runner gives.
        replicas: bounds of their number; None is decided by the runner.
        group: chainlets of a group share replicas.
        concurrency: inputs in flight in one replica; None is 1 for sync functions, 100 for async ones.
        max_queue: inputs that may wait, over all replicas.
        scaledown_window: seconds without work after which a replica goes.
        timeout: seconds that one attempt may take; None is no limit.
        grace: seconds that code gets to end after its deadline before its replica is replaced.
        startup_timeout: seconds that a replica may take to become ready.
        retry: when a failed call is tried again.
        kill_on_cancel: whether a cancelled sync function is killed with its replica.
        health: says whether a replica is still good.
        secrets: names of the secrets that it may read.
        env: environment variables of each replica.
        volumes: persistent storage by the absolute path it is mounted at.
        schedule: times at which it is started without a caller.
        calls: chainlets it calls that cannot be seen in its code.
    """

    name: str
    entrypoint: bool = False
    expose: bool = False
    image: Image | None = None
    gpu: tuple[Gpu, ...] = ()
    cpu: float = 1
    memory: int = 2 * 1024**3
    disk: int | None = None
    replicas: Replicas | None = None
    group: str | None = None
    concurrency: int | None = None
    max_queue: int = 1000
    scaledown_window: float = 60
    timeout: float | None = 600
    grace: float = 1.0
    startup_timeout: float = 600
    retry: Retry = NO_RETRY
    kill_on_cancel: bool = False
    health: Callable[..., object] | None = None
    secrets: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    volumes: Mapping[str, Volume] = field(default_factory=dict[str, "Volume"])
    schedule: Cron | None = None
    calls: tuple[object, ...] = ()

    def replace(
        self, given: Mapping[str, object], *, subject: str, place: Place
    ) -> tuple[Options, list[Problem]]:
        """These options with the given ones instead, and what is wrong with those."""
        values: dict[str, Any] = {}
        problems: list[Problem] = []

        def blame(message: str, hint: str) -> None:
            problems.append(Problem(message, hint, *place, subject))

        for option, value in given.items():
            if option == "name" and value is None:
                continue
            parse = PARSERS.get(option)
            if parse is None:
                blame(*_unknown(option))
                continue
            try:
                values[_FIELDS.get(option, option)] = parse(value)
            except* BadValue as faults:
                for fault in cast("Sequence[BadValue]", faults.exceptions):
                    blame(f"option `{option}` {fault.message}", fault.hint)
        return dataclasses.replace(self, **values), problems


def parse_options(
    given: Mapping[str, object], *, subject: str, place: Place
) -> tuple[Options, list[Problem]]:
    """Options from what was given to `@chainlet`, and everything that is wrong with it.

    Args:
        given: the options as the user wrote them; those left out have their defaults.
        subject: the function's name, which is the chainlet's unless another is given.
        place: file and line of the function.
    """
    fallback = name_from(subject)
    options, problems = Options(name=fallback).replace(given, subject=subject, place=place)
    if fallback != subject and given.get("name") is None:
        hint = f'give it one: name="{fallback}"'
        message = f"the function's name {shown(subject)} is no name for a chainlet: that is {NAME_RULE}"
        problems.append(Problem(message, hint, *place, subject))
    return options, problems


def _unknown(option: str) -> tuple[str, str]:
    meant = close_match(option, PARSERS)
    if meant is None:
        return f"there is no option `{option}`", f"options are {', '.join(PARSERS)}"
    return f"there is no option `{option}`. Did you mean `{meant}`?", f"write {meant}=…"

"""What the supervisor is told of a chain: plain data, so that it imports nothing of the user's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from pydantic_core import to_json

from fchains.definition.spec import Definition
from fchains.errors import NotSupported
from fchains.worker.routing import Room
from fchains.worker.scaling import Bounds, queue_share
from fchains_local.gpus import Devices


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """The replicas of a group, as the supervisor needs to know them.

    Args:
        label: the group's name in replicas' names.
        members: its chainlets, in the order of their channels.
        executes: inputs of each member that one replica executes at once.
        most: inputs of each member that one replica takes.
        smallest: fewest replicas.
        largest: most replicas.
        scaledown_window: seconds.
        startup_timeout: seconds.
        grace: seconds that code gets to stop in.
        memory: bytes of resident size from which there is a warning.
        gpus: GPUs that one replica gets.
        wants_gpu: whether it asks for any.
        env: environment variables.
        watched: whether it has a health function.
        hosted: the parent serves it itself, with fakes.
    """

    label: str
    members: tuple[str, ...]
    executes: tuple[int, ...]
    most: tuple[int, ...]
    smallest: int
    largest: int
    scaledown_window: float
    startup_timeout: float
    grace: float
    memory: int
    gpus: int
    wants_gpu: bool
    env: dict[str, str]
    watched: bool
    hosted: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """A chain for its supervisor.

    Args:
        chain: its name.
        groups: its groups.
        shipment: path of the packed chain.
        board: path of the load board.
        folder: the private directory.
        environment: environment variables of the parent.
        working_directory: of the parent.
        devices: ids of the GPUs that it may use.
        health_interval: seconds between two looks of a health function.
        parent: process id of the parent.
    """

    chain: str
    groups: tuple[GroupSpec, ...]
    shipment: str
    board: str
    folder: str
    environment: dict[str, str]
    working_directory: str
    devices: tuple[str, ...]
    health_interval: float
    parent: int

    def to_json(self) -> bytes:
        """As JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> Spec:
        """The spec of `to_json`."""
        return TypeAdapter(cls).validate_json(data)


def groups_of(definitions: Iterable[Definition]) -> dict[str, list[Definition]]:
    """The definitions by the label of the group whose replicas serve them."""
    together: dict[str, list[Definition]] = {}
    for definition in definitions:
        together.setdefault(definition.replica_group, []).append(definition)
    groups: dict[str, list[Definition]] = {}
    for members in together.values():
        label = members[0].options.group or members[0].name
        groups[label if label not in groups else f"{label}-group"] = members
    return groups


def group_spec(label: str, members: Sequence[Definition], *, hosted: bool, devices: Devices) -> GroupSpec:
    """One group for the supervisor.

    Args:
        devices: the GPUs that there are.
    """
    options = members[0].options
    wanted = options.replicas
    largest = min(wanted.max if wanted else os.cpu_count() or 1, devices.most_replicas(members[0]))
    bounds = Bounds(0, 1) if hosted else Bounds(min(wanted.min if wanted else 0, largest), largest)
    rooms = [Room.of(member) for member in members]
    return GroupSpec(
        label=label,
        members=tuple(member.name for member in members),
        executes=tuple(room.executes for room in rooms),
        most=tuple(room.executes + queue_share(room.max_queue, bounds.max) for room in rooms),
        smallest=bounds.min,
        largest=bounds.max,
        scaledown_window=options.scaledown_window,
        startup_timeout=min(member.options.startup_timeout for member in members),
        grace=max(member.options.grace for member in members),
        memory=options.memory,
        gpus=devices.each(members[0]),
        wants_gpu=bool(options.gpu),
        env=_joint_env(members),
        watched=any(member.options.health is not None for member in members),
        hosted=hosted,
    )


def _joint_env(members: Sequence[Definition]) -> dict[str, str]:
    joint: dict[str, str] = {}
    owners: dict[str, str] = {}
    for member in members:
        env: Mapping[str, str] = member.options.env
        for key, value in env.items():
            if joint.setdefault(key, value) != value:
                raise NotSupported(
                    f"{member.name} and {owners[key]} are of one group, share a process, and want different"
                    f" values of the environment variable {key}: give them the same, or other groups"
                )
            owners[key] = member.name
    return joint

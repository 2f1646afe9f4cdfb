"""Which GPUs there are, who gets which, and what happens when there are too few."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fchains.definition.gpus import ANY, Gpu
from fchains.definition.spec import Definition
from fchains.errors import DeployError

logger = logging.getLogger(__name__)

VARIABLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_PATIENCE = 20.0
_ID = re.compile(r"[0-9]+|(GPU|MIG)-[^\s,]+")


def detect(environ: Mapping[str, str], driver: Path = _DRIVER) -> tuple[str, ...]:
    """The ids of the GPUs that may be used here, as CUDA_VISIBLE_DEVICES has them.

    Args:
        environ: the environment; CUDA_VISIBLE_DEVICES decides where it is set.
        driver: where the driver lists its GPUs.
    """
    if VARIABLE in environ:
        return visible(environ[VARIABLE])
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    listed = None if program is None else _ask(program, environ)
    if listed is not None:
        return indices(listed)
    try:
        return tuple(str(index) for index, _ in enumerate(driver.iterdir()))
    except OSError:
        return ()


def visible(value: str) -> tuple[str, ...]:
    """The ids in CUDA_VISIBLE_DEVICES; what follows a faulty one does not count, as in CUDA."""
    ids = list[str]()
    for word in map(str.strip, value.split(",")):
        if not _ID.fullmatch(word):
            break
        ids.append(word)
    return tuple(dict.fromkeys(ids))


def indices(listed: str) -> tuple[str, ...]:
    """The ids in the lines "index, name, uuid" of nvidia-smi; other lines are messages."""
    first = (line.split(",")[0].strip() for line in listed.splitlines() if line.count(",") >= 2)
    return tuple(word for word in first if word.isdecimal())


def _ask(program: str, environ: Mapping[str, str]) -> str | None:
    """What nvidia-smi lists: nothing where the driver does not work, None if it cannot be asked."""
    query = [program, "--query-gpu=index,name,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603
            query,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


@dataclass(frozen=True, slots=True)
class Share:
    """What the replicas of a chainlet get of this machine's GPUs.

    Args:
        each: GPUs of one replica; 0 where it wants none, or there is none.
        warning: what the user should know, if anything.
    """

    each: int = 0
    warning: str | None = None


def share(chainlet: str, wanted: Sequence[Gpu], available: int, *, require_gpu: bool = False) -> Share:
    """How many GPUs each replica of a chainlet gets, of whatever kind they are.

    Args:
        chainlet: its name, for messages.
        wanted: its option `gpu`; the first alternative that fits is taken.
        available: how many GPUs there are.
        require_gpu: too few are an error.

    Raises:
        DeployError: there are too few, and `require_gpu` is set. The runner could give GPUs, so that
            `NotSupported` would mislead: it is this machine that cannot run the chain.
    """
    if not wanted:
        return Share()
    fitting = next((gpu.count for gpu in wanted if gpu.count <= available), None)
    if fitting is not None:
        return Share(fitting)
    short = f"{chainlet} wants {_in_words(wanted)}, this machine has {_count(available)}"
    if require_gpu:
        raise DeployError(f"{short}: run it where there are enough, or leave out `require_gpu=True`")
    outcome = "it runs with fewer" if available else "it runs without one"
    return Share(available, f"{short}: {outcome}; `require_gpu=True` makes this an error")


def most_replicas(wanted_max: int, gpus_per_replica: int, available: int) -> int:
    """How many replicas can run at once; at least 1, so that the chainlet can run at all."""
    if gpus_per_replica == 0:
        return wanted_max
    return max(1, min(wanted_max, available // gpus_per_replica))


def environment_of(ids: Collection[str], wanted: int) -> dict[str, str]:
    """What a replica's environment says of its GPUs: its own, or none; nothing if it wants none."""
    return {VARIABLE: ",".join(ids)} if ids or wanted else {}


@dataclass(frozen=True, slots=True)
class Devices:
    """The GPUs that a chain may use on this machine.

    Args:
        ids: as CUDA_VISIBLE_DEVICES has them.
    """

    ids: tuple[str, ...]

    @classmethod
    def find(
        cls, given: Sequence[str] | None, environ: Mapping[str, str], definitions: Iterable[Definition]
    ) -> Devices:
        """Those that were given, or else those that there are; nobody looks where no chainlet wants one."""
        if given is None:
            given = detect(environ) if any(each.options.gpu for each in definitions) else ()
        return cls(tuple(dict.fromkeys(given)))

    def check(self, definitions: Iterable[Definition], *, require: bool) -> None:
        """Warn of chainlets that want more than there is.

        Raises:
            DeployError: there is one, and `require` is set.
        """
        for each in definitions:
            warning = share(each.name, each.options.gpu, len(self.ids), require_gpu=require).warning
            if warning is not None:
                logger.warning("%s", warning)

    def each(self, definition: Definition) -> int:
        """How many one replica gets."""
        return share(definition.name, definition.options.gpu, len(self.ids)).each

    def most_replicas(self, definition: Definition) -> int:
        """How many replicas there is room for, however many are wanted."""
        return most_replicas(sys.maxsize, self.each(definition), len(self.ids))


class Assignments:
    """Which GPUs are given to which replicas: each to one replica at most, unless they share.

    Args:
        ids: all GPUs there are.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        self._holders = dict.fromkeys(ids, 0)
        self._given = dict.fromkeys(ids, 0)

    @property
    def free(self) -> int:
        return sum(not holders for holders in self._holders.values())

    def take(self, count: int, *, shared: bool = False) -> tuple[str, ...] | None:
        """That many GPUs, those used least so far; None while too few are free.

        A GPU that was just given back may still be busy freeing memory, so that others are better.

        Args:
            count: how many.
            shared: take also such as other replicas have, where too few are free.
        """
        order = sorted(self.ids, key=lambda gpu: (self._holders[gpu], self._given[gpu]))
        chosen = {gpu for gpu in order[:count] if shared or not self._holders[gpu]}
        if len(chosen) < count:
            return None
        for gpu in chosen:
            self._holders[gpu] += 1
            self._given[gpu] += 1
        return tuple(gpu for gpu in self.ids if gpu in chosen)

    def give_back(self, ids: Collection[str]) -> None:
        """End what `take` gave, once per replica.

        Raises:
            ValueError: nobody has one of them; nothing was given back.
        """
        stray = [gpu for gpu in ids if not self._holders.get(gpu)]
        if stray:
            raise ValueError(f"nobody has GPU {', '.join(stray)}")
        for gpu in ids:
            self._holders[gpu] -= 1


def _in_words(wanted: Sequence[Gpu]) -> str:
    return " or ".join(f"{gpu.count} {'GPU' if gpu.name == ANY else gpu.name}" for gpu in wanted)


def _count(number: int) -> str:
    return "no GPU" if number == 0 else "1 GPU" if number == 1 else f"{number} GPUs"

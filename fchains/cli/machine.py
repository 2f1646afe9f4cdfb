"""The machine, as `fchains doctor` sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fchains.cli.diagnosis import Finding

_GIB = 1024**3
_LITTLE_SHARED_MEMORY = _GIB // 4
_LITTLE_TEMP = _GIB
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - it is looked at, nothing is written
_DOCKER_SOCKETS = ("/var/run/docker.sock", "~/.docker/run/docker.sock")


def inspect_machine() -> Iterator[Finding]:
    """Cores, memory, GPUs, Docker and the places that fchains writes to."""
    yield _cores_and_memory()
    yield _gpu()
    yield _docker()
    yield _temp()
    if _SHARED_MEMORY.is_dir():
        yield _shared_memory()


def _cores_and_memory() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _container_limit()
    text = f"{cores} cores, {memory / _GIB:.1f} GiB memory"
    if limit is not None and limit < memory:
        text += f", of which this container may use {limit / _GIB:.1f} GiB"
    return Finding("ok", "machine", text)


def _container_limit() -> int | None:
    """Bytes that the control group allows."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(file).read_text())
        except (OSError, ValueError):
            continue
    return None


def _gpu() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("ok", "gpu", "none: chainlets that ask for one run without it here")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        advice = "check the driver: run nvidia-smi"
        return Finding("warn", "gpu", f"nvidia-smi does not work: {error}", advice)
    gpus = [line.strip() for line in listed.stdout.splitlines() if line.strip()]
    return Finding("ok", "gpu", "; ".join(gpus) or "none")


def _docker() -> Finding:
    host = os.environ.get("DOCKER_HOST", "")
    sockets = [socket for socket in map(os.path.expanduser, _DOCKER_SOCKETS) if Path(socket).exists()]
    client = shutil.which("docker")
    if host or sockets:
        return Finding("ok", "docker", host or sockets[0])
    if client:
        return Finding("warn", "docker", f"{client} is there, but no daemon", "start Docker to use it here")
    return Finding(
        "warn", "docker", "not there", "install Docker to run chains in containers or build images"
    )


def _temp() -> Finding:
    advice = "make room, or set TMPDIR to another folder"
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"fchains")
    except OSError as error:
        return Finding("fail", "temp", f"cannot write temporary files: {error.strerror}", advice)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    text = f"{folder} is writable, {free / _GIB:.1f} GiB free"
    return Finding("warn", "temp", text, advice) if free < _LITTLE_TEMP else Finding("ok", "temp", text)


def _shared_memory() -> Finding:
    size = shutil.disk_usage(_SHARED_MEMORY).total
    text = f"{size / _GIB:.2f} GiB at {_SHARED_MEMORY}"
    if size >= _LITTLE_SHARED_MEMORY:
        return Finding("ok", "shared memory", text)
    return Finding("warn", "shared memory", text, "in a container, start it with --shm-size=1g")

"""What the tests of images share."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fchains.errors import DefinitionError
from fchains.packaging.image import Image

SLIM = Image.debian_slim(python="3.11")
PIP = "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install"
CACHE = "--mount=type=cache,target=/root/.cache/pip"


@dataclass
class Resource:
    """What `@setup` makes, as far as an image looks at it."""

    function: Callable[..., object]
    bound: Mapping[str, object] = field(default_factory=dict[str, object])


def weights(size: str = "small") -> str:
    return size


def imported(root: Path, module: str, name: str) -> Callable[..., object]:
    """A function of a module in the test's folder."""
    sys.path.insert(0, str(root))
    function: Callable[..., object] = getattr(importlib.import_module(module), name)
    return function


def lines_of(image: Image) -> list[str]:
    return image.dockerfile().splitlines()


def context_of(image: Image) -> dict[str, bytes]:
    return {file.name: file.read() for file in image.context()}


def message_of(make: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError, match=r"test_\w+\.py:\d+: ") as caught:
        make()
    return str(caught.value)


def full(root: Path) -> Image:
    """An image with every kind of step."""
    return (
        SLIM.add_local_file(root / "config.yaml", "/etc/app/")
        .run_setup(Resource(imported(root, "podcast", "whisper"), {"size": "tiny"}))
        .workdir("/app")
        .add_local_dir(root / "assets", "/assets", ignore=["*.tmp"])
        .uv_sync(root, groups=["serve"], extras=["gpu"])
        .pip_install("faster-whisper==1.1.0", extra_index_url="https://x.org/simple")
        .pip_install_from_requirements(root / "requirements.txt")
        .apt_install("ffmpeg", "libsndfile1=1.2.0-1")
        .env({"HF_HOME": "/cache"}, PATH="/opt/bin:$PATH")
        .run_commands("ffmpeg -version")
    )


FILES: dict[str, str | bytes] = {
    "podcast.py": "def whisper(size):\n    return size\n",
    "config.yaml": "a: 1\n",
    "assets/a.txt": "a",
    "assets/sub/b.bin": b"\0",
    "assets/c.tmp": "",
    "requirements.txt": "-r base.txt\nscipy\n",
    "base.txt": "numpy\n",
    "pyproject.toml": (
        '[project]\nname = "App"\nversion = "1.2.3"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'
        '[project.optional-dependencies]\ngpu = ["torch"]\n[dependency-groups]\nserve = ["idna"]\n'
        "[tool.ruff]\nline-length = 100\n"
    ),
    "uv.lock": (
        'version = 1\n\n[[package]]\nname = "app"\nversion = "1.2.3"\nsource = { virtual = "." }\n\n'
        '[[package]]\nname = "six"\nversion = "1.17.0"\nsource = { registry = "https://pypi.org/simple" }\n'
    ),
}

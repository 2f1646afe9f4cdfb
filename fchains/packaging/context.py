"""The files of an image's build context, and how local paths are found."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fchains.packaging.ignore import DEFAULT_EXCLUDES, compiled
from fchains.packaging.places import Place, fault
from fchains.packaging.project import find_root

IMAGE_VARIABLE = "FCHAINS_IMAGE"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file of the build context; times and owners have no part in it.

    Args:
        name: its name in the context, with forward slashes.
        source: where its bytes are, or the bytes.
        executable: whether it has mode 0755, else 0644.
    """

    name: str
    source: Path | bytes
    executable: bool = False

    def read(self) -> bytes:
        """The bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def digest(self) -> str:
        """SHA-256 of the bytes, in hex digits."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).hexdigest()
        with self.source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def context_file(name: str, path: Path) -> ContextFile:
    """A local file as part of the context; of its mode only the owner's right to execute counts."""
    return ContextFile(name, path, bool(path.stat().st_mode & 0o100))


def plain_name(name: str) -> str:
    """A file's name without characters that mean something in a Dockerfile."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def locate(local: str | os.PathLike[str], place: Place, subject: str) -> Path:
    """A local path: relative to the folder of the declaring file, then to its project root.

    Inside an image, where local files are not needed any more, nothing is looked for.

    Raises:
        DefinitionError: there is no such file or folder.
    """
    path = Path(local).expanduser()
    folder = place.folder
    bases = list(dict.fromkeys([folder, find_root(folder)])) if folder else [Path.cwd()]
    candidates = [base / path for base in bases]
    for candidate in candidates:
        if candidate.exists() or IMAGE_VARIABLE in os.environ:
            return candidate
    looked = ", nor ".join(str(candidate) for candidate in dict.fromkeys(candidates))
    hint = "write a path relative to this file's folder or the project root"
    raise fault(place, subject, f"there is no {looked}", hint)


def tree(folder: Path, place: Place, subject: str, ignore: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """The files below a folder with their names there, sorted; links are followed.

    Args:
        folder: the folder.
        place: the declaration that needs it.
        subject: the method that needs it.
        ignore: patterns in `.gitignore` syntax; version control and caches never count.

    Raises:
        DefinitionError: a link leads to a folder that holds it, or nowhere.
    """
    spec = compiled((*DEFAULT_EXCLUDES, *ignore))

    def walk(here: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
        real = here.resolve()
        if real in above:
            raise fault(place, subject, f"{here} links to a folder that holds it", "add it to ignore=[…]")
        for path in sorted(here.iterdir()):
            is_folder = path.is_dir()
            name = prefix + path.name
            if spec.match_file(name + "/" * is_folder):
                continue
            if is_folder:
                yield from walk(path, f"{name}/", (*above, real))
            elif path.is_file():
                yield name, path
            elif path.is_symlink():
                raise fault(
                    place, subject, f"{path} is a link to nowhere", "remove it, or add it to ignore=[…]"
                )

    yield from walk(folder, "", ())

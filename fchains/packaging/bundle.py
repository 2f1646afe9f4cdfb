"""The code of a chain as one archive whose digest depends on its content alone."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import cast

from fchains.errors import DefinitionError, SerializationError
from fchains.packaging.guard import check_shippable
from fchains.packaging.imports import import_closure
from fchains.packaging.modules import own_files
from fchains.packaging.project import Project
from fchains.packaging.snapshot import Snapshot

_FORMAT = "fchains bundle 1"
_MANIFEST = ".fchains-bundle.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows


@dataclass(frozen=True, eq=False)
class Bundle:
    """The source of a chain's first-party modules, and what `[tool.fchains] include` adds.

    Bundles of equal content are equal, wherever and whenever they were made.

    Args:
        files: content by name; names are relative to the project root, with forward slashes.
        paths: the folders for `sys.path`, by name; the root is the empty name.
        modules: name of the file of each module, by the module's dotted name.
    """

    files: Mapping[str, bytes] = field(repr=False)
    paths: tuple[str, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        for name in (*self.files, *filter(None, self.paths)):
            _check_name(name)
        for attribute in ("files", "modules"):
            ordered = dict(sorted(cast("Mapping[str, object]", getattr(self, attribute)).items()))
            object.__setattr__(self, attribute, MappingProxyType(ordered))
        object.__setattr__(self, "paths", tuple(sorted(self.paths)))

    @classmethod
    def of(cls, entries: Iterable[Path], project: Project | None = None) -> Bundle:
        """Pack the entry files, all first-party modules they import, and the included files.

        Args:
            entries: source files, shipped whatever the ignore files say; installed ones are left out.
            project: by default the project around the first entry.

        Raises:
            DefinitionError: a first-party import is missing, a file is too large or looks like a
                secret, or a file changed meanwhile.
        """
        files = own_files(entries)
        project = project or Project.around(files[0] if files else Path.cwd())
        included = project.included()
        snapshot = Snapshot()
        # Included Python files are imported in ways that the source does not show.
        closure = import_closure(
            [*files, *(path for path in included if path.suffix == ".py")], project, read=snapshot.read
        )
        if closure.problems:
            raise DefinitionError("\n".join(str(problem) for problem in closure.problems))
        shipped = {project.name_of(path): path for path in (*closure.modules.values(), *included)}
        for name, path in shipped.items():
            check_shippable(path, name)
        contents = {name: snapshot.read(path) for name, path in shipped.items()}
        snapshot.verify()
        paths = (_folder_name(project, folder) for folder in closure.folders)
        modules = {name: project.name_of(path) for name, path in closure.modules.items()}
        return cls(contents, tuple(paths), modules)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names and contents, in hex digits; compression has no part in it."""
        total = hashlib.sha256(json.dumps([_FORMAT, self.paths, dict(self.modules)]).encode())
        for name, content in self.files.items():
            total.update(json.dumps([name, hashlib.sha256(content).hexdigest()]).encode())
        return total.hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bundle) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_bytes(self) -> bytes:
        """The bundle as a ZIP archive with sorted names, no times and equal modes."""
        about = {"format": _FORMAT, "digest": self.digest, "paths": self.paths, "modules": dict(self.modules)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            _write(archive, _MANIFEST, json.dumps(about, sort_keys=True).encode())
            for name, content in self.files.items():
                _write(archive, name, content)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """The bundle that `to_bytes` wrote.

        Raises:
            SerializationError: the bytes are no bundle, are damaged, or name files outside of it.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = archive.namelist()
                files = {name: archive.read(name) for name in names}
            about = cast("dict[str, object]", json.loads(files.pop(_MANIFEST)))
            if about["format"] != _FORMAT:
                raise SerializationError(
                    f"the bundle has the format {about['format']!r}, this fchains reads {_FORMAT!r}"
                )
            paths, modules = cast("list[str]", about["paths"]), cast("dict[str, str]", about["modules"])
            bundle, digest = cls(files, tuple(paths), modules), about["digest"]
        except SerializationError:
            raise
        except Exception as error:  # zipfile, zlib and json raise a dozen classes for bad bytes
            raise SerializationError(
                f"these {len(data)} bytes are no bundle of fchains: {error!r}"
            ) from error
        if bundle.digest != digest or len(names) != len(files) + 1:
            raise SerializationError(f"the bundle is damaged: its digest is {bundle.digest}, not {digest}")
        return bundle

    def extract(self, folder: Path) -> Path:
        """Write the files below a folder, all of them or none.

        A folder that holds them already, written by another process perhaps, is left alone.

        Raises:
            SerializationError: the folder holds other files.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".fchains-", dir=folder.parent))
        try:
            self._write_below(made)
            made.chmod(0o755)
            with suppress(OSError):  # it is there: its content decides
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        if not self._is_in(folder):
            raise SerializationError(
                f"cannot extract the bundle to {folder}, which holds other files; give an empty folder"
            )
        return folder

    def _write_below(self, folder: Path) -> None:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _is_in(self, folder: Path) -> bool:
        if not folder.is_dir():
            return False
        return all(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in self.files.items()
        )


def _folder_name(project: Project, folder: Path) -> str:
    name = project.name_of(folder)
    return "" if name == "." else name


def _check_name(name: str) -> None:
    """Refuse a name that would be written outside of the bundle's folder, or not the same everywhere."""
    parts = name.split("/")
    is_plain = name.isprintable() and not {"", ".", ".."}.intersection(parts)
    if not is_plain or "\\" in name or ":" in name or name == _MANIFEST:
        raise SerializationError(f"a bundle cannot hold a file named {name!r}")


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.create_system = 3  # Unix, on every platform
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)

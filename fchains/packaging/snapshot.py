"""Reading files so that what was read is one state of the tree."""

from __future__ import annotations

from pathlib import Path

from fchains.packaging.places import Place, fault


class Snapshot:
    """Files read once each; `verify` at the end tells whether one changed since it was read."""

    def __init__(self) -> None:
        self._contents: dict[Path, bytes] = {}
        self._stamps: dict[Path, tuple[int, int, int]] = {}

    def read(self, path: Path) -> bytes:
        """The file's bytes, the same ones on every call."""
        if path not in self._contents:
            self._stamps[path] = _stamp(path)
            self._contents[path] = path.read_bytes()
        return self._contents[path]

    def verify(self) -> None:
        """Check that every file still is as it was read.

        Raises:
            DefinitionError: a file changed, or is gone.
        """
        for path, stamp in self._stamps.items():
            try:
                now = _stamp(path)
            except OSError:
                now = None
            if now != stamp:
                raise fault(
                    Place(str(path), 1),
                    "",
                    "this file changed while the code was being packed",
                    "start again when whatever writes it is done; see that nothing writes source files",
                )


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino

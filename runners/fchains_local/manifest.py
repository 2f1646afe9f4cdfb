"""What a shipment says in plain data, ahead of its pickles."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from fchains_local.naming import Name

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Module:
    """A module that workers import.

    Args:
        name: dotted name; of a script, its name as a module.
        file: absolute path of its source, "" where it has none.
    """

    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a chain is found again.

    Args:
        chain: its name.
        version: its version.
        environment: its environment.
        path: `sys.path`, absolute.
        argv0: `sys.argv[0]`.
        level: of the root logger.
        script: the script that ran as `__main__`, if the chain needs it.
        modules: in the order in which they are imported.
        chainlets: by name where a chainlet is found, None for those that are pickled.
    """

    chain: str
    version: str
    environment: str
    path: Sequence[str]
    argv0: str
    level: int
    script: Module | None
    modules: Sequence[Module]
    chainlets: Mapping[str, Name | None]

    def pack(self, pickled: bytes) -> bytes:
        """A shipment: this, and the pickles."""
        text = json.dumps(asdict(self)).encode()
        return _LENGTH.pack(len(text)) + text + pickled

    @classmethod
    def unpack(cls, shipment: bytes) -> tuple[Manifest, bytes]:
        """The manifest and the pickles of a shipment."""
        start = _LENGTH.size
        end = start + _LENGTH.unpack_from(shipment)[0]
        fields = json.loads(shipment[start:end])
        script = fields.pop("script")
        modules = [Module(**each) for each in fields.pop("modules")]
        chainlets = {name: found and Name(*found) for name, found in fields.pop("chainlets").items()}
        manifest = cls(
            **fields, script=Module(**script) if script else None, modules=modules, chainlets=chainlets
        )
        return manifest, shipment[end:]

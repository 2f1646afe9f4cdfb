"""Requirements files with all the files that they name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fchains.packaging.context import plain_name
from fchains.packaging.places import Place, fault

_REFERENCE = re.compile(r"^(\s*(?:-r|--requirement|-c|--constraint)[\s=]*)(\S+)(.*)$")
_LOCAL = re.compile(r"\s*(?:(?:-e|--editable)[\s=]*(?!\S*://)\S|\.{1,2}/|\.\s*$|file:|\S+\s*@\s*file:)")


def requirement_files(path: Path, place: Place) -> dict[str, bytes]:
    """The file and those that its `-r` and `-c` lines name, made to lie in one folder.

    Args:
        path: the requirements file; it keeps its name.
        place: the declaration that needs it.

    Raises:
        DefinitionError: one is missing, or asks for a local project.
    """
    names = {_key(path): plain_name(path.name)}
    contents: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        lines: list[str] = []
        for number, line in enumerate(_read(file, place).splitlines(), 1):
            reference = _REFERENCE.match(line)
            if _LOCAL.match(line):
                raise fault(
                    Place(str(file), number),
                    "pip_install_from_requirements",
                    f"{line.strip()!r} is a local project, which an image does not have",
                    "remove the line: your own code travels by itself; install others' by name or URL",
                )
            if reference and "://" not in reference[2]:
                named = file.parent / reference[2]
                if _key(named) not in names:
                    names[_key(named)] = f"{len(names)}-{plain_name(named.name)}"
                    waiting.append(named)
                lines.append(f"{reference[1]}{names[_key(named)]}{reference[3]}")
            else:
                lines.append(line)
        contents[names[_key(file)]] = "".join(f"{line}\n" for line in lines).encode()
    return contents


def _key(path: Path) -> str:
    return os.path.normpath(path)


def _read(file: Path, place: Place) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise fault(
            place, "pip_install_from_requirements", message, "correct the path or the file"
        ) from error

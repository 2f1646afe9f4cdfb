"""References to files, modules and the chainlets in them, as people type them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fchains.definition.problems import close_match, did_you_mean
from fchains.errors import FchainsError

_FORMS = "write file.py, file.py::name, package.module or package.module:name"


class UnknownReference(FchainsError, LookupError):
    """Raised when a reference leads to no file, module or chainlet.

    Args:
        message: what is wrong.
        hint: what to write instead.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n    {hint}" if hint else message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Reference:
    """A file or a module, and perhaps the name of a chainlet in it.

    Args:
        shown: the file or module as it was typed.
        file: the file; None when a module is meant.
        module: the module's dotted name; empty when a file is meant.
        name: the chainlet; empty when none is named.
    """

    shown: str
    file: Path | None
    module: str
    name: str

    def with_name(self, name: str) -> str:
        """The reference to a chainlet there."""
        return f"{self.shown}{'::' if self.file else ':'}{name}"


def parse_reference(text: str) -> Reference:
    """Tell files from modules, and find the file.

    Raises:
        UnknownReference: this is no reference, or there is no such file.
    """
    target, colons, name = text.partition("::")
    if not colons and ":" in text:
        target, colons, name = text.rpartition(":")
        if target.endswith(".py"):
            raise UnknownReference(f"{text!r} has one colon after a file", f"write {target}::{name}")
    if not target or (colons and not _is_name(name)):
        raise UnknownReference(f"{text!r} is no reference to a chainlet", _FORMS)
    if target.endswith(".py"):
        return Reference(target, _existing(Path(target)), "", name)
    _refuse_paths(target, f"::{name}" if name else "", whole=colons == "::")
    if colons == "::":
        raise UnknownReference(f"{text!r} has two colons after a module", f"write {target}:{name}")
    return Reference(target, None, target, name)


def _refuse_paths(target: str, rest: str, *, whole: bool) -> None:
    """Refuse what looks like a file or folder without being a Python file.

    Args:
        target: what is no `.py` file.
        rest: what follows it.
        whole: whether it was written as a file is, with two colons after it.
    """
    path, is_dotted = Path(target), _is_dotted(target)
    if path.is_dir() and not (is_dotted and (path / "__init__.py").is_file()):
        files = sorted(file.name for file in path.glob("*.py"))
        hint = f"name a file in it: {path / files[0]}" if files else "it holds no Python file; name one"
        raise UnknownReference(f"{target} is a folder", hint)
    if path.is_file():
        raise UnknownReference(f"{target} is no Python file", "name a file that ends in .py")
    if is_dotted and not whole:
        return
    hint = _meant(path, path.parent.glob("*.py"))
    if hint:
        raise UnknownReference(f"no such file: {target}", f"did you mean {hint}{rest}?")
    if not is_dotted:
        raise UnknownReference(f"{target} is neither a file nor the name of a module", _FORMS)


def unknown_module(name: str) -> UnknownReference:
    """The error for a module that is not there."""
    here = Path.cwd()
    parent, _, last = name.rpartition(".")
    folders = [base.joinpath(*parent.split(".")) if parent else base for base in (here, here / "src")]
    found = {
        path.stem for folder in folders for path in (*folder.glob("*.py"), *folder.glob("*/__init__.py"))
    }
    names = {path.parent.name for folder in folders for path in folder.glob("*/__init__.py")} | found
    file = here.joinpath(*name.split(".")).with_suffix(".py")
    meant = did_you_mean(last, sorted(names - {"__init__"}), quote="'")
    hint = f"did you mean the file {file.relative_to(here)}?" if file.is_file() else _FORMS
    return UnknownReference(f"there is no module {name!r}{meant}", hint)


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise UnknownReference(f"{path} is a folder", "name a Python file")
    if path.is_file():
        return path.parent.resolve() / path.name
    if not path.parent.is_dir():
        raise UnknownReference(f"no such file: {path}", f"there is no folder {path.parent}")
    meant = _meant(path, path.parent.glob("*.py")) or _meant(path, path.parent.glob("*/*.py"))
    raise UnknownReference(f"no such file: {path}", f"did you mean {meant}?" if meant else "")


def _meant(path: Path, files: Iterable[Path]) -> str:
    """The file that a path most likely means; empty where none is close."""
    by_name = {file.name: file for file in sorted(files)}
    wanted = path.name if path.suffix == ".py" else f"{path.name}.py"
    close = wanted if wanted in by_name else close_match(wanted, by_name)
    return str(by_name[close]) if close else ""


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _is_name(text: str) -> bool:
    """Whether a chainlet may have the name: like an identifier, with dashes."""
    return text.replace("-", "_").isidentifier()

"""An import that failed, told as problems with a place in the user's code."""

from __future__ import annotations

import linecache
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType

from fchains.definition.first_party import is_library
from fchains.definition.problems import Problem, close_match, did_you_mean
from fchains.errors import DefinitionError

# Packages whose name on the index is another than that of their module.
_DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
_LOCATED = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d+): (?P<message>[^\n]*)(\n(?P<hint>.*))?", re.DOTALL)
_CANNOT_IMPORT = re.compile(r"cannot import name '(\w+)'")


def faults_of(error: BaseException, file: Path) -> list[Problem]:
    """What to tell about an exception that importing a file raised.

    Args:
        error: what was raised.
        file: the file that was asked for, named where the traceback leads to no user code.
    """
    if isinstance(error, DefinitionError):
        return list(error.problems) or [_located(error)]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        source = f"`{error.text.strip()}`" if error.text and error.text.strip() else "this"
        return [Problem(f"{source} does not parse: {error.msg}", "", error.filename, error.lineno or 1)]
    frame, line = _last_user_frame(error)
    place = (frame.f_code.co_filename, line) if frame else (str(file), 1)
    return [Problem(*_message_and_hint(error, frame, place), *place)]


def _message_and_hint(
    error: BaseException, frame: FrameType | None, place: tuple[str, int]
) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_module(error.name, Path(place[0]), frame)
    source = linecache.getline(*place).strip() if frame else ""
    statement = f"`{source}`" if source else "importing this file"
    if isinstance(error, SystemExit):
        message = f"{statement} ends the program while the file is imported"
        return message, 'put what runs it as a program under `if __name__ == "__main__":`'
    text = str(error)
    message = f"{statement} raised {type(error).__name__}" + (f": {text}" if text else "")
    return message, _hint(error, text, frame)


def _hint(error: BaseException, text: str, frame: FrameType | None) -> str:
    wanted: str | None = None
    known: list[str] = []
    missing = _CANNOT_IMPORT.match(text)
    if isinstance(error, ImportError) and "circular import" in text:
        return "two modules import each other: import one inside the function that uses it"
    if isinstance(error, ImportError) and missing and error.name:
        wanted, known = missing[1], _names_in_module(error.name)
    elif isinstance(error, NameError) and frame:
        wanted, known = error.name, [*frame.f_globals, *frame.f_builtins]
    elif isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        wanted, known = error.name, list(vars(error.obj))
    meant = close_match(wanted, known) if wanted else None
    return f"did you mean {meant!r}?" if meant else ""


def _names_in_module(name: str) -> list[str]:
    module = sys.modules.get(name)
    return [key for key in vars(module) if not key.startswith("__")] if module else []


def _missing_module(name: str, file: Path, frame: FrameType | None) -> tuple[str, str]:
    from fchains.packaging.modules import ModuleFinder
    from fchains.packaging.project import Project

    finder = ModuleFinder(Project.around(file), [file] if file.is_file() else [])
    parent, _, last = name.rpartition(".")
    if parent and finder.find(parent):
        return f"{parent} has no module {last!r}{did_you_mean(last, finder.siblings(parent))}", ""
    package = frame.f_globals.get("__package__") if frame else None
    if package and (file.parent / f"{last}.py").is_file():
        message = f"there is no module {name!r} at the top of the project"
        return message, f"it lies beside this file: write `from {package} import {name}`"
    message = f"there is no module {name!r} here"
    meant = close_match(last, finder.siblings(parent))
    if meant:
        return message, f"did you mean {meant!r}?"
    top = name.partition(".")[0]
    around = next((f for f in file.parents if f.name == top and (f / "__init__.py").is_file()), None)
    if around:
        return message, f"add an empty pyproject.toml to {around.parent}: it marks the root of a project"
    return message, (
        f"install it with `pip install {_DISTRIBUTIONS.get(top, top)}`;"
        " if only the image has it, import it inside the function that uses it"
    )


def _last_user_frame(error: BaseException) -> tuple[FrameType | None, int]:
    """The innermost frame of the traceback that is the user's own, with its line."""
    found: tuple[FrameType | None, int] = (None, 0)
    for frame, line in _frames(error):
        file = frame.f_code.co_filename
        if not is_library(file) and Path(file).is_file():
            found = (frame, line)
    return found


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _located(error: DefinitionError) -> Problem:
    """The problem in an error of lower layers, whose text begins with the place."""
    match = _LOCATED.fullmatch(str(error))
    if match is None:
        return Problem(str(error))
    hint = textwrap.dedent(match["hint"] or "")
    return Problem(match["message"], hint, str(Path(match["file"]).absolute()), int(match["line"]))

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fchains.errors import DefinitionError, SerializationError
from fchains.packaging.references import ByMain, ByModule, ByValue, load_function, reference_of
from tests.packaging.conftest import Write

Run = Callable[[Path | None, str], ModuleType]


def doubled(number: int) -> int:
    return 2 * number


def passing_on(function: Callable[[int], int]) -> Callable[[int], int]:
    @functools.wraps(function)
    def wrapper(number: int) -> int:
        return function(number)

    return wrapper


@passing_on
def wrapped(number: int) -> int:
    return number


class Steps:
    @staticmethod
    def first(number: int) -> int:
        return number


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a source as `__main__`, as the file or as a cell of a notebook."""

    def run(path: Path | None, source: str) -> ModuleType:
        module = ModuleType("__main__")
        if path:
            module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "__main__", module)
        exec(compile(source, str(path or "/tmp/ipykernel_7/123.py"), "exec"), module.__dict__)
        return module

    return run


@pytest.mark.parametrize(
    ("function", "qualname"), [(doubled, "doubled"), (wrapped, "wrapped"), (Steps.first, "Steps.first")]
)
def test_a_function_of_a_module_travels_by_name(function: Callable[[int], int], qualname: str) -> None:
    reference = reference_of(function)

    assert reference == ByModule(__name__, qualname)
    assert load_function(reference) is function


def test_a_function_that_its_decorator_replaced_is_found_by_name() -> None:
    assert reference_of(wrapped.__wrapped__) == ByModule(__name__, "wrapped")  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    assert load_function(ByModule(__name__, "wrapped")) is wrapped


def test_builtins_travel_by_name() -> None:
    assert load_function(reference_of(len)) is len


def test_a_function_of_a_script_travels_with_the_source_of_the_script(write: Write, main: Run) -> None:
    source = "def f():\n    return __name__\nif __name__ == '__main__':\n    g = f\n"
    root = write({"pyproject.toml": "", "scripts/my-talk.py": source})
    script = main(root / "scripts/my-talk.py", source)
    reference = reference_of(script.f)

    assert reference == ByMain("scripts/my-talk.py", "my_talk", "f")
    function = load_function(reference, root)
    assert callable(function)
    assert function() == "my_talk"
    assert not hasattr(sys.modules["my_talk"], "g")


def test_a_script_is_looked_for_in_the_working_directory_unless_told(
    write: Write, main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({"talk_here.py": "def f(): ..."})
    monkeypatch.chdir(root)
    reference = reference_of(main(root / "talk_here.py", "def f(): ...").f)

    assert load_function(reference) is sys.modules["talk_here"].f


def test_a_function_of_the_main_part_travels_by_value(write: Write, main: Run) -> None:
    source = "if __name__ == '__main__':\n    def f():\n        return 3\n"
    path = write({"talk.py": source}) / "talk.py"

    assert isinstance(reference_of(main(path, source).f), ByValue)


def test_a_function_of_a_notebook_travels_by_value(main: Run) -> None:
    notebook = main(None, "factor = 3\ndef f(x):\n    return factor * x\n")
    reference = reference_of(notebook.f)

    assert isinstance(reference, ByValue)
    function = load_function(reference)
    assert callable(function)
    assert function(2) == 6
    assert function is not notebook.f


def test_a_function_typed_after_a_script_ran_travels_by_value(write: Write, main: Run) -> None:
    path = write({"talk.py": ""}) / "talk.py"
    script = main(path, "")
    exec(compile("def f(): ...", "<stdin>", "exec"), script.__dict__)

    assert isinstance(reference_of(script.f), ByValue)


def test_closures_and_lambdas_travel_by_value() -> None:
    factor = 3

    def times(number: int) -> int:
        return factor * number

    short: Callable[[int], int] = lambda number: factor * number  # noqa: E731
    for function in (times, short):
        loaded = load_function(reference_of(function))
        assert callable(loaded)
        assert loaded(2) == 6


def test_a_function_whose_name_leads_elsewhere_travels_by_value(main: Run) -> None:
    notebook = main(None, "def f():\n    return 1\nfirst = f\ndef f():\n    return 2\n")
    loaded = load_function(reference_of(notebook.first))

    assert callable(loaded)
    assert loaded() == 1


def test_a_partial_travels_by_value() -> None:
    loaded = load_function(reference_of(functools.partial(doubled, 4)))

    assert callable(loaded)
    assert loaded() == 8


def test_what_travels_by_value_says_which_modules_it_needs() -> None:
    import json as used

    reference = reference_of(lambda: (used.loads("1"), doubled))

    assert isinstance(reference, ByValue)
    assert {"json", __name__} <= set(reference.modules)
    assert "cloudpickle.cloudpickle" not in reference.modules


def test_a_module_made_by_hand_has_nothing_to_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("by_hand")
    monkeypatch.setitem(sys.modules, "by_hand", module)
    exec("def f(): ...", module.__dict__)

    with pytest.raises(DefinitionError, match="its module 'by_hand' was made by hand"):
        reference_of(module.f)


def test_another_python_is_refused_before_anything_is_loaded() -> None:
    reference = ByValue(b"cos\nsystem\n(S'exit 3'\ntR.", "3.99", "")

    with pytest.raises(SerializationError, match=r'from Python 3\.99, .* give the image python="3\.99"'):
        load_function(reference)


def test_damaged_bytes_are_refused_before_they_are_loaded() -> None:
    reference = reference_of(lambda: 1)
    assert isinstance(reference, ByValue)
    damaged = ByValue(reference.pickled + b"x", reference.python, reference.digest)

    with pytest.raises(SerializationError, match="the pickled function is damaged"):
        load_function(damaged)


def test_bytes_that_do_not_load_say_why() -> None:
    import hashlib

    data = b"cgone_module\nf\n."
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    with pytest.raises(SerializationError, match="does not load here: ModuleNotFoundError"):
        load_function(ByValue(data, python, hashlib.sha256(data).hexdigest()))


def test_a_name_that_the_module_lacks_here_is_explained() -> None:
    with pytest.raises(DefinitionError, match=r"has no 'gone\.f' here: it must define it whenever"):
        load_function(ByModule(__name__, "gone.f"))


def test_a_module_that_is_missing_here_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        load_function(ByModule("gone_module", "f"))


def test_a_lock_in_a_closure_is_named_before_anything_starts() -> None:
    guard = threading.Lock()

    def locked() -> None:
        with guard:
            pass

    with pytest.raises(DefinitionError) as caught:
        reference_of(locked)
    message = str(caught.value)
    assert f"test_references.py:{locked.__code__.co_firstlineno}: " in message
    assert "it uses `guard`, a _thread.lock, which does not survive the journey to a worker" in message
    assert "TypeError: cannot pickle '_thread.lock' object\n    make it in a @setup function" in message


def test_the_innermost_name_that_does_not_survive_is_the_one_named(main: Run) -> None:
    notebook = main(
        None,
        "import threading\nguard = threading.Lock()\nlock_count = 1\n"
        "def inner():\n    with guard: return outer\n"
        "def outer(x=1):\n    return [inner() for _ in range(2)]\n",
    )

    with pytest.raises(DefinitionError, match=r"it uses `guard`, a _thread\.lock"):
        reference_of(notebook.outer)


def test_a_default_that_does_not_survive_is_named_by_its_parameter(main: Run) -> None:
    notebook = main(None, "import threading\ndef f(a, guard=threading.Lock()): ...\n")

    with pytest.raises(DefinitionError, match="it uses `guard`"):
        reference_of(notebook.f)


def test_an_object_that_pickles_but_does_not_load_is_named(main: Run) -> None:
    source = (
        "class Bad(Exception):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
        "error = Bad(1, 2)\ndef f():\n    raise error\n"
    )

    with pytest.raises(DefinitionError, match=r"it uses `error`, a __main__\.Bad, which does not survive"):
        reference_of(main(None, source).f)


MODELS = """
from typing import Generic, TypeVar
from pydantic import BaseModel, RootModel, model_validator
T = TypeVar("T")
class Inner(BaseModel):
    v: int
class Plain(BaseModel):
    a: int
    inner: Inner
class Checked(BaseModel):
    a: int = 1
    @model_validator(mode="after")
    def check(self): return self
class Items(RootModel[list[int]]): ...
class Of(BaseModel, Generic[T]):
    x: T
class Outer(BaseModel):
    of: Of[int]
"""


@pytest.mark.parametrize("model", ["Plain(a=1, inner={'v': 2})", "Checked()", "Items([1])"])
def test_models_that_survive_travel(main: Run, model: str) -> None:
    notebook = main(None, f"{MODELS}\ndef f():\n    return {model}.model_dump()\n")
    loaded = load_function(reference_of(notebook.f))

    assert callable(loaded)
    assert loaded() == notebook.f()


def test_a_model_that_does_not_load_is_named(main: Run) -> None:
    notebook = main(
        None, f"from __future__ import annotations\n{MODELS}\ndef f(x: Plain, y: Inner): return Outer, x\n"
    )

    try:  # pydantic decides from release to release what survives
        assert isinstance(reference_of(notebook.f), ByValue)
    except DefinitionError as error:
        message = str(error)
    else:
        message = "does not survive the journey"
    assert "does not survive the journey" in message


def test_a_model_that_arrives_without_its_fields_is_an_error(
    main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = main(None, f"{MODELS}\ndef f():\n    return Plain\n")
    pickler = importlib.import_module("cloudpickle.cloudpickle")
    class_setstate: Callable[[type, object], type] = vars(pickler)["_class_setstate"]

    def forgetful(copy: type, state: object) -> type:
        """What pydantic 2.11.1 amounts to: the copy validates, and knows no fields."""
        made = class_setstate(copy, state)
        setattr(made, "__pydantic_validator__", Empty())  # noqa: B010
        return made

    monkeypatch.setattr(pickler, "_class_setstate", forgetful)

    with pytest.raises(
        DefinitionError, match=r"`Plain`, the class Plain, which .* a worker: the model Plain loses fields"
    ):
        reference_of(notebook.f)


class Empty:
    def validate_python(self, value: object) -> "Empty":
        del value
        return self

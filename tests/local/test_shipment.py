from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from fchains import (
    DefinitionError,
    Image,
    SerializationError,
    SetupError,
    Volume,
    batched,
    chainlet,
    setup,
    use,
)
from fchains.calls.runner import Chain
from fchains.definition.spec import Definition
from fchains_local.manifest import Manifest
from fchains_local.shipment import load, pack
from tests.local import steps
from tests.local.far import ROOT, chain_of, run_far


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what a worker changes in its process."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    level = logging.getLogger().level
    before = set(sys.modules)
    yield
    logging.getLogger().setLevel(level)
    for name in set(sys.modules) - before:
        if "pytest-" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def there_and_back(chain: Chain) -> Chain:
    return load(pack(chain))


def definition(value: Any) -> Definition:
    found: Definition = value.definition
    return found


def closure_of(loaded: Definition) -> dict[str, Any]:
    function = loaded.function
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


@pytest.mark.parametrize("made", [steps.double, steps.labelled, steps.quadruple])
def test_chainlets_of_a_module_are_found_in_it(made: Any) -> None:
    chain = chain_of(made)
    loaded = there_and_back(chain)

    assert loaded.definitions == chain.definitions
    assert (loaded.name, loaded.version, loaded.environment) == (chain.name, "1", "local")


def test_nothing_of_a_module_is_pickled() -> None:
    _, pickled = Manifest.unpack(pack(chain_of(steps.quadruple)))

    assert pickled == b""


def test_what_a_factory_made_is_found_in_the_module_that_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "keeping_steps.py").write_text("from tests.local.steps import adding\nplus = adding(7)\n")
    sys.path.insert(0, str(tmp_path))
    keeping = __import__("keeping_steps")

    assert there_and_back(chain_of(keeping.plus)).definitions == {"adding_7": keeping.plus.definition}


def test_the_process_becomes_like_the_one_that_sent_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "", "some/folder"])
    monkeypatch.setattr(sys, "argv", ["talk.py", "--loud"])
    logging.getLogger().setLevel(logging.ERROR)
    shipment = pack(chain_of(steps.double))
    sys.argv[:] = ["other"]
    logging.getLogger().setLevel(logging.INFO)
    load(shipment)

    assert sys.argv == ["talk.py"]
    assert logging.getLogger().level == logging.ERROR
    assert sys.path[-2:] == [str(Path.cwd()), str(Path.cwd() / "some/folder")]


def test_functions_that_travel_by_value_hold_the_chainlets_of_the_chain() -> None:
    @chainlet
    async def inner(x: int) -> int:
        return await outer.remote(x) if x else await steps.double.remote(x)

    patient = inner.options(timeout=5)

    @chainlet
    async def outer(x: int) -> int:
        return await inner.remote(x) + await patient.remote(x)

    loaded = there_and_back(chain_of(outer)).definitions

    assert set(loaded) == {"outer", "inner", "double"}
    assert loaded["double"] is steps.double.definition
    assert loaded["outer"].function is not outer.definition.function
    held = closure_of(loaded["outer"])
    assert held["inner"].definition is held["patient"].definition is loaded["inner"]
    assert vars(held["patient"])["_settings"] == vars(patient)["_settings"]
    assert held["inner"].__name__ == "inner"
    assert closure_of(loaded["inner"])["outer"].definition is loaded["outer"]


def test_a_chainlet_that_calls_itself_travels_by_value() -> None:
    @chainlet
    async def factorial(n: int) -> int:
        return n * await factorial.remote(n - 1) if n else 1

    loaded = there_and_back(chain_of(factorial)).definitions["factorial"]

    assert closure_of(loaded)["factorial"].definition is loaded


def test_a_variant_made_inside_a_function_has_the_function_of_its_module() -> None:
    fast = steps.labelled.variant(name="fast", resources={"label": steps.client})
    loaded = there_and_back(chain_of(fast)).definitions["fast"]

    assert loaded is not fast.definition
    assert loaded.function is steps.labelled.definition.function
    assert loaded.signature.injected["label"] is steps.client


def test_a_definition_by_value_keeps_its_options_and_resolves_its_types_anew() -> None:
    class Word(BaseModel):
        text: str

    lock = threading.Lock()  # a neighbour that no annotation names

    def healthy() -> bool:
        return True

    @chainlet(
        image=Image.debian_slim().pip_install("numpy").run_setup(steps.model),
        volumes={"/cache": Volume("cache")},
        env={"A": "b"},
        health=healthy,
        retries=2,
        concurrency=3,
        gpu="L4",
    )
    def spell(word: Word) -> list[Word]:
        return [Word(text=letter) for letter in word.text]

    assert spell.definition.types is not None
    assert "lock" in spell.definition.enclosing
    assert lock is spell.definition.enclosing["lock"]
    loaded = there_and_back(chain_of(spell)).definitions["spell"]

    assert "types" not in vars(loaded)
    assert set(loaded.enclosing) == {"Word"}
    assert loaded.options.image == spell.definition.options.image
    assert loaded.options.gpu == spell.definition.options.gpu
    assert loaded.options.health is not None
    assert loaded.options.health()
    payload = spell.definition.types.arguments.encode({"word": Word(text="hi")})
    result = loaded.function(**loaded.types.arguments.decode(payload))
    assert [letter.text for letter in result] == ["h", "i"]


def test_an_override_names_the_resource_that_the_function_uses() -> None:
    @setup
    def local(size: int = 1) -> int:
        return size

    @chainlet
    def local_use(*, a: int = use(local), b: int = use(local.bind(size=2)), c: str = use(steps.model)) -> int:
        return a + b + len(c)

    overrides = {local: 10, local.bind(size=2): 20, steps.model: "x", steps.model.bind(size="small"): "y"}
    loaded = there_and_back(chain_of(local_use, resource_overrides=overrides))
    injected = loaded.definitions["local_use"].signature.injected
    default = (loaded.definitions["local_use"].function.__kwdefaults__ or {})["a"]

    assert injected["a"] is default.resource
    assert next(iter(loaded.resource_overrides)) is injected["a"]
    assert [loaded.resource_overrides[injected[name]] for name in "abc"] == [10, 20, "x"]
    small = steps.labelled.definition.signature.injected["label"]
    assert loaded.resource_overrides[small] == "y"


def test_an_override_travels_with_chainlets_that_are_found() -> None:
    chain = chain_of(steps.labelled, resource_overrides={steps.model.bind(size="small"): ["fake"]})
    loaded = there_and_back(chain)

    assert loaded.definitions == chain.definitions
    assert loaded.resource_overrides[loaded.definitions["labelled"].signature.injected["label"]] == ["fake"]


def test_a_value_that_cannot_travel_names_its_resource() -> None:
    chain = chain_of(steps.labelled, resource_overrides={steps.model: threading.Lock()})

    with pytest.raises(SerializationError) as caught:
        pack(chain)
    assert str(caught.value).startswith(
        f"{os.path.relpath(steps.__file__)}:{steps.model.line}: model: what override() puts in its place,"
        " a _thread.lock, does not survive the journey to a worker: TypeError: cannot pickle"
    )
    assert "f.override(fake)" in str(caught.value)


def test_code_that_cannot_travel_is_named_with_its_place() -> None:
    lock = threading.Lock()

    @setup
    def guarded() -> bool:
        return lock.locked()

    @chainlet
    def inner(x: int, *, free: bool = use(guarded)) -> int:
        return x

    @chainlet
    async def outer(x: int) -> int:
        return await inner.remote(x)

    with pytest.raises(DefinitionError) as caught:
        pack(chain_of(outer))
    place = f"{os.path.relpath(__file__)}:{outer.definition.line}"
    assert str(caught.value).startswith(
        f"{place}: outer: it uses `lock`, a _thread.lock, which does not survive the journey to a worker: "
    )
    assert "make it in a @setup function and inject it with use()" in str(caught.value)
    assert isinstance(caught.value.__cause__, TypeError)


def test_what_only_an_annotation_names_is_told_too() -> None:
    class Word(BaseModel):
        lock: ClassVar[Any] = threading.Lock()

    @chainlet
    def spell(word: Word) -> int:
        return 1

    with pytest.raises(DefinitionError, match=r"spell: it uses `Word`, the class .*Word, which does not"):
        pack(chain_of(spell))


def test_batches_and_streams_travel_by_value() -> None:
    @chainlet(concurrency=1)
    @batched(max_size=3, max_wait=0.5)
    def lengths(words: list[str]) -> list[int]:
        return [len(word) for word in words]

    @chainlet
    def letters(word: str) -> Iterator[str]:
        yield from word

    loaded = there_and_back(chain_of(lengths)).definitions["lengths"]
    assert loaded.batch == lengths.definition.batch
    assert loaded.function(["a", "bc"]) == [1, 2]
    streamed = there_and_back(chain_of(letters)).definitions["letters"]
    assert streamed.kind == "stream"
    assert list(streamed.function("ab")) == ["a", "b"]


def test_a_fake_stays_and_what_it_stands_for_travels() -> None:
    def fake(x: int) -> int:
        return threading.get_native_id() + x

    faked = steps.made(fake, name="double").definition
    loaded = there_and_back(chain_of(steps.double, fakes={"double": faked}))

    assert loaded.definitions["double"] is steps.double.definition
    assert loaded.fakes == {}


def test_a_module_made_by_hand_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    exec("from fchains import chainlet\n@chainlet\ndef f(x: int) -> int:\n    return x\n", module.__dict__)

    with pytest.raises(DefinitionError, match=r"f: its module 'made_by_hand' was made by hand"):
        pack(chain_of(module.__dict__["f"]))


SOURCE = "from fchains import chainlet\n@chainlet\ndef f(x: int) -> int:\n    return x\n"


@pytest.fixture
def travelling(tmp_path: Path) -> bytes:
    """The shipment of a module that this process has forgotten."""
    (tmp_path / "travelling_steps.py").write_text(SOURCE)
    sys.path.insert(0, str(tmp_path))
    shipment = pack(chain_of(__import__("travelling_steps").f))
    del sys.modules["travelling_steps"]
    return shipment


def test_a_module_that_fails_in_a_worker_is_named_with_its_error(travelling: bytes, tmp_path: Path) -> None:
    (tmp_path / "travelling_steps.py").write_text("import os\n\n1 / 0\n")

    with pytest.raises(SetupError) as caught:
        load(travelling)
    assert str(caught.value) == (
        "a worker cannot import 'travelling_steps': ZeroDivisionError: division by zero"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the module 'travelling_steps' has no 'f' in a worker: it must define it whenever"),
        ("f = 3", "the module 'travelling_steps' has no 'f' in a worker: "),
        (SOURCE.replace("@chainlet", "@chainlet(name='g')"), "for which the chain has the chainlet 'f'"),
    ],
)
def test_a_name_that_a_module_lacks_in_a_worker_is_told(
    travelling: bytes, tmp_path: Path, source: str, message: str
) -> None:
    (tmp_path / "travelling_steps.py").write_text(source)

    with pytest.raises(DefinitionError, match=message):
        load(travelling)


def test_a_module_that_exits_is_told(travelling: bytes, tmp_path: Path) -> None:
    (tmp_path / "travelling_steps.py").write_text("raise SystemExit(3)")

    with pytest.raises(SetupError, match="cannot import 'travelling_steps': SystemExit: 3"):
        load(travelling)


def test_another_module_of_the_same_name_is_refused(travelling: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "travelling_steps.py").write_text(SOURCE)
    with pytest.raises(SetupError, match=r"it is .*other/travelling_steps.py here, and .*_steps.py in the"):
        load(_at(travelling, other))


def _at(shipment: bytes, folder: Path) -> bytes:
    """The shipment with another folder first on its path."""
    manifest, pickled = Manifest.unpack(shipment)
    return replace(manifest, path=[str(folder), *manifest.path[1:]]).pack(pickled)


def test_a_module_that_is_not_on_the_path_is_loaded_from_its_file(travelling: bytes, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    loaded = load(_at(travelling, empty))

    assert loaded.definitions["f"] is sys.modules["travelling_steps"].f.definition


SCRIPT = """
from __future__ import annotations
import asyncio, os, sys
from dataclasses import dataclass
from pydantic import BaseModel
from fchains import chainlet, setup, use
from tests.local.far import chain_of, run_far
from fchains_local.shipment import load, pack

class Word(BaseModel):
    text: str

class Loud(Word):
    volume: int = 11

class Unspeakable(Exception):
    def __init__(self, word: Word, times: int) -> None:
        super().__init__(f"cannot say {word.text}")
        self.word, self.times = word, times

@setup
def voice(pitch: int = 1) -> str:
    return "voice"

@chainlet
def say(word: Word, times: int = 1) -> list[Word]:
    if times > 3:
        raise Unspeakable(word, times)
    return [word] * times

twice = say.variant(name="twice")

if __name__ == "__main__":
    class Late(Word):
        pass

    @chainlet
    async def late(word: Word) -> tuple[str, Word, bool]:
        late_word = Late(text=word.text)
        same = type(word) is Loud and say.definition.function.__globals__["Loud"] is Loud
        return Loud.__module__, late_word if word.text == "late" else Loud(text=f"{len(say(word, 2))}"), same

    @chainlet
    def never() -> int:
        raise Unspeakable(Late(text="late"), 0)

    said = run_far(say, Loud(text="hey"), 2)
    assert [type(word) for word in said] == [Loud, Loud], said
    try:
        run_far(say, Loud(text="hush"), 4)
    except Unspeakable as error:
        assert (error.word, error.times, str(error)) == (Loud(text="hush"), 4, "cannot say hush")
    else:
        raise AssertionError
    assert run_far(twice, Word(text="oh")) == [Word(text="oh")]
    module, word, same = run_far(late, Loud(text="hm"))
    assert (module, word, type(word), same) == (sys.argv[1], Loud(text="2"), Loud, True)
    try:
        run_far(never)
    except Unspeakable as error:
        assert error.times == 0
    else:
        raise AssertionError
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("start", "module"), [(["my-talk.py"], "my_talk"), (["-m", "pkg.talk"], "pkg.talk")])
def test_classes_of_a_script_are_the_same_on_both_sides(
    tmp_path: Path, start: list[str], module: str
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/talk.py").write_text(SCRIPT)
    (tmp_path / "my-talk.py").write_text(SCRIPT)
    run(tmp_path, *start, module)


NOTEBOOK = """
from pydantic import BaseModel
from fchains import chainlet
from tests.local.far import run_far

class Word(BaseModel):
    text: str

class Unspeakable(Exception):
    pass

count = {"calls": 0}

def repeated(word, times):
    count["calls"] += 1
    return [word] * times

@chainlet
def say(word: Word, times: int) -> list[Word]:
    if times > 3:
        raise Unspeakable(word.text)
    return repeated(word, times)

said = run_far(say, Word(text="hey"), 2)
assert [type(word) for word in said] == [Word, Word], said
try:
    run_far(say, Word(text="hush"), 4)
except Unspeakable as error:
    assert error.args == ("hush",)
else:
    raise AssertionError
print("done")
"""


@pytest.mark.slow
def test_classes_of_a_notebook_are_the_same_on_both_sides(tmp_path: Path) -> None:
    run(tmp_path, "-c", NOTEBOOK)


@pytest.mark.slow
def test_a_function_inside_a_test_runs_in_another_process() -> None:
    factor = 3

    class Pair(BaseModel):
        left: int
        right: int = 1

    @chainlet
    def scaled(pair: Pair) -> Pair:
        return Pair(left=factor * pair.left, right=steps.double(pair.right))

    assert run_far(scaled, Pair(left=2)) == Pair(left=6, right=2)


def run(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'runners'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "done\n"

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import pytest

import fchains
from fchains import Cron, chainlet, secret, setup, use
from fchains.definition.checks import check_graph, check_imports
from fchains.definition.graph import CallGraph
from fchains.definition.handle import AnyChainlet
from fchains.definition.loading import load
from fchains.definition.problems import Problem

Check = Callable[[str], list[Problem]]
IMPORTS = """
from __future__ import annotations
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from fchains import Cron, batched, chainlet, setup, use
class Model: ...
class Tokenizer: ...
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Declarations that no type checker would pass: the problems of a source text."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(source: str) -> list[Problem]:
        file = tmp_path / "declared.py"
        file.write_text(IMPORTS + source)
        monkeypatch.delitem(sys.modules, "declared", raising=False)
        found = load(str(file))
        assert found.problems == []
        return check_graph(found.graph)

    return run


def problems(*chainlets: AnyChainlet) -> list[Problem]:
    return check_graph(CallGraph.of([chainlet.definition for chainlet in chainlets]))


def problem(*chainlets: AnyChainlet) -> Problem:
    (found,) = problems(*chainlets)
    return found


class Model:
    pass


class LargeModel(Model):
    pass


class Tokenizer:
    pass


@setup
def model() -> Model:
    return Model()


@setup
def sized(size: str, layers: int, seed: int = 0) -> Model:
    return Model()


partly = sized.bind(size="s")
wholly = sized.bind(size="s", layers=2)


@chainlet
def sound(x: int, *, model: Model = use(model)) -> int:
    return x


def test_a_sound_chainlet_has_no_problem() -> None:
    assert problems(sound) == []


def test_all_problems_with_types_are_told_at_the_function(check: Check) -> None:
    found = check("""
@chainlet
def wrong(a, b: Missing, c: int = "x"):
    return a
""")

    assert [(Path(p.file).name, p.line, p.subject) for p in found] == [("declared.py", 10, "wrong")] * 4
    assert [p.message.split(",")[0] for p in found] == [
        "`a` has no annotation",
        "the annotation of `b`",
        "the result has no annotation",
        "the default of `c`",
    ]


def test_problems_of_called_chainlets_are_told_too() -> None:
    @chainlet
    def wrong(x: ModuleType) -> int:
        return 1

    @chainlet
    def caller() -> int:
        return wrong.remote(sys).result()

    assert problem(caller).subject == "wrong"


def test_an_unbound_parameter_of_a_resource_is_told_where_it_is_used() -> None:
    @chainlet
    def caller(*, model: Model = use(partly)) -> int:
        return 1

    found = problem(caller)

    assert "`model` is use(sized(size='s')), which does not say what layers is" in found.message
    assert "use(sized.bind(layers=…))" in found.hint
    assert (found.line, found.subject) == (caller.definition.line, "caller")


def test_a_bound_resource_is_complete() -> None:
    @chainlet
    def caller(*, model: Model = use(wholly)) -> int:
        return 1

    assert problems(caller) == []


def test_an_unbound_parameter_inside_a_resource_is_told_there() -> None:
    @setup
    def outer(inner: Model = use(sized)) -> Model:
        return inner

    @chainlet
    def caller(*, model: Model = use(outer)) -> int:
        return 1

    found = problem(caller)

    assert (found.subject, found.line) == ("outer", outer.line)
    assert "bind(size=…, layers=…)" in found.hint


def injecting(annotation: object, returns: object) -> AnyChainlet:
    def make() -> Any:
        return None

    make.__annotations__["return"] = returns
    resource = setup(make)

    def caller(*, it: Any = use(resource)) -> int:
        return 1

    caller.__annotations__["it"] = annotation
    return chainlet(caller)


class HasName(Protocol):
    name: str


@pytest.mark.parametrize(
    ("annotation", "returns"),
    [
        (Model, Model),
        (Model, LargeModel),
        (LargeModel, Model),
        (object, Model),
        (Any, Model),
        (Model, Any),
        (HasName, Model),
        (Model | None, Tokenizer),
        (float, int),
        (list[int], list[str]),
        (Callable[..., int], type(len)),
        (Literal["a"], str),
        ("NotImportable", Model),
        (Model, "NotImportable"),
    ],
)
def test_injected_annotations_that_may_fit_are_fine(annotation: object, returns: object) -> None:
    assert problems(injecting(annotation, returns)) == []


@pytest.mark.parametrize(
    ("annotation", "returns", "made"),
    [
        (Model, Tokenizer, "Tokenizer"),
        (Model, None, "NoneType"),
        (list[int], dict[str, int], "dict"),
        (str, int, "int"),
    ],
)
def test_an_injected_annotation_of_another_class_is_a_problem(
    annotation: object, returns: object, made: str
) -> None:
    found = problem(injecting(annotation, returns))

    assert f"make makes {made}" in found.message
    assert f"write `it: {made}`" in found.hint


def test_an_annotation_for_type_checkers_only_is_fine_where_it_is_injected(check: Check) -> None:
    assert (
        check("""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from weights_of_the_image import ImageModel
@setup
def loaded() -> ImageModel: ...
@chainlet
def caller(*, model: ImageModel = use(loaded)) -> int: ...
""")
        == []
    )


def test_the_value_of_a_generator_is_what_is_compared(check: Check) -> None:
    found = check("""
@setup
def opened() -> Iterator[Model]:
    yield Model()
@setup
async def connected() -> AsyncIterator[Tokenizer]:
    yield Tokenizer()
@chainlet
def fits(*, model: Model = use(opened), tokenizer: Tokenizer = use(connected)) -> int: ...
@chainlet
def swapped(*, model: Model = use(connected)) -> int: ...
""")

    assert [p.message for p in found] == ["`model` is annotated Model, but connected makes Tokenizer"]
    assert found[0].subject == "swapped"


def using(function: Callable[..., Any]) -> AnyChainlet:
    resource = setup(function)

    @chainlet
    def caller(*, it: Any = use(resource)) -> int:
        return 1

    return caller


def test_a_setup_must_say_whether_it_yields(check: Check) -> None:
    found = check("""
@setup
def plain() -> Model:
    yield Model()
@setup
async def wrong_kind() -> Iterator[Model]:
    yield Model()
@setup
def without_yield() -> Iterator[Model]:
    return iter([Model()])
@setup
@contextmanager
def managed() -> Iterator[Model]:
    yield Model()
@chainlet
def caller(
    a: Model = use(plain), b: Model = use(wrong_kind), c: Model = use(without_yield), d: Model = use(managed)
) -> int: ...
""")

    assert [(p.subject, p.hint.rpartition("write ")[2]) for p in found] == [
        ("plain", "`-> Iterator[Model]`"),
        ("wrong_kind", "`-> AsyncIterator[Model]`"),
        ("without_yield", "`-> Model`"),
        ("managed", "`-> Model`"),
    ]


def test_a_setup_may_be_any_kind_of_generator() -> None:
    def generator() -> Generator[Model, None, None]:
        yield Model()

    async def asynchronous() -> AsyncIterator[Model]:
        yield Model()

    async def later() -> Iterator[Model]:
        return iter([Model()])

    assert [problems(using(make)) for make in (generator, asynchronous, later)] == [[], [], []]


def test_resources_in_a_ring_are_a_problem() -> None:
    def second(it: int = 0) -> int:
        return it

    @setup
    def first(it: int = use(setup(second))) -> int:
        return it

    second.__defaults__ = (use(first),)

    assert "second -> first -> second" in problem(using(second)).message


def test_chainlets_of_a_group_agree() -> None:
    @chainlet(group="g", gpu="L4", memory="4GiB", cpu=2)
    def first(x: int) -> int:
        return x

    @chainlet(group="g", gpu="L4", memory="4GiB", cpu=2.0)
    def second(x: int) -> int:
        return x

    @chainlet(group="g", gpu="A10G", replicas=(0, 2))
    def third(x: int) -> int:
        return x

    found = problems(first, second, third)

    assert {(p.subject, p.line) for p in found} == {("third", third.definition.line)}
    assert [p.message.split(",")[0] for p in found] == [
        "its gpu is A10G",
        "its cpu is 1",
        "its memory is 2GiB",
        "its replicas is (0",
    ]
    assert f"first ({Path(__file__).relative_to(Path.cwd())}:{first.definition.line})" in found[0].message
    assert "has L4" in found[0].message


def test_two_chainlets_of_one_name_are_a_problem_with_both_places() -> None:
    @chainlet(name="sound")
    def other(x: int) -> int:
        return x

    found = problem(sound, other)

    assert found.line == other.definition.line
    assert f"test_checks.py:{sound.definition.line}" in found.message
    assert "name=" in found.hint


def test_chainlets_from_a_factory_need_names() -> None:
    def make(factor: int) -> AnyChainlet:
        @chainlet
        def scaled(x: int) -> int:
            return x * factor

        return scaled

    assert "variant" in problem(make(1), make(2)).hint


def test_several_marked_entrypoints_are_a_problem() -> None:
    @chainlet(entrypoint=True)
    def first() -> int:
        return 1

    @chainlet(entrypoint=True)
    def second() -> int:
        return 1

    assert problem(first, second).subject == "second"
    assert problems(sound, second) == []


def test_a_chain_without_a_mark_is_no_problem_of_the_graph() -> None:
    @chainlet
    def other() -> int:
        return 1

    assert problems(sound, other) == []


def test_a_scheduled_chainlet_needs_no_arguments() -> None:
    @chainlet(schedule=Cron("@daily"))
    def nightly(day: str, *, retries: int = 3, model: Model = use(model)) -> int:
        return 1

    @chainlet(schedule=Cron("@daily"))
    def hourly(day: str = "") -> int:
        return 1

    assert "nobody is there to pass `day`" in problem(nightly).message
    assert problems(hourly) == []


def test_a_batched_chainlet_takes_lists(check: Check) -> None:
    found = check("""
@chainlet
@batched(max_size=2, max_wait=0)
def nothing() -> list[int]: ...
@chainlet
@batched(max_size=2, max_wait=0)
def stream(x: AsyncIterator[int]) -> list[int]: ...
""")

    assert [p.message for p in found] == [
        "it is batched but takes nothing",
        "`x` of a batched function is a stream",
    ]


def test_a_health_check_returns_bool(check: Check) -> None:
    found = check("""
@setup
def model() -> Model: ...
def unannotated(model: Model = use(model)): ...
def counting() -> int: ...
def yielding() -> Iterator[bool]:
    yield True
async def sound(model: Model = use(model)) -> bool: ...
def wrong_model(model: Tokenizer = use(model)) -> bool: ...
@chainlet
def caller() -> int: ...
for health in (unannotated, counting, yielding, sound, wrong_model, lambda: True):
    name = health.__name__.strip("<>")
    globals()[f"checked_{name}"] = caller.variant(name=name, health=health)
""")

    assert [(p.subject, p.message) for p in found] == [
        ("unannotated", "a health check's result has no annotation"),
        ("counting", "a health check returns int, not bool"),
        ("yielding", "a health check returns Iterator[bool], not bool"),
        ("wrong_model", "`model` is annotated Tokenizer, but model makes Model"),
    ]


def reads_token() -> str:
    return secret("DB_TOKEN")


class Settings:
    def token(self) -> str:
        return secret("OF_A_CLASS")


def test_a_secret_that_is_not_declared_is_told_where_it_is_read() -> None:
    @setup
    def client() -> str:
        return fchains.secret(name="CLIENT_KEY")

    @chainlet(secrets=["DB_TOKENS"])
    def caller(*, client: str = use(client)) -> str:
        from fchains import secret as read

        return read("HF_TOKEN") + reads_token() + secret(client)

    found = {p.message: p for p in problems(caller)}

    assert list(found) == [
        "its code reads the secret 'DB_TOKEN', which it does not declare",
        "its code reads the secret 'CLIENT_KEY', which it does not declare",
        "its code reads the secret 'HF_TOKEN', which it does not declare",
    ]
    token = next(iter(found.values()))
    assert (token.line, token.subject) == (reads_token.__code__.co_firstlineno + 1, "caller")
    assert 'secrets=["DB_TOKENS", "DB_TOKEN"]' in token.hint
    assert "did you mean 'DB_TOKENS'?" in token.hint


def test_declared_secrets_and_those_that_may_not_be_read_are_fine() -> None:
    @chainlet(secrets=["DB_TOKEN"])
    def caller() -> str:
        return reads_token() + str(Settings)

    assert problems(caller) == []


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_first_party_imports_that_are_missing_are_told_at_the_import(tmp_path: Path) -> None:
    source = """
from fchains import chainlet
import checks_sibling

@chainlet
def imports_later(x: int) -> int:
    from checks_sibling import missing
    import checks_siblink
    return x
"""
    write(tmp_path, checks_app=source, checks_sibling="present = 1\n")

    (found,) = check_imports(load(str(tmp_path / "checks_app.py")).graph)

    assert (found.file, found.line) == (str(tmp_path / "checks_app.py"), 8)
    assert "did you mean 'checks_sibling'?" in found.hint


def test_a_script_that_its_modules_import_again_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = "from fchains import chainlet\n\n@chainlet\ndef doubled(x: int) -> int:\n    return x\n"
    write(tmp_path, checks_twice=app)
    first = load(str(tmp_path / "checks_twice.py")).graph.roots[0]
    monkeypatch.delitem(sys.modules, "checks_twice")
    second = load(str(tmp_path / "checks_twice.py")).graph.roots[0]
    first.function.__module__ = "__main__"

    (found,) = check_graph(CallGraph.of([first, second]))

    assert "is loaded twice, as `__main__` and as `checks_twice`" in found.message
    assert "a module of its own" in found.hint

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

from fchains import chainlet, setup, use
from fchains.definition.graph import CallGraph, entrypoint
from fchains.definition.handle import AnyChainlet
from fchains.definition.spec import Definition
from tests.definition.apps import steps
from tests.definition.apps.steps import embed as renamed
from tests.definition.apps.steps import helper


def graph(*chainlets: AnyChainlet) -> CallGraph:
    return CallGraph.of([chainlet.definition for chainlet in chainlets])


def callees(chainlet: AnyChainlet) -> tuple[str, ...]:
    return graph(chainlet).edges[chainlet.definition.name]


@chainlet
def one(x: int) -> int:
    return x


@chainlet
def two(x: int) -> int:
    return x


@chainlet
def three(x: int) -> int:
    return x


def test_a_global_that_the_code_names_is_a_callee() -> None:
    @chainlet
    def caller() -> int:
        return one.remote(1).result()

    assert callees(caller) == ("one",)


def test_a_chainlet_that_names_no_other_calls_none() -> None:
    assert callees(one) == ()


def test_callees_stand_in_the_order_of_the_code() -> None:
    @chainlet
    async def caller() -> int:
        return await two.remote(1) + await one.remote(1) + await two.remote(2)

    assert callees(caller) == ("two", "one")


def test_a_name_under_which_a_chainlet_was_imported_leads_to_it() -> None:
    @chainlet
    def caller() -> int:
        return renamed.remote("a").result()

    assert callees(caller) == ("embed",)


def test_attributes_of_a_module_are_followed_one_by_one() -> None:
    @chainlet
    def caller() -> int:
        return steps.rank.remote(1).result()

    assert callees(caller) == ("rank",)


def test_of_a_module_that_goes_into_a_variable_every_name_in_the_code_counts() -> None:
    @chainlet
    def caller() -> int:
        module = steps
        stored = getattr(steps, "store").remote(1).result()  # noqa: B009
        return module.rank.remote(1).result() + int(stored)

    assert set(callees(caller)) == {"rank", "store"}


def test_helpers_are_followed_across_modules() -> None:
    @chainlet
    def caller() -> int:
        return helper("a")

    assert callees(caller) == ("embed",)


def test_a_handle_with_other_settings_leads_to_the_same_chainlet() -> None:
    patient = one.options(timeout=60)

    @chainlet
    def caller() -> int:
        return patient.remote(1).result() + one.remote(1).result()

    assert callees(caller) == ("one",)
    assert graph(caller).duplicates == ()


def test_a_variant_is_a_chainlet_of_its_own() -> None:
    large = one.variant(name="one-large", gpu="L4")

    @chainlet
    def caller() -> int:
        return large.remote(1).result()

    assert callees(caller) == ("one-large",)


def test_closures_default_arguments_and_lambdas_are_followed() -> None:
    @chainlet
    def inner(x: int) -> int:
        return x

    @chainlet
    def caller(x: int = 1) -> int:
        def later(x: int, callee: AnyChainlet = two) -> int:
            return inner.remote(x).result()

        last: Callable[[int], int] = lambda y: three.remote(y).result()  # noqa: E731
        return later(x) + last(x)

    assert set(callees(caller)) == {"inner", "two", "three"}


def test_comprehensions_and_generator_expressions_are_followed() -> None:
    @chainlet
    def caller() -> list[int]:
        return [one.remote(i).result() for i in range(3)] + sorted(two.remote(i).result() for i in range(3))

    assert callees(caller) == ("one", "two")


TABLE = {"one": one, "more": [two, (three, {"deep": frozenset([one])})]}
READ_ONLY = MappingProxyType({"one": one})


def test_containers_are_searched() -> None:
    @chainlet
    def caller(key: str) -> int:
        TABLE[key]
        return 0

    @chainlet
    def reader(key: str) -> int:
        READ_ONLY[key]
        return 0

    assert set(callees(caller)) == {"one", "two", "three"}
    assert callees(reader) == ("one",)


PARTIAL = functools.partial(helper, "text")
REMOTE = one.remote


def test_partials_and_bound_methods_are_followed() -> None:
    @chainlet
    def caller() -> int:
        return PARTIAL() + REMOTE(1).result()

    assert set(callees(caller)) == {"embed", "one"}


def test_a_class_is_followed_with_its_methods_and_properties() -> None:
    @chainlet
    def caller() -> int:
        return steps.Pipeline().size

    assert set(callees(caller)) == {"store", "rank", "embed"}


def test_an_object_is_followed_with_its_attributes() -> None:
    class Holder:
        __slots__ = ("callee",)

        def __init__(self, callee: AnyChainlet) -> None:
            self.callee = callee

    holder = Holder(three)

    @chainlet
    def caller() -> int:
        print(holder)
        return steps.shared.size

    assert set(callees(caller)) == {"three", "store", "rank", "embed"}


def test_base_classes_and_class_methods_are_followed() -> None:
    class Base:
        @classmethod
        def run(cls) -> int:
            return one.remote(1).result()

        @functools.cached_property
        def kept(self) -> int:
            return two.remote(1).result()

    class Child(Base):
        part = functools.partialmethod(Base.run)

    @chainlet
    def caller() -> int:
        return Child.run()

    assert callees(caller) == ("one", "two")


@functools.lru_cache
def cached(x: int) -> int:
    return one.remote(x).result()


@contextlib.contextmanager
def opened() -> Generator[int, None, None]:
    yield two.remote(1).result()


def timed(function: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(function)
    def inner(*args: Any) -> int:
        return function(*args)

    return inner


@timed
def decorated() -> int:
    return three.remote(1).result()


def test_decorated_helpers_are_followed_to_what_was_decorated() -> None:
    @chainlet
    def caller() -> int:
        with opened() as number:
            return cached(1) + number + decorated()

    assert set(callees(caller)) == {"one", "two", "three"}


def test_what_lies_below_the_decorator_of_a_chainlet_is_followed() -> None:
    @chainlet
    @timed
    def caller() -> int:
        return one.remote(1).result()

    assert callees(caller) == ("one",)


def test_resources_and_health_checks_are_followed() -> None:
    @setup
    def vocabulary() -> int:
        return one.remote(1).result()

    @setup
    def model(words: int = use(vocabulary)) -> int:
        return words

    @setup
    def probe() -> int:
        return two.remote(1).result()

    def healthy(probe: int = use(probe)) -> bool:
        return probe + three.remote(1).result() > 0

    @chainlet(health=healthy)
    def caller(x: int, *, model: int = use(model)) -> int:
        return model

    assert set(callees(caller)) == {"one", "two", "three"}


def test_of_a_variant_with_another_resource_the_first_one_is_not_followed() -> None:
    @setup
    def small() -> int:
        return one.remote(1).result()

    @setup
    def large() -> int:
        return two.remote(1).result()

    @chainlet
    def caller(x: int, *, model: int = use(small)) -> int:
        return model

    other = caller.variant(name="other", resources={"model": large})

    assert callees(caller) == ("one",)
    assert callees(other) == ("two",)


def test_an_import_inside_a_function_is_followed_if_the_module_is_loaded() -> None:
    @chainlet
    def from_import() -> int:
        from tests.definition.apps.steps import helper as other

        return other("a")

    @chainlet
    def module_import() -> int:
        import tests.definition.apps.steps as other

        return other.rank.remote(1).result()

    @chainlet
    def dotted_import() -> int:
        import tests.definition.apps.steps

        return tests.definition.apps.steps.store.remote(1).result()

    @chainlet
    def in_a_closure() -> list[int]:
        from tests.definition.apps import steps as other

        return [other.rank.remote(x).result() for x in range(3)]

    assert callees(from_import) == ("embed",)
    assert callees(module_import) == ("rank",)
    assert callees(dotted_import) == ("store",)
    assert callees(in_a_closure) == ("rank",)


def test_a_module_that_is_not_loaded_is_not_imported() -> None:
    @chainlet
    def caller() -> int:
        from tests.definition.apps import ten_mistakes

        return ten_mistakes.scheduled.remote("").result()

    assert callees(caller) == ()
    assert "tests.definition.apps.ten_mistakes" not in sys.modules


def test_a_chainlet_may_call_itself_and_its_caller() -> None:
    @chainlet
    def down(x: int) -> int:
        return down.remote(x - 1).result() if x else up.remote(x).result()

    @chainlet
    def up(x: int) -> int:
        return down.remote(x).result()

    found = graph(down)

    assert found.edges == {"down": ("down", "up"), "up": ("down",)}
    assert found.cycles == (("down",), ("up", "down"))


def test_a_ring_is_found_by_its_shortest_way() -> None:
    @chainlet
    def a(x: int) -> int:
        return b.remote(x).result()

    @chainlet
    def b(x: int) -> int:
        return c.remote(x).result() + one.remote(x).result()

    @chainlet
    def c(x: int) -> int:
        return a.remote(x).result()

    assert graph(a).cycles == (("a", "b", "c"),)
    assert list(graph(a).definitions) == ["a", "b", "c", "one"]


def test_calls_adds_what_the_code_does_not_show() -> None:
    @chainlet(calls=[two, one])
    def caller(name: str) -> int:
        return int(globals()[name].remote(1).result())

    assert callees(caller) == ("two", "one")


def test_third_party_code_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    source = folder / "library.py"
    source.write_text("def work(): return callee\n")
    library = ModuleType("library")
    library.__dict__.update(callee=one, __file__=str(source))
    exec(compile(source.read_text(), str(source), "exec"), library.__dict__)

    @chainlet
    def caller() -> int:
        return int(library.work())

    assert callees(caller) == ()


def test_looking_runs_no_code_of_the_objects_it_looks_at() -> None:
    ran: list[str] = []

    class Loud:
        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            return object.__getattribute__(self, name)

        def __eq__(self, other: object) -> bool:
            ran.append("==")
            return True

        def __hash__(self) -> int:
            ran.append("hash")
            return 1

        def __bool__(self) -> bool:
            ran.append("bool")
            return True

    class Listing(list[AnyChainlet]):
        def __iter__(self) -> Iterator[AnyChainlet]:
            ran.append("iter")
            return super().__iter__()

    class LazyModule(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            return super().__getattribute__(name)

    loud, listing, lazy = Loud(), Listing([one]), LazyModule("lazy")
    ModuleType.__getattribute__(lazy, "__dict__")["two"] = two

    @chainlet
    def caller() -> int:
        print(loud, listing)
        return int(lazy.two.remote(1).result())

    ran.clear()

    assert set(callees(caller)) == {"one", "two"}
    assert ran == []


def test_an_unset_variable_of_the_enclosing_function_is_no_obstacle() -> None:
    @chainlet
    def caller() -> int:
        return int(later.remote(1).result()) + one.remote(1).result()

    assert callees(caller) == ("one",)
    later: Any = two
    assert set(callees(caller)) == {"one", "two"}


def test_large_data_is_searched_only_so_far() -> None:
    numbers = [object() for _ in range(30_000)]

    @chainlet
    def caller() -> int:
        return len(numbers) + one.remote(1).result()

    assert callees(caller) == ("one",)


def test_two_chainlets_of_one_name_are_told_with_both() -> None:
    @chainlet(name="one")
    def other(x: int) -> int:
        return x

    @chainlet
    def caller() -> int:
        return one.remote(1).result() + other.remote(1).result()

    found = graph(caller)

    assert found.duplicates == ((one.definition, other.definition),)
    assert found.definitions["one"] is one.definition
    assert found.all == (caller.definition, one.definition, other.definition)


def test_the_marked_chainlet_is_the_entrypoint() -> None:
    @chainlet(entrypoint=True)
    def main() -> int:
        return 1

    assert entrypoint(graph(one, main, two)) == (main.definition, [])


def test_unmarked_the_only_one_that_no_other_calls_is_the_entrypoint() -> None:
    @chainlet
    def main() -> int:
        return one.remote(1).result() + main.remote().result()

    assert entrypoint(graph(one, main)) == (main.definition, [])


def test_a_mark_in_another_module_does_not_count() -> None:
    @chainlet(entrypoint=True)
    def theirs() -> int:
        return 1

    @chainlet
    def main() -> int:
        return theirs.remote().result()

    assert entrypoint(graph(main))[0] is main.definition


def test_several_candidates_are_listed_with_their_places() -> None:
    found, problems = entrypoint(graph(one, two))

    assert found is None
    (problem,) = problems
    assert "one (" in problem.message
    assert f"test_graph.py:{two.definition.line})" in problem.message
    assert "entrypoint=True" in problem.hint
    assert (problem.file, problem.line) == one.definition.place


def test_where_all_call_each_other_the_entrypoint_must_be_marked() -> None:
    @chainlet
    def ping(x: int) -> int:
        return pong.remote(x).result()

    @chainlet
    def pong(x: int) -> int:
        return ping.remote(x).result()

    found, (problem,) = entrypoint(graph(ping, pong))

    assert found is None
    assert "every chainlet is called by another" in problem.message


def test_two_marked_chainlets_are_a_problem() -> None:
    @chainlet(entrypoint=True)
    def first() -> int:
        return 1

    @chainlet(entrypoint=True)
    def second() -> int:
        return 1

    found, (problem,) = entrypoint(graph(first, second))

    assert found is first.definition
    assert problem.subject == "second"
    assert f"first ({Path(__file__).relative_to(Path.cwd())}:{first.definition.line})" in problem.message


def test_without_chainlets_there_is_no_entrypoint() -> None:
    found, (problem,) = entrypoint(CallGraph.of([]))

    assert found is None
    assert "@chainlet" in problem.hint


@pytest.mark.parametrize("roots", [[one], [one, one]])
def test_a_root_counts_once(roots: list[AnyChainlet]) -> None:
    assert graph(*roots).roots == (one.definition,)
    assert isinstance(graph(*roots).roots[0], Definition)

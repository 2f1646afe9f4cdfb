import sys
import types
from collections.abc import Iterator

import pytest

from fchains.wire.classes import ClassLookup, find_main_in, name_main, reference
from tests.wire import samples


class Nest:
    class Egg:
        pass


def test_a_reference_names_module_and_qualified_name() -> None:
    assert reference(samples.Point) == "tests.wire.samples:Point"
    assert reference(Nest.Egg) == f"{__name__}:Nest.Egg"
    assert reference(int) == "builtins:int"


@pytest.mark.parametrize("cls", [samples.Point, Nest.Egg, int])
def test_a_class_is_found_by_its_reference(cls: type) -> None:
    assert ClassLookup().find(reference(cls)) is cls
    assert ClassLookup().reaches(cls)


@pytest.mark.parametrize(
    "name",
    ["os:system", "os:path", "os:nothing", "os", "", ":", "builtins:print", "json:decoder.JSONDecoder"],
)
def test_what_is_no_class_is_not_found(name: str) -> None:
    with pytest.raises(LookupError):
        ClassLookup().find(name)


def test_a_local_class_is_found_only_where_it_is_known() -> None:
    class Local:
        pass

    assert not ClassLookup().reaches(Local)
    assert ClassLookup([Local]).find(reference(Local)) is Local
    assert ClassLookup().knowing([Local]).reaches(Local)


def test_two_known_classes_of_one_name_are_refused() -> None:
    def make() -> type:
        class Local:
            pass

        return Local

    first, second = make(), make()
    lookup = ClassLookup([first, second, first])
    assert not lookup.reaches(first)
    with pytest.raises(LookupError, match="two classes"):
        lookup.find(reference(first))


def test_a_class_that_was_replaced_in_its_module_is_not_reached() -> None:
    stale = type("Point", (), {"__module__": samples.__name__})
    assert not ClassLookup().reaches(stale)


def test_modules_are_imported_only_if_allowed() -> None:
    name = "wsgiref.headers"
    sys.modules.pop(name, None)
    with pytest.raises(LookupError, match="not imported here and not part of the bundle"):
        ClassLookup().find(f"{name}:Headers")
    found = ClassLookup(importable=lambda module: module == name).find(f"{name}:Headers")
    assert found.__name__ == "Headers"
    with pytest.raises(LookupError, match="cannot be imported"):
        ClassLookup(importable=lambda _: True).find("no_such_module:A")


def test_no_code_of_a_module_runs_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("lazy_module")

    def refuse(name: str) -> object:
        raise AssertionError(name)

    module.__dict__["__getattr__"] = refuse
    monkeypatch.setitem(sys.modules, "lazy_module", module)
    with pytest.raises(LookupError):
        ClassLookup().find("lazy_module:Thing")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class of a script that runs as __main__."""
    cls = type("Transcript", (), {"__module__": "__main__"})
    main = types.ModuleType("__main__")
    main.__dict__["Transcript"] = cls
    monkeypatch.setitem(sys.modules, "__main__", main)
    return cls


def test_a_class_of_a_script_has_the_name_that_workers_know(script: type) -> None:
    lookup = ClassLookup(main="podcast")
    assert lookup.reference(script) == "podcast:Transcript"
    assert lookup.find("podcast:Transcript") is script
    assert lookup.reaches(script)


def test_a_known_class_of_a_script_is_found_by_either_name(script: type) -> None:
    loaded = type("Transcript", (), {"__module__": "podcast"})
    assert ClassLookup([script]).find("podcast:Transcript") is script
    assert ClassLookup([loaded]).find("__main__:Missing.Transcript".replace("Missing.", "")) in (
        loaded,
        script,
    )


@pytest.fixture
def names() -> Iterator[None]:
    """Puts back what this process calls its script."""
    yield
    name_main("__main__")
    find_main_in("__main__")


def test_a_script_gets_its_name_also_in_lookups_that_were_there_before(script: type, names: None) -> None:
    lookup = ClassLookup([script])
    other = ClassLookup()
    assert lookup.reference(script) == "__main__:Transcript"
    name_main("podcast")
    for each in (lookup, other, lookup.knowing([int])):
        assert each.reference(script) == "podcast:Transcript"
        assert each.find("podcast:Transcript") is script
        assert each.find("__main__:Transcript") is script
        assert each.reaches(script)
    assert lookup.knows(script)


def test_the_script_of_another_process_is_a_module_here(names: None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("podcast")
    loaded = type("Transcript", (), {"__module__": "podcast"})
    late = type("Late", (), {"__module__": "__main__"})  # came by value from the script's main part
    module.__dict__["Transcript"] = loaded
    monkeypatch.setitem(sys.modules, "podcast", module)
    find_main_in("podcast")
    lookup = ClassLookup([late])

    assert lookup.find("__main__:Transcript") is loaded
    assert lookup.find("podcast:Transcript") is loaded
    assert lookup.reference(loaded) == "podcast:Transcript"
    assert lookup.find("podcast:Late") is late
    assert lookup.find("__main__:Late") is late
    with pytest.raises(LookupError):
        lookup.find("__main__:Nothing")

"""What `@chainlet` makes of functions, and what it says about everything else."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from fchains import Chainlet, DefinitionError, Retry, StreamChainlet, batched, chainlet, setup, use
from fchains.calls.decorator import make_chainlet
from fchains.calls.settings import CallSettings
from fchains.definition.handle import AnyChainlet, definition_of
from fchains.definition.option_values import PARSERS
from fchains.definition.options import Options
from fchains.definition.overrides import current_overrides
from fchains.definition.problems import collecting


@setup
def model() -> list[int]:
    return [1]


@setup
def other_model() -> list[int]:
    return [2]


@chainlet(timeout=5, entrypoint=True)
def scale(x: int, *, unit: str = "m", model: list[int] = use(model)) -> str:
    """Scale a number."""
    return f"{x * model[0]}{unit}"


large = scale.variant(name="large", gpu="H100", resources={"model": other_model})


@chainlet
async def count(to: int) -> AsyncIterator[int]:
    for n in range(to):
        yield n


def refused(decorate: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        decorate()
    return str(caught.value)


def test_a_chainlet_looks_like_its_function() -> None:
    assert scale.__name__ == "scale"
    assert scale.__qualname__ == "scale"
    assert scale.__module__ == __name__
    assert scale.__doc__ == "Scale a number."
    assert list(inspect.signature(scale).parameters) == ["x", "unit", "model"]
    assert inspect.unwrap(cast("Callable[..., Any]", scale)) is scale.__wrapped__
    assert repr(scale).startswith("<chainlet scale at ")


def test_a_chainlet_is_no_method_of_the_class_that_holds_it() -> None:
    class Holder:
        function = scale

    assert Holder().function is scale


def test_calling_a_chainlet_calls_the_function() -> None:
    assert scale(2) == "2m"
    assert scale(2, unit="km", model=[3]) == "6km"


def test_generators_become_stream_chainlets() -> None:
    @chainlet
    def words(text: str) -> Iterator[str]:
        yield from text.split()

    assert isinstance(words, StreamChainlet)
    assert isinstance(count, StreamChainlet)
    assert isinstance(scale, Chainlet)
    assert list(words("a b")) == ["a", "b"]


def test_parentheses_make_no_difference() -> None:
    def double(x: int) -> int:
        return 2 * x

    assert chainlet(double).definition.options == chainlet()(double).definition.options


def test_a_batched_function_keeps_its_limits_and_takes_lists() -> None:
    @chainlet(cpu=2)
    @batched(max_size=8, max_wait=0.5)
    def lengths(texts: list[str]) -> list[int]:
        return [len(text) for text in texts]

    batch = lengths.definition.batch
    assert batch is not None
    assert (batch.max_size, batch.max_wait) == (8, 0.5)
    assert lengths(["a", "bc"]) == [1, 2]
    assert lengths.definition.options.cpu == 2


def test_options_give_a_handle_on_the_same_definition() -> None:
    handle = scale.options(timeout=None, key="k").options(retries=2)
    assert handle.definition is scale.definition
    assert definition_of(handle) is scale.definition
    assert vars(handle)["_settings"] == CallSettings(timeout=None, retry=Retry(attempts=3), key="k")
    assert vars(scale)["_settings"] == CallSettings()


def test_a_wrong_value_of_a_handle_is_reported_where_it_is_written() -> None:
    message = refused(lambda: scale.options(timeout=-1))
    assert "option `timeout`" in message
    assert "test_decorator.py" in message


def test_a_variant_is_another_chainlet_of_the_same_function() -> None:
    assert large.definition is not scale.definition
    assert large.definition.name == "large"
    assert large.definition.function is scale.definition.function
    assert large.definition.options.timeout == 5
    assert [gpu.name for gpu in large.definition.options.gpu] == ["H100"]
    assert not large.definition.options.entrypoint
    assert scale.definition.options.entrypoint
    assert large.definition.signature.injected == {"model": other_model}
    assert large(1) == "2m"
    assert scale(1) == "1m"


def test_a_variant_names_its_mistakes() -> None:
    assert "Did you mean `model`?" in refused(lambda: scale.variant(name="x", resources={"modell": model}))
    assert "no resource" in refused(lambda: scale.variant(name="x", resources={"model": cast("Any", [1])}))
    assert "Did you mean `gpu`?" in refused(lambda: scale.variant(name="x", **cast("Any", {"gpus": "L4"})))


def test_a_fake_is_in_force_inside_its_block() -> None:
    def fake(x: int, *, unit: str = "m") -> str:
        return "fake"

    with scale.override(fake):
        assert scale.definition in current_overrides().fakes
    with ExitStack() as stack:
        stack.enter_context(scale.options(timeout=3).override(fake))
        assert scale.definition in current_overrides().fakes
    assert scale.definition not in current_overrides().fakes


@pytest.mark.parametrize("original", [scale, large, count, scale.options(timeout=3, key="k")])
def test_chainlets_pickle_by_reference(original: AnyChainlet) -> None:
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is type(original)
    assert copy.definition is original.definition
    assert vars(copy)["_settings"] == vars(original)["_settings"]


def test_an_unchanged_chainlet_unpickles_as_itself() -> None:
    assert pickle.loads(pickle.dumps(scale)) is scale


def test_what_no_module_holds_cannot_be_pickled() -> None:
    @chainlet
    def local(x: int) -> int:
        return x

    with pytest.raises(pickle.PicklingError, match="has no name for it"):
        pickle.dumps(local)


def test_calls_take_chainlets_and_keep_their_definitions() -> None:
    @chainlet(calls=[scale, count])
    def caller(x: int) -> int:
        return x

    assert caller.definition.options.calls == (scale.definition, count.definition)
    assert "must list chainlets" in refused(lambda: make_chainlet(refused, {"calls": [print]}))


def test_every_mistake_of_a_function_is_reported_at_once() -> None:
    def wrong(x: int, /, *args: int) -> int:
        return x

    message = refused(lambda: make_chainlet(wrong, {"gpuu": "L4", "timeout": 0}))
    assert "Did you mean `gpu`?" in message
    assert "option `timeout`" in message
    assert "`x` is positional-only" in message
    assert "`*args`" in message
    assert message.count("test_decorator.py") == 4


class Service:
    def method(self, x: int) -> int:
        return x

    @staticmethod
    def static(x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (Service, "not classes", "@setup function"),
        (Service.method, "not methods", "out of its class"),
        (Service().method, "not methods", "out of its class"),
        (vars(Service)["static"], "not methods", "out of its class"),
        (functools.partial(refused, print), "not partials", "write a `def`"),
        (len, "not <built-in function len>", "above a `def`"),
        ("transcribe", "takes options by name", "@chainlet(name='transcribe')"),
        (3, "not 3", "above a `def`"),
        (scale, "a chainlet already", 'scale.variant(name="…")'),
        (model, "it is a resource", "remove one"),
        (lambda: None, "<lambda>", "give it one"),
    ],
)
def test_what_is_no_plain_function_is_refused_with_a_hint(value: object, message: str, hint: str) -> None:
    text = refused(lambda: make_chainlet(value, {}))
    assert message in text
    assert hint in text


def test_a_faulty_definition_goes_on_while_problems_are_collected() -> None:
    with collecting() as problems:
        made = [make_chainlet(value, {"cpus": 1}) for value in (Service, refused, 3)]
    assert all(isinstance(chainlet, Chainlet) for chainlet in made)
    assert [problem.message for problem in problems if "cpus" in problem.message] != []
    assert len(problems) == 5


def test_the_options_of_types_checkers_are_those_that_are_parsed() -> None:
    from fchains.calls import decorator, variants

    source = inspect.getsource(decorator)
    typed = [name for name in PARSERS if f"    {name}: " in source.split(") -> Decorate")[0]]
    assert typed == list(PARSERS)
    assert {"name", *variants.VariantOptions.__annotations__} == set(PARSERS)
    assert {"name", *Options.__dataclass_fields__} - {"retry"} | {"retries"} == set(PARSERS)

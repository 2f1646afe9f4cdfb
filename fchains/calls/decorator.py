"""`@chainlet`: makes a function a service, and says what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence, Sized
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar, cast, overload

from fchains.calls.chainlet import Chainlet, StreamChainlet
from fchains.calls.shapes import Returns
from fchains.calls.variants import definitions
from fchains.definition.batched import Batched
from fchains.definition.decorated import problem_with, stand_in
from fchains.definition.handle import AnyChainlet
from fchains.definition.options import parse_options
from fchains.definition.problems import collecting, place_of, report
from fchains.definition.spec import Definition

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fchains.definition.cron import Cron
    from fchains.definition.retry import Retry
    from fchains.packaging.image import Image
    from fchains.packaging.volume import Volume

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
R = TypeVar("R")
Y = TypeVar("Y")


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Value = TypeVar("Value", bound="Sized | BaseModel | Dataclass")
"""What is returned whole although one can iterate over it; other iterables are streams."""


class Decorate:
    """`@chainlet(…)`, waiting for its function."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    @overload
    def __call__(self, function: Batched[P, T, Q, R], /) -> Chainlet[P, T, Q, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Returns[P, T, Coroutine[Any, Any, R]], /
    ) -> Chainlet[P, T, P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Value], /
    ) -> Chainlet[P, Value, P, Value]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Returns[P, T, Iterable[Y] | AsyncIterable[Y]], /
    ) -> StreamChainlet[P, T, P, Y]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Chainlet[P, R, P, R]: ...
    def __call__(self, function: object, /) -> AnyChainlet:
        return make_chainlet(function, self._given)


@overload
def chainlet(function: Batched[P, T, Q, R], /) -> Chainlet[P, T, Q, R]: ...
@overload
def chainlet(  # type: ignore[overload-overlap]
    function: Returns[P, T, Coroutine[Any, Any, R]], /
) -> Chainlet[P, T, P, R]: ...
@overload
def chainlet(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    function: Callable[P, Value], /
) -> Chainlet[P, Value, P, Value]: ...
@overload
def chainlet(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    function: Returns[P, T, Iterable[Y] | AsyncIterable[Y]], /
) -> StreamChainlet[P, T, P, Y]: ...
@overload
def chainlet(function: Callable[P, R], /) -> Chainlet[P, R, P, R]: ...
@overload
def chainlet(
    *,
    name: str | None = None,
    entrypoint: bool = False,
    expose: bool = False,
    image: Image | None = None,
    gpu: str | Sequence[str] | None = None,
    cpu: float | str = 1,
    memory: int | str = "2GiB",
    disk: int | str | None = None,
    replicas: int | tuple[int, int] | None = None,
    group: str | None = None,
    concurrency: int | None = None,
    max_queue: int = 1000,
    scaledown_window: float = 60,
    timeout: float | None = 600,
    grace: float = 1.0,
    startup_timeout: float = 600,
    retries: int | Retry = 0,
    kill_on_cancel: bool = False,
    health: Callable[[], bool | Awaitable[bool]] | None = None,
    secrets: Sequence[str] = (),
    env: Mapping[str, str] = {},
    volumes: Mapping[str, Volume] = {},
    schedule: Cron | None = None,
    calls: Sequence[AnyChainlet] = (),
) -> Decorate: ...
def chainlet(function: object = None, /, **given: object) -> object:
    """Make a function a service: `@chainlet` for one with the defaults, or `@chainlet(gpu="L4", …)`.

    Calling it stays a plain call; `.remote(…)` runs it where it is deployed. A generator gives a
    stream of its items. A generator should be annotated `Iterator[…]` or `AsyncIterator[…]`.

    Args:
        name: its name in the chain; the function's own unless given.
        entrypoint: whether it answers `POST /`; needed only where that is not obvious.
        expose: whether it is reachable over HTTP besides the entrypoint.
        image: what its code runs in; None is the runner's own.
        gpu: `"L4"`, `"A100-80GB:2"`, or a list of those in order of preference.
        cpu: cores of each replica: `2`, `0.5` or `"500m"`.
        memory: of each replica: `"16GiB"`, or a number of bytes.
        disk: scratch space of each replica, as `memory`; None is what the runner gives.
        replicas: how many: `n`, or `(min, max)`; None is decided by the runner.
        group: chainlets of one group share replicas, and so resources.
        concurrency: inputs in flight in one replica, batches for a batched function; None is 1 for
            sync functions and 100 for async ones.
        max_queue: inputs that may wait, over all replicas; more are refused with `Overloaded`.
        scaledown_window: seconds without work after which a replica goes.
        timeout: seconds that one attempt may take, None for no limit; of a stream, that the next
            item may take.
        grace: seconds that code gets to end after its deadline before its replica is replaced.
        startup_timeout: seconds that a replica may take to become ready.
        retries: attempts after the first, or a `Retry`.
        kill_on_cancel: kill the replica of a sync function whose call is cancelled.
        health: a function of no arguments that says whether a replica is still good; it may `use()`
            resources.
        secrets: names of the secrets that `secret(name)` may read.
        env: environment variables of each replica.
        volumes: persistent storage, by the absolute path it is mounted at.
        schedule: times at which it is started without a caller.
        calls: chainlets it calls that its code does not show.

    Raises:
        DefinitionError: an option is wrong or unknown, a parameter cannot be passed by name, or this
            decorates something that is no function. All mistakes are reported at once.
    """
    return Decorate(given) if function is None else make_chainlet(function, given)


def make_chainlet(function: object, given: Mapping[str, object]) -> AnyChainlet:
    """Make the chainlet of a function, which may be batched; report all that is wrong with it."""
    batch = None
    if isinstance(function, Batched):
        batched = cast("Batched[..., Any, ..., Any]", function)
        function, batch = batched.function, batched.batch
    problem = problem_with(function, "chainlet")
    if problem is not None:
        report([problem])
        function = stand_in
    plain = cast("FunctionType", function)
    place = place_of(plain)
    if "calls" in given:
        given = {**given, "calls": definitions(given["calls"])}
    options, problems = parse_options(given, subject=plain.__name__, place=place)
    with collecting() as faults:
        definition = Definition(plain, options, batch, place)
    report([*problems, *faults])
    kind = cast("type[AnyChainlet]", StreamChainlet if definition.kind == "stream" else Chainlet)
    return kind(definition)

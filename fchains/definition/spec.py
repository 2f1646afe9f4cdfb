"""A chainlet's definition: its function, options, signature and, on first use, its types."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from fchains.definition.annotations import enclosing_names
from fchains.definition.problems import place_of, report
from fchains.definition.signature import read_signature
from fchains.definition.types import ResolvedTypes, resolve_types
from fchains.errors import DefinitionError

if TYPE_CHECKING:
    from fchains.definition.batch_options import BatchOptions
    from fchains.definition.options import Options
    from fchains.definition.resource import Resource

ASYNC_CONCURRENCY = 100


class Definition:
    """What a function is as a chainlet; all handles that users hold of it share one.

    Args:
        function: the plain function.
        options: its validated options.
        batch: how its calls are batched, None when they are not.
        place: file and line of the function; found from it when left out.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        batch: BatchOptions | None = None,
        place: tuple[str, int] | None = None,
    ) -> None:
        self.function = function
        self.options = options
        self.batch = batch
        self.file, self.line = place or place_of(function)
        self.signature, problems = read_signature(function, self.name, (self.file, self.line))
        self.enclosing = enclosing_names(function)
        if problems:
            report(problems)

    @property
    def name(self) -> str:
        """Name in the chain: the `name` option, else the function's own."""
        return self.options.name or self.function.__name__

    @property
    def module(self) -> str:
        """Name of the module that the function is in."""
        return self.function.__module__

    @property
    def qualname(self) -> str:
        """Name of the function in its module, with dots."""
        return self.function.__qualname__

    @property
    def place(self) -> tuple[str, int]:
        """File and line of the function."""
        return self.file, self.line

    @property
    def kind(self) -> Literal["unary", "stream"]:
        """Whether a call brings one result, or a generator's items."""
        return "stream" if self.signature.is_generator else "unary"

    @property
    def replica_group(self) -> str:
        """Name of the replicas that serve it: its group, else itself."""
        return f"group:{self.options.group}" if self.options.group else self.name

    @property
    def slots(self) -> int:
        """Inputs, or batches, in flight in one replica."""
        if self.options.concurrency is not None:
            return self.options.concurrency
        return ASYNC_CONCURRENCY if self.signature.is_async and self.batch is None else 1

    @property
    def resources(self) -> tuple[Resource[Any], ...]:
        """The resources it uses directly, its health check's included."""
        used = list(self.signature.injected.values())
        if self.options.health is not None:
            used += read_signature(self.options.health, "health", self.place)[0].injected.values()
        return tuple(dict.fromkeys(used))

    @functools.cached_property
    def types(self) -> ResolvedTypes:
        """Codecs of its arguments and results, resolved on first use.

        Raises:
            DefinitionError: an annotation is missing, unresolvable or of a type that cannot travel.
        """
        types, problems = resolve_types(self)
        if types is None or problems:
            raise DefinitionError(problems=problems)
        return types

    def __repr__(self) -> str:
        return f"<chainlet {self.name} at {self.file}:{self.line}>"

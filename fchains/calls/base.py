"""What unary and streaming chainlets share: the plain call, handles, variants and pickling."""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, cast

from fchains.calls.plain import call_plain
from fchains.calls.settings import NO_SETTINGS, UNSET, CallSettings, Unset
from fchains.calls.variants import VariantOptions, variant_of
from fchains.definition.handle import AnyChainlet
from fchains.definition.problems import caller_place, report
from fchains.definition.resource import Resource
from fchains.definition.retry import Retry

if TYPE_CHECKING:
    from fchains.definition.spec import Definition

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class BaseChainlet(AnyChainlet, Generic[P, T_co]):
    """A function as a service; calling it is calling the plain function."""

    def __init__(self, definition: Definition, settings: CallSettings = NO_SETTINGS) -> None:
        super().__init__(definition)
        self._settings = settings

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Call the plain function here, with resources made once in this process.

        A batched function takes and returns lists here.

        Raises:
            NotSupported: this is another chainlet's replica, which would have to load the resources
                of this one; call `.remote(…)` there.
        """
        __tracebackhide__ = True
        return cast("T_co", call_plain(self.definition, args, kwargs))

    @property
    def __wrapped__(self) -> Callable[P, T_co]:
        return self.definition.function

    def options(
        self,
        *,
        timeout: float | Unset | None = UNSET,
        retries: int | Retry | Unset = UNSET,
        key: str | None = None,
    ) -> Self:
        """Make a handle whose calls have other settings; the replicas are the same.

        Args:
            timeout: seconds that one attempt may take, None for no limit; of a stream, that the next
                item may take. Left out, what this handle has.
            retries: attempts after the first, or a `Retry`. Left out, what this handle has.
            key: names the call, so that a runner that keeps calls recognises it when it comes again.

        Raises:
            DefinitionError: a value is wrong.
        """
        given: dict[str, object] = {"timeout": timeout, "retries": retries}
        given = {name: value for name, value in given.items() if value is not UNSET}
        name, place = self.definition.name, caller_place()
        parsed, problems = self.definition.options.replace(given, subject=name, place=place)
        report(problems)
        settings = dataclasses.replace(
            self._settings,
            timeout=parsed.timeout if "timeout" in given else self._settings.timeout,
            retry=parsed.retry if "retries" in given else self._settings.retry,
            key=self._settings.key if key is None else key,
        )
        return type(self)(self.definition, settings)

    def variant(
        self,
        *,
        name: str,
        resources: Mapping[str, Resource[Any]] | None = None,
        **options: Unpack[VariantOptions],
    ) -> Self:
        """Make another chainlet of the same function, with replicas of its own.

        Args:
            name: its name in the chain.
            resources: by name of an injected parameter, the resource to inject instead.
            options: options of `@chainlet` to change. The others are this chainlet's, except
                `entrypoint` and `schedule`, which a variant does not inherit.

        Raises:
            DefinitionError: an option or a resource is wrong.
        """
        definition = variant_of(self.definition, {**options, "name": name}, resources or {})
        return type(self)(definition, self._settings)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        module = sys.modules.get(self.__module__)
        for name, value in list(vars(module).items()) if module is not None else ():
            if isinstance(value, AnyChainlet) and value.definition is self.definition:
                return BaseChainlet._find, (self.__module__, name, self._settings)
        raise pickle.PicklingError(
            f"{self!r} travels by reference, but {self.__module__} has no name for it:"
            " assign it to one at the top level of that module"
        )

    @staticmethod
    def _find(module: str, name: str, settings: CallSettings) -> BaseChainlet[..., Any]:
        """The chainlet that a module holds under a name; what pickled chainlets come back as."""
        found: BaseChainlet[..., Any] = getattr(importlib.import_module(module), name)
        return found if found._settings == settings else type(found)(found.definition, settings)

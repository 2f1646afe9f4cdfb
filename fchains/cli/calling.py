"""Making a call, a stream or a map, and writing what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any

from fchains.calls.mapping import start_map
from fchains.calls.settings import UNSET, CallSettings
from fchains.calls.starting import start_call, start_stream
from fchains.calls.stream import Stream
from fchains.cli.exits import CallFailed, OutputGone, UsageError
from fchains.cli.progress import progress
from fchains.cli.results import Results
from fchains.definition.spec import Definition


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be called.

    Args:
        definition: the chainlet.
        arguments: its values, by name.
        items: values of its first parameter, for a call each; None for one call.
        timeout: seconds that an attempt may take instead of the chainlet's timeout.
        quiet: show no progress.
    """

    definition: Definition
    arguments: Mapping[str, object]
    items: AsyncIterable[object] | None = None
    timeout: float | None = None
    quiet: bool = False

    @property
    def settings(self) -> CallSettings:
        return CallSettings(timeout=UNSET if self.timeout is None else self.timeout)


def carry_out(request: Request, results: Results) -> None:
    """Make the call, and write its results as they come.

    Raises:
        CallFailed: it failed.
        OutputGone: nobody reads the results.
    """
    try:
        if request.items is not None:
            _write_all(_map(request, request.items), "result", request, results)
        elif request.definition.kind == "stream":
            stream = start_stream(request.definition, (), request.arguments, request.settings)
            _write_all(stream, "item", request, results)
        else:
            call = start_call(request.definition, (), request.arguments, request.settings)
            results.whole(call.result())
    except (OutputGone, UsageError):
        raise
    except Exception as error:
        raise CallFailed(error) from error


def _map(request: Request, items: AsyncIterable[object]) -> Stream[Any]:
    return start_map(
        request.definition,
        items,
        star=False,
        kwargs=request.arguments,
        max_in_flight=None,
        ordered=True,
        return_exceptions=False,
        settings=request.settings,
    )


def _write_all(stream: Stream[Any], noun: str, request: Request, results: Results) -> None:
    with stream, progress(noun, quiet=request.quiet) as advance:
        for item in stream:
            results.item(item)
            advance()

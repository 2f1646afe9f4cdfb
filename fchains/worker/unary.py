"""Executions that end with one result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

from fchains.calls.invocation import Outcome
from fchains.worker.execution import Execution
from fchains.worker.outcomes import cancelled, of_error, of_value
from fchains.worker.threads import Raised, Result


class AsyncUnary(Execution):
    """An `async def` function, on the replica's loop."""

    def run(self, arguments: dict[str, object], context: Context) -> None:
        self.spawn(self._call(arguments), context)

    async def _call(self, arguments: dict[str, object]) -> None:
        outcome: Outcome
        try:
            value = await self.definition.function(**arguments)
        except asyncio.CancelledError as error:
            # Told to stop, or the function's own doing: only then is it an error of the function.
            stopped = cancelled(self.definition.name, self.invocation.id)
            outcome = stopped if self.stopping else of_error(error, self.where)
        except BaseException as error:  # SystemExit in user code must not end the replica's loop
            outcome = of_error(error, self.where)
        else:
            outcome = of_value(self.definition, value, self.where)
        self.finish(outcome)


class SyncUnary(Execution):
    """A plain function, in a thread."""

    def run(self, arguments: dict[str, object], context: Context) -> None:
        function: Callable[[], Any] = partial(self.definition.function, **arguments)
        threads = self.host.threads(self.definition)
        self.running = threads.run(function, self._ended, context=context)

    def _ended(self, result: Result[Any]) -> None:
        # Still on the thread: encoding a large result must not hold up the loop.
        if isinstance(result, Raised):
            outcome: Outcome = of_error(result.error, self.where)
        else:
            outcome = of_value(self.definition, result.value, self.where)
        self.host.loop.call_soon_threadsafe(self.finish, outcome)

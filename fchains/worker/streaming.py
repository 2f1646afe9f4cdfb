"""Executions of generators: items as they are made, as far as the reader's window allows."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import Context
from functools import partial
from typing import Any, cast

from fchains.calls.invocation import FailureKind, Invocation, Outcome, Success
from fchains.calls.runner import Reply
from fchains.definition.spec import Definition
from fchains.errors import FchainsError
from fchains.wire.payload import Payload
from fchains.wire.windows import SendWindow
from fchains.worker.execution import Execution
from fchains.worker.host import Host
from fchains.worker.outcomes import NOTHING, cancelled, encode, failed, of_error
from fchains.worker.slots import Slots
from fchains.worker.threads import Iteration, Raised, Result


class StreamExecution(Execution):
    """What both kinds of generator share: the window, and the count that proves completeness."""

    def __init__(
        self, host: Host, definition: Definition, invocation: Invocation, reply: Reply, slots: Slots
    ) -> None:
        super().__init__(host, definition, invocation, reply, slots)
        self.window = SendWindow()
        self.items = 0

    def consumed(self, items: int, size: int) -> None:
        """The reader took items."""
        self.window.credit(items, size)
        self.resume()

    @abc.abstractmethod
    def resume(self) -> None:
        """Go on after a pause, if there is room now."""

    def send(self, payload: Payload) -> None:
        """One item, for which the window has room; the reader's patience starts anew."""
        self.window.sent(payload.size)
        self.items += 1
        self.allow(self.invocation.timeout)
        self.reply.item(payload)

    def pause(self) -> None:
        """The reader is the one who waits: only the caller's deadline counts."""
        self.allow(None)

    def complete(self) -> Success:
        return Success(NOTHING, self.items)


class AsyncStream(StreamExecution):
    """An async generator, on the replica's loop."""

    def __init__(
        self, host: Host, definition: Definition, invocation: Invocation, reply: Reply, slots: Slots
    ) -> None:
        super().__init__(host, definition, invocation, reply, slots)
        self._room = asyncio.Event()

    def run(self, arguments: dict[str, object], context: Context) -> None:
        self.spawn(self._iterate(arguments), context)

    def resume(self) -> None:
        self._room.set()

    async def _iterate(self, arguments: dict[str, object]) -> None:
        outcome: Outcome
        try:
            generator = cast("AsyncGenerator[Any, None]", self.definition.function(**arguments))
            async with aclosing(generator):
                async for item in generator:
                    await self._send(encode(self.definition, item))
        except asyncio.CancelledError as error:
            stopped = cancelled(self.definition.name, self.invocation.id)
            outcome = stopped if self.stopping else of_error(error, self.where)
        except BaseException as error:
            outcome = of_error(error, self.where)
        else:
            outcome = self.complete()
        self.finish(outcome)

    async def _send(self, payload: Payload) -> None:
        while not self.window.can_send(payload.size):
            self._room.clear()
            self.pause()
            await self._room.wait()
        self.send(payload)


class SyncStream(StreamExecution):
    """A plain generator, advanced on one thread by as many items as the reader has asked for."""

    _iteration: Iteration[Any] | None = None
    _pulling = False
    _outcome: Outcome | None = None
    _next: Payload | None = None

    def run(self, arguments: dict[str, object], context: Context) -> None:
        threads = self.host.threads(self.definition)
        function = partial(self.definition.function, **arguments)
        self._iteration = threads.iterate(function, context=context)
        self._pull()

    def interrupt(self) -> None:
        super().interrupt()
        if not self._pulling:
            self._close(cancelled(self.definition.name, self.invocation.id))

    def resume(self) -> None:
        held = self._next
        if held is not None and self.window.can_send(held.size):
            self._next = None
            self.send(held)
        if self._next is None and not self._pulling:
            self._pull()

    def _pull(self) -> None:
        if self._iteration is None or self._outcome is not None:
            return
        # An item's size is known only when it is there: while the window is not empty, one is
        # fetched at a time and held back if it does not fit.
        if not self.window.can_send(0):
            self.pause()
            return
        self.allow(self.invocation.timeout)
        self._pulling = True
        self.running = self._iteration.pull(1, self._made, self._pulled)

    def _made(self, item: Any) -> None:
        try:
            payload = encode(self.definition, item)
        except FchainsError as error:
            outcome = failed(FailureKind.INVALID, error, self.where)
            self.host.loop.call_soon_threadsafe(self._break, outcome)
        else:
            self.host.loop.call_soon_threadsafe(self._hold, payload)

    def _hold(self, payload: Payload) -> None:
        if self.window.can_send(payload.size):
            self.send(payload)
        else:
            self._next = payload
            self.pause()

    def _break(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _pulled(self, result: Result[bool]) -> None:
        self.host.loop.call_soon_threadsafe(self._after_pull, result)

    def _after_pull(self, result: Result[bool]) -> None:
        self._pulling = False
        if self._outcome is not None:
            self._close(self._outcome)
        elif isinstance(result, Raised):
            self._close(of_error(result.error, self.where))
        elif not result.value:
            self._close(self.complete())
        elif self.stopping:
            self._close(cancelled(self.definition.name, self.invocation.id))
        elif self._next is None:
            self._pull()

    def _close(self, outcome: Outcome) -> None:
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            self._outcome = outcome
            self.running = iteration.close(self._closed)

    def _closed(self, result: Result[None]) -> None:
        outcome = self._outcome or self.complete()
        if isinstance(result, Raised) and isinstance(outcome, Success):
            outcome = of_error(result.error, self.where)
        self.host.loop.call_soon_threadsafe(self.finish, outcome)

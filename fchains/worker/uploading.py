"""A streamed parameter in the replica: the async iterator that user code reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from fchains.calls.runner import Reply
from fchains.errors import InvalidArguments
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec
from fchains.wire.failures import Failure, exception_of
from fchains.wire.payload import Payload
from fchains.wire.windows import ReceiveWindow


class UploadReader(AsyncIterator[Any]):
    """Items that the caller sends, as the function asks for them."""

    def __init__(self, name: str, codec: Codec[Any], loop: asyncio.AbstractEventLoop, reply: Reply) -> None:
        self._name = name
        self._codec = codec
        self._loop = loop
        self._reply = reply
        self._items: deque[Payload] = deque()
        self._window = ReceiveWindow()
        self._ended = False
        self._failure: Failure | None = None
        self._arrived = asyncio.Event()

    def put(self, payload: Payload) -> None:
        """An item came; on the replica's loop."""
        self._items.append(payload)
        self._window.received(payload.size)
        self._arrived.set()

    def end(self, failure: Failure | None) -> None:
        """No more come; on the replica's loop."""
        self._ended = True
        self._failure = failure
        self._arrived.set()

    async def __anext__(self) -> Any:
        while not self._items:
            if self._ended:
                self._raise_failure()
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        payload = self._items.popleft()
        credit = self._window.consumed(payload.size)
        if credit is not None:
            self._reply.consumed(self._name, credit.items, credit.bytes)
        try:
            return self._codec.decode(payload)
        except ValueError as error:
            raise InvalidArguments(
                f"an item of `{self._name}` does not fit its annotation: {error}"
            ) from error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise exception_of(failure, ClassLookup())

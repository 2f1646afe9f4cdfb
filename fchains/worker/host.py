"""What an execution needs of the replica that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from fchains.calls.context import DeploymentInfo
from fchains.calls.session import Session
from fchains.definition.resource import Resource
from fchains.definition.spec import Definition
from fchains.worker.threads import ThreadPool

if TYPE_CHECKING:
    from fchains.worker.batching import Batch
    from fchains.worker.execution import Execution


class Host(Protocol):
    """A replica, as its executions see it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def session(self) -> Session: ...

    @property
    def resources(self) -> Mapping[Resource[Any], object]: ...

    def threads(self, definition: Definition) -> ThreadPool:
        """The threads that the chainlet's sync code runs on."""
        ...

    def context(self, definition: Definition) -> Context:
        """A fresh context for user code of the chainlet."""
        ...

    def info(self, definition: Definition) -> DeploymentInfo: ...

    def ended(self, execution: Execution) -> None:
        """An execution's code has ended; its slot is free."""
        ...

    def stuck(self, execution: Execution | Batch, why: str) -> None:
        """An execution's code ignores that it should have stopped: the replica must be replaced."""
        ...

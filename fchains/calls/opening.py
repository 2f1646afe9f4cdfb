"""From what travelled to what the caller gets: values decoded, exceptions rebuilt."""

from __future__ import annotations

import os
from typing import Any

from fchains.calls.invocation import Failed
from fchains.config import Settings
from fchains.definition.spec import Definition
from fchains.errors import InvalidResult
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import exception_of
from fchains.wire.payload import Payload


class ResultOpener:
    """Opens the results, or the stream items, of one chainlet."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._lookup = ClassLookup()

    def value(self, payload: Payload) -> Any:
        """Decode a value.

        Raises:
            InvalidResult: it is not what the function's annotation promises.
        """
        try:
            return self._definition.types.result.decode(payload)
        except ValueError as error:
            raise InvalidResult(
                f"{self._definition.name} gave what its annotation does not allow: {error}"
            ) from error

    def error(self, failed: Failed) -> BaseException:
        """Rebuild the exception, a new one each time."""
        full = Settings.from_env(os.environ).traceback_full
        return exception_of(failed.failure, self._lookup, full=full)

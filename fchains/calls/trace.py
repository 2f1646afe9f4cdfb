"""Trace context as W3C Trace Context carries it (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a call stands in its trace: 16-byte trace id, 8-byte span id, both in hex."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def start(cls) -> Trace:
        """A new trace."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def parse(cls, traceparent: str) -> Trace | None:
        """Read a `traceparent` header; None when it is malformed, as the standard asks."""
        match = _TRACEPARENT.fullmatch(traceparent.strip())
        if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
            return None
        return cls(match[1], match[2], bool(int(match[3], 16) & 1))

    def child(self) -> Trace:
        """The same trace, one span deeper."""
        return Trace(self.trace_id, secrets.token_hex(8), self.sampled)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def __str__(self) -> str:
        return self.traceparent

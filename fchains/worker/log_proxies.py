"""Stand-ins for `sys.stdout` and `sys.stderr` that show a capture what is written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self, TextIO


class Taker(Protocol):
    """What proxies show what is written to."""

    @property
    def pass_on(self) -> bool:
        """Whether it wants nothing for itself alone."""
        ...

    def keep(self, stream: str, written: str | bytes) -> bool:
        """Take what is then not passed on; False to be fed after it was."""
        ...

    def feed(self, stream: str, written: str | bytes) -> None:
        """Take what was passed on."""
        ...


class Proxy:
    """Stands in for a text stream, and behaves like it."""

    def __init__(self, original: TextIO, stream: str, taker: Taker) -> None:
        self.original = original
        self._stream = stream
        self._taker: Taker | None = taker

    # Programs ask whether stdout is a TextIOWrapper before they reconfigure it.
    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self.original)

    @property
    def buffer(self) -> BufferProxy:
        return BufferProxy(self.original.buffer, self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.keeps(text):
            return len(text)
        count = self.original.write(text)
        self.show(text)
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def keeps(self, written: str | bytes) -> bool:
        """Whether it goes to the taker alone, as it then has."""
        taker = self._taker  # another thread may end it
        if taker is None or taker.pass_on:
            return False
        if getattr(self.original, "closed", False):
            raise ValueError("I/O operation on closed file.")
        return taker.keep(self._stream, written)

    def show(self, written: str | bytes) -> None:
        taker = self._taker
        if taker is not None:
            taker.feed(self._stream, written)

    def shows(self, taker: Taker) -> bool:
        """Whether what is written here reaches a taker, through the proxies below too."""
        return self._taker is taker or shows(self.original, taker)

    def remove(self) -> None:
        """Ends it. Who has put a stream on top of it keeps that: what is left here only passes on."""
        self._taker = None
        current: object = getattr(sys, self._stream)
        while isinstance(current, Proxy) and current._taker is None:
            current = current.original
        setattr(sys, self._stream, current)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.original)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.original.close()

    def __repr__(self) -> str:
        return repr(self.original)


def shows(stream: object, taker: Taker) -> bool:
    """Whether a stream is a proxy that shows a taker what is written."""
    return isinstance(stream, Proxy) and stream.shows(taker)


class BufferProxy:
    """Stands in for the binary buffer of a text stream."""

    def __init__(self, original: Any, text: Proxy) -> None:
        self._original = original
        self._text = text

    def write(self, data: bytes | bytearray | memoryview) -> int:
        if self._text.keeps(copy := bytes(memoryview(data))):
            return len(copy)
        count: int = self._original.write(data)
        self._text.show(copy)
        return count

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)

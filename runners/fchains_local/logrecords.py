"""Fragments of output as records, one datagram each, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fchains.worker.logs import Fragment, Owner

LIMIT = 64 * 1024
"""Bytes of text that one record has at most, so that a line of this length is never torn."""

_SEPARATOR = b"\0"
_FIELDS = 6


def pieces(fragment: Fragment, limit: int = LIMIT) -> Iterator[Fragment]:
    """The fragment in parts of so many bytes, cut where a line ends if one does."""
    text = fragment.text
    if len(text) <= limit and _size(text) <= limit:
        yield fragment
        return
    length = limit if isinstance(text, bytes) or text.isascii() else limit // 4
    start = 0
    while start < len(text):
        end = start + length
        newline = -1 if end >= len(text) else _newline(text, start, end)
        end = end if newline < 0 else newline + 1
        yield replace(fragment, text=text[start:end])
        start = end


def encode(fragment: Fragment) -> bytes:
    """The record of a fragment; whose replica it is, the reader knows. Lone surrogates become ?."""
    owner, text = fragment.owner, fragment.text
    kind = "e" if fragment.ends else "b" if isinstance(text, bytes) else "t"
    head = f"{kind}\0{fragment.time!r}\0{owner.chainlet}\0{owner.call_id}\0{fragment.stream}\0"
    # Anybody may call a logger anything.
    head += f"{fragment.logger.replace(chr(0), '')}\0"
    return head.encode("utf-8", "replace") + (text if isinstance(text, bytes) else _encoded(text))


def decode(record: bytes, replica: str) -> Fragment:
    """The fragment of a record.

    Raises:
        ValueError: it is no record.
    """
    kind, time, chainlet, call_id, stream, logger, text = record.split(_SEPARATOR, _FIELDS)
    if kind not in (b"e", b"b", b"t"):
        raise ValueError(f"{kind!r} is no kind of record")
    return Fragment(
        Owner(chainlet.decode(), replica, call_id.decode()),
        stream.decode(),
        text if kind == b"b" else text.decode(),
        logger.decode(),
        float(time),
        ends=kind == b"e",
    )


def to_wire(fragment: Fragment) -> list[Any]:
    """The fragment as JSON values; bytes as latin-1, lone surrogates as ?."""
    owner, text = fragment.owner, fragment.text
    flags = isinstance(text, bytes) | fragment.raw << 1 | fragment.ends << 2
    shown = text.decode("latin-1") if isinstance(text, bytes) else _encoded(text).decode()
    return [
        owner.chainlet,
        owner.replica,
        owner.call_id,
        fragment.stream,
        shown,
        fragment.logger,
        fragment.time,
        flags,
    ]


def from_wire(values: list[Any]) -> Fragment:
    """The fragment of `to_wire`."""
    chainlet, replica, call_id, stream, text, logger, time, flags = values
    return Fragment(
        Owner(chainlet, replica, call_id),
        stream,
        text.encode("latin-1") if flags & 1 else text,
        logger,
        time,
        raw=bool(flags & 2),
        ends=bool(flags & 4),
    )


def _size(text: str | bytes) -> int:
    return len(text) if isinstance(text, bytes) or text.isascii() else len(_encoded(text))


def _newline(text: str | bytes, start: int, end: int) -> int:
    return text.rfind(b"\n", start, end) if isinstance(text, bytes) else text.rfind("\n", start, end)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")

"""Foreign value types that travel: an adapter turns one into JSON-like data and buffers, and back.

An adapter is found by the qualified names in a value's class hierarchy, so the library it
belongs to is imported only where a value of it exists or arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fchains.errors import SerializationError
from fchains.wire import arrays, foreign
from fchains.wire.payload import Buffer
from fchains.wire.refusal import Refused
from fchains.wire.tree import Reader, Tree, WriteHandler, Writer

TAG = "adapter"

Encoded = tuple[object, Sequence[Buffer]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How values of one foreign type travel."""

    type_name: str
    encode: Callable[[Any], Encoded]
    decode: Callable[[Any, Sequence[Buffer]], object]

    def write(self, writer: Writer, value: object) -> Tree:
        """The tree of a value of this type."""
        try:
            data, buffers = self.encode(value)
        except SerializationError as exc:
            raise Refused(str(exc)) from exc
        positions = [writer.put(buffer) for buffer in buffers]
        return {**writer.tag(TAG, writer.write(data)), "n": self.type_name, "b": positions}


def register(
    type_name: str,
    *,
    encode: Callable[[Any], Encoded],
    decode: Callable[[Any, Sequence[Buffer]], object],
) -> None:
    """Let values of a foreign type travel; call it in a module that both sides import.

    Args:
        type_name: `module.qualname` of the class; values of its subclasses arrive as what
            `decode` makes of them.
        encode: gives JSON-like data and buffers. It raises SerializationError, with what to pass
            instead, for a value that it cannot carry.
        decode: makes the value again; its buffers may be writable and may be kept without a copy.
    """
    _ADAPTERS[type_name] = Adapter(type_name, encode, decode)


def adapter_for(cls: type) -> Adapter | None:
    """The adapter of a class, or of the nearest base that has one."""
    for base in cls.__mro__:
        if adapter := _ADAPTERS.get(_qualified(base)):
            return adapter
    return None


def find_writer(cls: type) -> WriteHandler | None:
    """The handler for instances of a foreign class, if it has an adapter."""
    for base in cls.__mro__:
        name = _qualified(base)
        if name in _ADAPTERS:
            return _ADAPTERS[name].write
        if name == "numpy.generic":
            return _write_scalar
    return None


def _qualified(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def read(reader: Reader, tree: dict[str, Tree]) -> object:
    """The foreign value of a tree."""
    adapter = _ADAPTERS.get(tree["n"])
    if adapter is None:
        raise SerializationError(
            f"a {tree['n']!r} arrived, and no adapter for it is registered in this process:"
            " call fchains.wire.adapters.register() in a module that the chain imports"
        )
    return adapter.decode(reader.read(tree["v"]), [reader.buffer(index) for index in tree["b"]])


def _write_scalar(writer: Writer, value: Any) -> Tree:
    item = value.item()
    if value.dtype.kind not in "biufcSU" or isinstance(item, type(value)):
        raise Refused(f"a {value.dtype} scalar has no exact Python equal: pass a plain value")
    return writer.write(item)


_ADAPTERS: dict[str, Adapter] = {
    name: Adapter(name, encode, decode)
    for name, encode, decode in (
        ("numpy.ndarray", arrays.encode, arrays.decode),
        ("PIL.Image.Image", foreign.encode_image, foreign.decode_image),
        ("torch.Tensor", foreign.encode_tensor, foreign.decode_tensor),
        ("pyarrow.lib.Table", foreign.encode_arrow, foreign.decode_table),
        ("pyarrow.lib.RecordBatch", foreign.encode_arrow, foreign.decode_batch),
    )
}

"""How containers, bytes and plain kinds are written into a tagged tree, and read again."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

from fchains.wire.kinds import KINDS, Kind
from fchains.wire.refusal import Refused, key_step
from fchains.wire.tree import NATIVE, TAG, Reader, ReadHandler, Tree, WriteHandler, Writer

_FACTORIES: dict[str, Callable[[], object]] = {
    factory.__name__: factory
    for factory in (
        bool,
        bytes,
        dict,
        float,
        frozenset,
        int,
        list,
        set,
        str,
        tuple,
        Counter,
        OrderedDict,
        deque,
    )
}


def _write_dict(writer: Writer, value: dict[object, object]) -> Tree:
    trees: dict[str, Tree] = {}
    key: object = None
    try:
        for key, item in value.items():
            if type(key) is not str or key == TAG:
                return writer.tag("dict", _write_pairs(writer, value))
            trees[key] = item if type(item) in NATIVE else writer.write(item)
    except Refused as refused:
        refused.under(key_step(key))
        raise
    return trees


def _write_pairs(writer: Writer, value: Mapping[Any, object]) -> Tree:
    pairs: list[Tree] = []
    for key, item in value.items():
        try:
            pairs.append([writer.write(key), writer.write(item)])
        except Refused as refused:
            refused.under(key_step(key))
            raise
    return pairs


def _read_pairs(reader: Reader, tree: dict[str, Tree]) -> list[tuple[Any, Any]]:
    return [(reader.read(key), reader.read(item)) for key, item in tree["v"]]


def _items_handlers(tag: str, make: Callable[[Any], object]) -> tuple[WriteHandler, ReadHandler]:
    def write(writer: Writer, value: Any) -> Tree:
        return writer.tag(tag, writer.write_items(value))

    def read(reader: Reader, tree: dict[str, Tree]) -> object:
        return make(reader.read(tree["v"]))

    return write, read


def _pairs_handlers(tag: str, make: Callable[[Any], object]) -> tuple[WriteHandler, ReadHandler]:
    def write(writer: Writer, value: Any) -> Tree:
        return writer.tag(tag, _write_pairs(writer, value))

    def read(reader: Reader, tree: dict[str, Tree]) -> object:
        return make(_read_pairs(reader, tree))

    return write, read


def _kind_handlers(kind: Kind) -> tuple[WriteHandler, ReadHandler]:
    def write(writer: Writer, value: object) -> Tree:
        return writer.tag(kind.tag, kind.write(value))

    def read(_reader: Reader, tree: dict[str, Tree]) -> object:
        return kind.read(tree["v"])

    return write, read


def _write_deque(writer: Writer, value: deque[object]) -> Tree:
    return {**writer.tag("deque", writer.write_items(value)), "n": value.maxlen}


def _read_deque(reader: Reader, tree: dict[str, Tree]) -> deque[object]:
    return deque(reader.read(tree["v"]), tree["n"])


def _write_defaultdict(writer: Writer, value: defaultdict[Any, object]) -> Tree:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if name is not None and _FACTORIES.get(name) is not factory:
        raise Refused(f"its default_factory {factory!r} cannot travel: pass dict(value)")
    return {**writer.tag("defaultdict", _write_pairs(writer, value)), "f": name}


def _read_defaultdict(reader: Reader, tree: dict[str, Tree]) -> defaultdict[Any, object]:
    name = tree["f"]
    return defaultdict(None if name is None else _FACTORIES[name], _read_pairs(reader, tree))


def _write_buffer(tag: str) -> WriteHandler:
    def write(writer: Writer, value: bytes | bytearray) -> Tree:
        return writer.tag(tag, writer.put(value))

    return write


def _read_bytes(reader: Reader, tree: dict[str, Tree]) -> bytes:
    buffer = reader.buffer(tree["v"])
    return buffer if type(buffer) is bytes else bytes(buffer)


def _read_bytearray(reader: Reader, tree: dict[str, Tree]) -> bytearray:
    buffer = reader.buffer(tree["v"])
    return buffer if type(buffer) is bytearray else bytearray(buffer)


_ITEMS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (tuple, tuple),
    (set, set),
    (frozenset, frozenset),
)
_PAIRS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (dict, dict),
    (OrderedDict, OrderedDict),
    (Counter, lambda pairs: Counter(dict(pairs))),
)

WRITE: dict[type, WriteHandler] = {
    list: Writer.write_items,
    deque: _write_deque,
    defaultdict: _write_defaultdict,
    bytes: _write_buffer("bytes"),
    bytearray: _write_buffer("bytearray"),
    **{cls: _items_handlers(cls.__name__, make)[0] for cls, make in _ITEMS},
    **{cls: _pairs_handlers(cls.__name__, make)[0] for cls, make in _PAIRS},
    **{kind.type: _kind_handlers(kind)[0] for kind in KINDS},
    dict: _write_dict,
}

READ: dict[str, ReadHandler] = {
    "deque": _read_deque,
    "defaultdict": _read_defaultdict,
    "bytes": _read_bytes,
    "bytearray": _read_bytearray,
    **{cls.__name__: _items_handlers(cls.__name__, make)[1] for cls, make in _ITEMS},
    **{cls.__name__: _pairs_handlers(cls.__name__, make)[1] for cls, make in _PAIRS},
    **{kind.tag: _kind_handlers(kind)[1] for kind in KINDS},
}

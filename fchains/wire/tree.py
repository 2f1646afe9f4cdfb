"""One walk that writes values as a tagged JSON tree, and one that reads such a tree.

What the tags mean is said by the tables given to them: leaves, containers, objects, adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from pydantic_core import from_json, to_json

from fchains.errors import SerializationError
from fchains.wire.classes import ClassLookup
from fchains.wire.payload import Buffer, Payload
from fchains.wire.refusal import Refused

Tree = Any
"""A JSON tree, as `pydantic_core.from_json` makes it."""

TAG = "$"
NATIVE = frozenset((type(None), bool, int, float, str))
"""Types that JSON has itself; their exact instances are written as they are."""
_PARTED = (list, dict)
MAX_LEVELS = 190
"""Deepest nesting of values; the JSON parser reads 200 levels."""
_SAFE_LEVELS = 60
"""Nesting that always fits: a value makes three JSON levels at most."""

WriteHandler = Callable[["Writer", Any], Tree]
ReadHandler = Callable[["Reader", dict[str, Any]], object]


class Writer:
    """A walk over one value; it collects the buffers that it meets.

    Args:
        classes: decides which classes the receiver can find.
        handlers: how the exact types are written; `find` is asked for the others.
        find: gives the handler of a class, or raises Refused.
    """

    __slots__ = (
        "_deepest",
        "_find",
        "_found",
        "_handlers",
        "_level",
        "buffers",
        "classes",
        "names",
        "tagged",
    )

    def __init__(
        self,
        classes: ClassLookup,
        handlers: Mapping[type, WriteHandler],
        find: Callable[[type], WriteHandler],
    ) -> None:
        self.classes = classes
        self.buffers: list[Buffer] = []
        self.tagged = False
        self.names: dict[type, Tree] = {}
        self._handlers = handlers
        self._find = find
        self._found: dict[type, WriteHandler] = {}
        self._level = 0
        self._deepest = 0

    def write(self, value: object) -> Tree:
        """The tree of any value."""
        cls = type(value)
        if cls in NATIVE:
            return value
        handler = self._handlers.get(cls) or self._found.get(cls)
        if handler is None:
            handler = self._found[cls] = self._find(cls)
        self._level += 1
        if self._level > self._deepest:
            self._deepest = self._level
            if self._level > MAX_LEVELS:
                raise Refused("it contains itself, or is nested too deeply")
        try:
            return handler(self, value)
        except RecursionError as exc:
            raise Refused("it contains itself, or is nested too deeply") from exc
        finally:
            self._level -= 1

    def write_items(self, items: Sequence[object]) -> Tree:
        """The trees of a sequence's items."""
        trees: list[Tree] = []
        try:
            for item in items:
                trees.append(item if type(item) in NATIVE else self.write(item))  # noqa: PERF401 - for its length
        except Refused as refused:
            refused.under(f"[{len(trees)}]")
            raise
        return trees

    def write_state(self, state: Mapping[str, object]) -> Tree:
        """The trees of an object's attributes."""
        trees: dict[str, Tree] = {}
        name = ""
        try:
            for name, value in state.items():
                trees[name] = value if type(value) in NATIVE else self.write(value)
        except Refused as refused:
            refused.under(f".{name}")
            raise
        return trees

    def tag(self, tag: str, tree: Tree) -> dict[str, Tree]:
        """A tagged node."""
        self.tagged = True
        return {TAG: tag, "v": tree}

    def put(self, buffer: Buffer) -> int:
        """Set a buffer beside the body; gives its position."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def payload(self, tree: Tree) -> Payload:
        """The payload of a tree that this walk wrote."""
        try:
            body = to_json(tree, inf_nan_mode="constants")
        except ValueError as exc:
            raise Refused(f"it holds text that is not Unicode ({exc}): pass it as bytes") from exc
        if self._deepest > _SAFE_LEVELS:
            _check_depth(body)
        return Payload(body, tuple(self.buffers), tagged=True)


def _check_depth(body: bytes) -> None:
    try:
        from_json(body)
    except ValueError as exc:
        raise Refused(f"it is nested too deeply ({exc})") from exc


class Reader:
    """A walk over one tree; it makes the values that the tags name.

    Args:
        buffers: what came beside the body.
        classes: finds the classes that the tree names.
        handlers: how each tag is read.
    """

    __slots__ = ("_buffers", "_classes", "_handlers", "checked")

    def __init__(
        self, buffers: Sequence[Buffer], classes: ClassLookup, handlers: Mapping[str, ReadHandler]
    ) -> None:
        self._buffers = buffers
        self._classes = classes
        self._handlers = handlers
        self.checked: dict[tuple[str, str], type] = {}

    def read(self, tree: Tree) -> Any:
        """The value of a tree; lists and untagged objects of the tree are reused for it."""
        kind: Any = cast("object", type(tree))
        if kind is list:
            for index, item in enumerate(tree):
                if type(item) in _PARTED:
                    tree[index] = self.read(item)
            return tree
        if kind is not dict:
            return tree
        if TAG in tree:
            handler = self._handlers.get(tree[TAG])
            if handler is None:
                raise ValueError(f"the payload has an unknown tag {tree[TAG]!r}")
            return handler(self, tree)
        return self.read_state(tree)

    def read_state(self, tree: dict[str, Tree]) -> dict[str, Any]:
        """The values of a dictionary of trees, whatever its keys are."""
        for key, item in tree.items():
            if type(item) in _PARTED:
                tree[key] = self.read(item)
        return tree

    def buffer(self, index: Tree) -> Buffer:
        """A buffer by its position."""
        if type(index) is not int or not 0 <= index < len(self._buffers):
            raise ValueError(f"the payload refers to buffer {index!r}, it has {len(self._buffers)}")
        return self._buffers[index]

    def find(self, name: Tree) -> type:
        """The class of that name.

        Raises:
            SerializationError: this process does not know it.
        """
        if type(name) is not str:
            raise ValueError(f"the payload names a class by {name!r}")
        try:
            return self._classes.find(name)
        except LookupError as exc:
            raise SerializationError(f"a value of class {name!r} arrived: {exc.args[0]}") from exc

"""How numpy arrays travel: dtype, shape and order as data, the elements as one buffer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fchains.errors import SerializationError
from fchains.wire.payload import Buffer

if TYPE_CHECKING:
    import numpy as np


def encode(array: np.ndarray[Any, Any]) -> tuple[object, Sequence[Buffer]]:
    """The array's data, and a view of its elements where they are contiguous."""
    import numpy as np

    if type(array) is not np.ndarray and not isinstance(array, np.memmap):
        raise SerializationError(
            f"a {type(array).__module__}.{type(array).__qualname__} would arrive as a plain array:"
            " pass numpy.asarray(value)"
        )
    data = [describe(array.dtype), list(array.shape)]
    if array.nbytes == 0:
        return [*data, "C"], (b"",)
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return [*data, "F"], (_view(array.T),)
    return [*data, "C"], (_view(np.ascontiguousarray(array)),)


def _view(array: np.ndarray[Any, Any]) -> memoryview:
    elements: Any = array.reshape(-1).view("u1")
    return memoryview(elements)


def decode(data: Any, buffers: Sequence[Buffer]) -> np.ndarray[Any, Any]:
    """A writable array; it lies in the buffer itself when that is writable."""
    import numpy as np

    description, shape, order = data
    dtype = parse(description)
    (buffer,) = buffers
    view = memoryview(buffer)
    if view.nbytes == 0:
        return np.empty(tuple(shape), dtype)
    array = np.frombuffer(bytearray(view) if view.readonly else view, dtype)
    return array.reshape(tuple(shape), order=order)


@functools.lru_cache(maxsize=64)
def describe(dtype: np.dtype[Any]) -> Any:
    """A dtype as JSON-like data.

    Raises:
        SerializationError: its elements are not plain memory.
    """
    from numpy.lib import format as npy

    if not dtype.hasobject:
        description = npy.dtype_to_descr(dtype) if dtype.names else dtype.str
        try:
            if parse(description) == dtype:
                return description
        except (TypeError, ValueError):
            pass
    raise SerializationError(
        f"an array of dtype {dtype} cannot travel: pass a list, or convert it with astype()"
    )


def parse(description: Any) -> np.dtype[Any]:
    """The dtype of `describe`'s data, also after JSON made lists of the tuples in it."""
    import numpy as np
    from numpy.lib import format as npy

    if isinstance(description, str):
        return np.dtype(description)
    return npy.descr_to_dtype(_tuples(description))


def _tuples(fields: Any) -> Any:
    return fields if isinstance(fields, str) else [_field(*field) for field in fields]


def _field(name: Any, description: Any, shape: Any = ()) -> tuple[Any, ...]:
    name = name if isinstance(name, str) else tuple(name)
    return (name, _tuples(description), tuple(shape)) if shape else (name, _tuples(description))

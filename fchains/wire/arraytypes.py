"""What pydantic is told about numpy arrays: the dtype check, and a JSON form for HTTP and CLI.

In JSON an array is nested lists, or {"dtype", "shape", "data"} with the elements in base64.
"""

from __future__ import annotations

import base64
import typing
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import CoreSchema, PydanticCustomError, core_schema

if TYPE_CHECKING:
    import numpy as np
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    Array = np.ndarray[Any, Any]

_LIST_KINDS = "biuf"
_JSON_SCHEMA: dict[str, object] = {
    "anyOf": [
        {"type": "array", "items": {}},
        {"type": ["number", "boolean"]},
        {
            "type": "object",
            "properties": {
                "dtype": {"type": "string"},
                "shape": {"type": "array", "items": {"type": "integer"}},
                "data": {"type": "string", "contentEncoding": "base64"},
            },
            "required": ["dtype", "shape", "data"],
        },
    ]
}


def is_array(cls: object) -> bool:
    """Whether it is numpy.ndarray; numpy is not imported for the question."""
    return getattr(cls, "__name__", "") == "ndarray" and getattr(cls, "__module__", "") == "numpy"


def element_type(arguments: tuple[Any, ...]) -> Any:
    """The scalar type in the arguments of `NDArray[…]`, or None when it is not a single class."""
    if len(arguments) != 2:
        return None
    scalars = typing.get_args(arguments[1])
    if len(scalars) != 1 or scalars[0] is Any or not isinstance(scalars[0], type):
        return None
    return scalars[0]


class ArrayType:
    """Metadata of an annotation: a numpy array whose elements are of one scalar type.

    Args:
        scalar: a numpy scalar class such as numpy.float32, an abstract one, or None for any.
    """

    def __init__(self, scalar: Any) -> None:
        self.scalar = scalar

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        import numpy as np

        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_plain_validator_function(self.parse),
            python_schema=core_schema.no_info_after_validator_function(
                self.check, core_schema.is_instance_schema(np.ndarray)
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(render, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(_JSON_SCHEMA)

    def check(self, array: Array) -> Array:
        """The array itself, if its elements fit."""
        import numpy as np

        if self.scalar is not None and not np.issubdtype(array.dtype, self.scalar):
            raise PydanticCustomError(
                "array_dtype",
                "Input should be an array of {expected}, its dtype is {actual}",
                {"expected": self.scalar.__name__, "actual": str(array.dtype)},
            )
        return array

    def parse(self, value: Any) -> Array:
        """An array from its JSON form."""
        import numpy as np

        try:
            if isinstance(value, dict):
                return self.check(_parse_object(cast("dict[str, Any]", value)))
            array = np.array(value)
            if array.dtype.kind not in _LIST_KINDS:
                raise ValueError("its items are not numbers or booleans in lists of equal length")
            return self.check(array if self._is_abstract() else array.astype(self.scalar))
        except PydanticCustomError:
            raise
        except Exception as exc:
            raise PydanticCustomError(
                "array_form", "Input should be an array: {reason}", {"reason": str(exc)}
            ) from exc

    def _is_abstract(self) -> bool:
        return self.scalar is None or bool(self.scalar.__subclasses__())


def _parse_object(value: dict[str, Any]) -> Array:
    import numpy as np

    missing = {"dtype", "shape", "data"} - value.keys()
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} missing beside {', '.join(value)}")
    data = base64.b64decode(value["data"], validate=True)
    return np.frombuffer(bytearray(data), np.dtype(value["dtype"])).reshape(value["shape"])


def render(array: Array) -> object:
    """The JSON form of an array: lists where these are exact."""
    import numpy as np

    if array.dtype.kind in _LIST_KINDS and array.dtype.itemsize <= 8 and array.size:
        return array.tolist()
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "data": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
    }

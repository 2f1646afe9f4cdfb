"""Types with validators and serializers of their own."""

from typing import Annotated, Any

import pytest
from pydantic import Field, HttpUrl, SecretStr
from pydantic_core import CoreSchema, core_schema

from fchains.errors import SerializationError
from fchains.wire.codec import Codec
from tests.wire import samples
from tests.wire.equality import same


def carried(annotation: Any, value: Any) -> Any:
    codec: Codec[Any] = Codec(annotation)
    return codec.decode(codec.encode(value, what="value"))


class Celsius:
    """Describes itself to pydantic."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls, core_schema.float_schema()),
            python_schema=core_schema.is_instance_schema(cls),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.degrees),
        )


def test_a_foreign_type_with_a_form_of_its_own_travels_in_it() -> None:
    assert carried(samples.ForeignNumber, samples.Foreign(3)) == samples.Foreign(3)
    assert carried(list[samples.ForeignNumber], [samples.Foreign(3)]) == [samples.Foreign(3)]
    assert carried(list[Celsius], [Celsius(1.5)])[0].degrees == 1.5


def test_a_model_with_such_a_field_travels() -> None:
    value = samples.Holder(foreign=samples.Foreign(4))
    assert carried(samples.Holder, value).foreign == samples.Foreign(4)


def test_such_a_form_is_not_used_where_it_would_lose_something() -> None:
    with pytest.raises(SerializationError, match="Celsius"):
        carried(tuple[Celsius, SecretStr], (Celsius(1.5), SecretStr("word")))


def test_validators_of_a_parameter_run_once_where_it_arrives() -> None:
    calls: list[str] = []

    def note(value: str) -> str:
        calls.append(value)
        return value + "!"

    from pydantic import AfterValidator

    assert carried(Annotated[str, AfterValidator(note)], "a") == "a!"
    assert calls == ["a"]
    assert carried(samples.Upper, "a") == "A"
    assert carried(samples.Lenient, 2) == 2


def test_constraints_are_checked_where_a_value_arrives() -> None:
    assert carried(Annotated[int, Field(ge=0)], 1) == 1
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        carried(Annotated[int, Field(ge=0)], -1)


def test_secrets_and_urls_travel_whole() -> None:
    assert same(carried(SecretStr, SecretStr("word")), SecretStr("word"))
    assert same(carried(dict[str, HttpUrl], {"a": HttpUrl("http://a.b")}), {"a": HttpUrl("http://a.b")})

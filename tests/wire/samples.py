"""Classes that the codec's tests send; at module level, so that any process could find them."""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    RootModel,
    computed_field,
    field_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mood(enum.StrEnum):
    GOOD = "good"
    BAD = "bad"


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Odd(enum.Enum):
    PAIR = (1, 2)
    NAN = 1.5


class Point(BaseModel):
    x: int
    y: int


class Place(BaseModel):
    """Has the fields of Point."""

    x: int
    y: int


class Point3(Point):
    z: int = 0


class Reading(BaseModel):
    value: float
    maybe: float | None = None
    color: Color = Color.RED
    at: datetime | None = None


class Basket(BaseModel):
    items: list[Place] = []
    labels: dict[str, int] = Field(default_factory=dict[str, int])
    owner: str = "nobody"


class Ticket(BaseModel):
    id: UUID = Field(default_factory=uuid4)


class Tree(BaseModel):
    value: int
    left: Tree | None = None
    right: Tree | None = None


class Aliased(BaseModel):
    inner_name: int = Field(alias="innerName")
    other: str = Field(default="", validation_alias="OTHER", serialization_alias="other_out")


class Populated(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    inner_name: int = Field(alias="innerName")


class Hashed(BaseModel):
    """Its validator must run only once."""

    secret: str

    @field_validator("secret")
    @classmethod
    def _hash(cls, value: str) -> str:
        return f"hash({value})"


class Private(BaseModel):
    name: str
    _seen: int = PrivateAttr(default=0)

    def see(self) -> int:
        self._seen += 1
        return self._seen


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str

    @computed_field
    def shout(self) -> str:
        return self.name.upper()


class Hidden(BaseModel):
    shown: int
    hidden: int = Field(default=0, exclude=True)


class Anything(BaseModel):
    value: Any


class Numbers(RootModel[list[int]]):
    pass


class Box(BaseModel, Generic[T]):
    content: T


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


@dataclasses.dataclass
class Area:
    """Has the fields of Size."""

    width: int
    height: int = 1


@dataclasses.dataclass
class Volume(Size):
    depth: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    tags: tuple[str, ...] = ()


@dataclasses.dataclass
class Derived:
    text: str
    length: int = dataclasses.field(init=False)
    doubled: dataclasses.InitVar[bool] = False

    def __post_init__(self, doubled: bool) -> None:
        self.length = len(self.text) * (2 if doubled else 1)
        self.text += "!"


@dataclasses.dataclass
class Crate(Generic[T]):
    content: T


@dataclasses.dataclass
class Shelf:
    sizes: list[Area]
    place: Place | None = None
    value: float | None = None


@pydantic_dataclass
class Checked:
    count: Annotated[int, Field(ge=0)]
    name: str = ""


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Options(TypedDict):
    depth: int
    name: NotRequired[str]
    value: NotRequired[float | None]


class Foreign:
    """A class of another library, which the codec knows nothing of."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


def _foreign_number(value: Foreign) -> int:
    return value.number


def _make_foreign(value: Any) -> Foreign:
    return value if isinstance(value, Foreign) else Foreign(value)


def _upper(value: str) -> str:
    return value.upper()


def _strict_foreign(value: Any) -> Foreign:
    if not isinstance(value, int):
        raise ValueError("a number is needed")
    return Foreign(value)


ForeignNumber = Annotated[Foreign, PlainValidator(_strict_foreign), PlainSerializer(_foreign_number)]
Upper = Annotated[str, AfterValidator(_upper)]
Lenient = Annotated[int, BeforeValidator(int)]


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    foreign: Annotated[Foreign, PlainValidator(_make_foreign), PlainSerializer(_foreign_number)]

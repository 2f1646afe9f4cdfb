from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fchains.errors import SerializationError
from fchains.wire import adapters
from fchains.wire.classes import ClassLookup
from fchains.wire.codec import Codec, UntransferableType
from fchains.wire.payload import Buffer, Payload
from fchains.wire.tagged import decode_tagged, encode_tagged
from tests.wire import samples

Array = np.ndarray[Any, Any]


def carried(value: Any) -> Any:
    return decode_tagged(encode_tagged(value, ClassLookup(), what="value"), ClassLookup())


_dtypes = st.sampled_from(
    [
        *("?", "i1", "<i4", ">i4", "u8", "f2", "<f4", ">f8", "c8", "S3", "U2", "M8[ns]", "m8[s]"),
        [("a", "<f4"), ("b", ">i2", (2,))],
        [("p", [("x", "u1"), ("y", "f8")]), ("q", "U1")],
    ]
)
_shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@settings(max_examples=100, deadline=None)
@given(_dtypes, _shapes, st.sampled_from(["C", "F", "sliced", "read-only"]))
def test_arrays_keep_elements_dtype_shape_and_order(
    description: Any, shape: tuple[int, ...], form: str
) -> None:
    array: Array = np.zeros(shape, np.dtype(description))
    filler = np.arange(array.nbytes, dtype="u1") % 100
    array = np.frombuffer(bytearray(filler.tobytes()), array.dtype).reshape(shape) if array.nbytes else array
    if form == "F":
        array = np.asfortranarray(array)
    elif form == "sliced":
        array = np.concatenate([array, array])[::2] if array.ndim else array
    elif form == "read-only":
        array.flags.writeable = False
    arrived = carried(array)
    assert type(arrived) is np.ndarray
    assert arrived.dtype == array.dtype
    assert arrived.shape == array.shape
    assert arrived.tobytes() == array.tobytes()
    assert arrived.flags.writeable
    assert arrived.flags.c_contiguous or array.flags.f_contiguous


def test_an_array_is_sent_without_a_copy() -> None:
    array = np.arange(10.0)
    (buffer,) = encode_tagged(array, ClassLookup(), what="value").buffers
    assert np.shares_memory(np.frombuffer(buffer), array)


def test_a_detached_payload_shares_no_memory_with_the_sender() -> None:
    array = np.arange(10.0)
    payload = encode_tagged([array, b"abc"], ClassLookup(), what="value")
    detached = payload.detached()
    array[:] = 0
    assert decode_tagged(detached, ClassLookup())[0][5] == 5.0
    assert detached.buffers[1] is payload.buffers[1]
    assert detached.size == payload.size == len(payload.body) + 83


def test_an_array_lies_in_a_writable_buffer_as_it_came() -> None:
    payload = encode_tagged(np.arange(4, dtype="u1"), ClassLookup(), what="value")
    received = bytearray(payload.buffers[0])
    array = decode_tagged(Payload(payload.body, (memoryview(received),), tagged=True), ClassLookup())
    array[0] = 9
    assert received[0] == 9


def test_an_array_from_immutable_bytes_is_writable() -> None:
    payload = encode_tagged(np.arange(4, dtype="u1"), ClassLookup(), what="value")
    received = bytes(payload.buffers[0])
    array = decode_tagged(Payload(payload.body, (received,), tagged=True), ClassLookup())
    array[0] = 9
    assert received[0] == 0


def test_bytes_arrive_without_a_copy_and_in_their_own_type() -> None:
    data = b"abc"
    assert carried(data) is data
    received = bytearray(b"abc")
    assert carried(received) is received
    payload = Payload(b'{"$":"bytes","v":0}', (memoryview(received),), tagged=True)
    assert decode_tagged(payload, ClassLookup()) == b"abc"


def test_the_dtype_of_an_annotation_is_checked() -> None:
    codec: Codec[NDArray[np.float32]] = Codec(NDArray[np.float32])
    array = np.ones(3, "f4")
    assert codec.decode(codec.encode(array, what="value")).dtype == np.float32
    wrong: Any = np.ones(3)
    with pytest.raises(ValidationError, match="array of float32, its dtype is float64"):
        codec.decode(codec.encode(wrong, what="value"))
    wrong = [1.0]
    with pytest.raises(ValidationError, match="instance of ndarray"):
        codec.decode(codec.encode(wrong, what="value"))


@pytest.mark.parametrize(
    "annotation", [np.ndarray, NDArray[Any], NDArray[np.floating[Any]], NDArray[np.float64]]
)
def test_abstract_annotations_take_every_array_of_theirs(annotation: Any) -> None:
    codec: Codec[Any] = Codec(list[annotation])
    assert codec.decode(codec.encode([np.ones(3)], what="value"))[0].tolist() == [1.0, 1.0, 1.0]


class Grid(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    cells: Array


def test_arrays_travel_in_models_and_dataclasses() -> None:
    codec: Codec[Any] = Codec(tuple[Grid, samples.Crate[Array]])
    value = (Grid(cells=np.eye(2)), samples.Crate[Array](np.eye(3)))
    grid, crate = codec.decode(codec.encode(value, what="value"))
    assert grid.cells.tolist() == np.eye(2).tolist()
    assert crate.content.shape == (3, 3)


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.array(1.5), np.zeros((0, 3)), np.array([1j]), np.array([True])]
)
def test_arrays_have_a_json_form(array: Array) -> None:
    codec: Codec[Array] = Codec(np.ndarray)
    arrived = codec.parse_json(codec.render_json(array))
    assert arrived.dtype == array.dtype
    assert np.array_equal(arrived, array)
    assert codec.json_schema()["anyOf"]


class Sound:
    """A foreign class with an adapter."""

    def __init__(self, rate: int, samples: bytes) -> None:
        self.rate = rate
        self.samples = samples


def _encode(sound: Sound) -> tuple[object, Sequence[Buffer]]:
    if sound.rate < 0:
        raise SerializationError("a Sound that runs backwards cannot travel: pass its reverse")
    return {"rate": sound.rate, "channels": (1, 2)}, (sound.samples,)


def _decode(data: Any, buffers: Sequence[Buffer]) -> Sound:
    assert data["channels"] == (1, 2)
    return Sound(data["rate"], bytes(buffers[0]))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "_ADAPTERS", dict(adapters._ADAPTERS))  # pyright: ignore[reportPrivateUsage]
    adapters.register(f"{__name__}.Sound", encode=_encode, decode=_decode)


@pytest.mark.usefixtures("registered")
def test_a_registered_type_travels() -> None:
    codec: Codec[Any] = Codec(list[Sound])
    (arrived,) = codec.decode(codec.encode([Sound(8000, b"ab")], what="value"))
    assert type(arrived) is Sound
    assert (arrived.rate, arrived.samples) == (8000, b"ab")
    assert codec.json_schema()["type"] == "array"


@pytest.mark.usefixtures("registered")
def test_an_adapter_may_refuse_a_value() -> None:
    with pytest.raises(SerializationError, match=r"^value\[0\]: a Sound that runs backwards"):
        encode_tagged([Sound(-1, b"")], ClassLookup(), what="value")


def test_a_type_without_an_adapter_is_refused_at_both_ends() -> None:
    with pytest.raises(UntransferableType, match="Sound"):
        Codec(Sound)
    body = b'{"$":"adapter","n":"music.Sound","v":null,"b":[]}'
    with pytest.raises(SerializationError, match="no adapter for it is registered"):
        decode_tagged(Payload(body, (), tagged=True), ClassLookup())


def test_pictures_travel() -> None:
    image_module = pytest.importorskip("PIL.Image")
    for mode in ("L", "RGB", "RGBA", "1", "P", "I;16", "F"):
        image = image_module.new(mode, (5, 3))
        arrived = carried(image)
        assert (arrived.mode, arrived.size, arrived.tobytes()) == (mode, (5, 3), image.tobytes())
        assert arrived.getpalette() == image.getpalette()


def test_tensors_travel() -> None:
    torch = pytest.importorskip("torch")
    for tensor in (torch.arange(6).reshape(2, 3).T, torch.ones(2, dtype=torch.bfloat16), torch.tensor(1.5)):
        arrived = carried(tensor)
        assert arrived.dtype == tensor.dtype
        assert torch.equal(arrived, tensor)
    assert carried(torch.zeros(0, 3)).shape == (0, 3)
    with pytest.raises(SerializationError, match=r"detach\(\)"):
        carried(torch.ones(1, requires_grad=True))


def test_arrow_tables_travel() -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"a": [1, None], "b": ["x", "y"]})
    assert carried(table).equals(table)
    (batch,) = table.to_batches()
    assert carried(batch).equals(batch)

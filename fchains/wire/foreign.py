"""How PIL images, torch tensors and Arrow tables travel."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from fchains.errors import SerializationError
from fchains.wire.payload import Buffer


def _library(name: str) -> Any:
    """A library that is there only where a value of it exists or arrives."""
    return importlib.import_module(name)


def encode_image(image: Any) -> tuple[object, Sequence[Buffer]]:
    """The pixels as they are in memory, with the palette; an opened file is read for it."""
    palette = image.getpalette(image.palette.mode) if image.palette is not None else None
    mode = image.palette.mode if image.palette is not None else None
    return [image.mode, list(image.size), palette, mode], (image.tobytes(),)


def decode_image(data: Any, buffers: Sequence[Buffer]) -> object:
    """A PIL.Image.Image, whatever class of image file it came from."""
    library = _library("PIL.Image")
    mode, size, palette, palette_mode = data
    (pixels,) = buffers
    image: Any = library.frombytes(mode, tuple(size), bytes(pixels))
    if palette is not None:
        image.putpalette(palette, palette_mode)
    return image


def encode_tensor(tensor: Any) -> tuple[object, Sequence[Buffer]]:
    """A dense tensor in main memory."""
    torch = _library("torch")
    if type(tensor) is not torch.Tensor:
        raise SerializationError(f"a {type(tensor).__qualname__} would arrive as a Tensor: pass value.data")
    if tensor.device.type != "cpu":
        raise SerializationError(f"a tensor on {tensor.device} cannot travel: pass value.cpu()")
    if tensor.requires_grad:
        raise SerializationError("a tensor that requires gradients cannot travel: pass value.detach()")
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise SerializationError("a sparse or quantized tensor cannot travel: pass a dense one")
    dtype = str(tensor.dtype).removeprefix("torch.")
    # Not every torch dtype is known to numpy, so the elements cross as bytes.
    flat = tensor.contiguous().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)
    return [dtype, list(tensor.shape)], (memoryview(flat.numpy()),)


def decode_tensor(data: Any, buffers: Sequence[Buffer]) -> object:
    """A tensor; it lies in the buffer itself when that is writable."""
    torch = _library("torch")
    name, shape = data
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{name!r} is not a torch dtype")
    (buffer,) = buffers
    view = memoryview(buffer)
    if view.nbytes == 0:
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(view) if view.readonly else view, dtype=dtype)
    return flat.reshape(shape)


def encode_arrow(table: Any) -> tuple[object, Sequence[Buffer]]:
    """The Arrow IPC stream of a table or a record batch."""
    arrow = _library("pyarrow")
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write(table)
    return None, (memoryview(sink.getvalue()),)


def decode_table(_data: Any, buffers: Sequence[Buffer]) -> object:
    """A pyarrow.Table; its columns lie in the buffer."""
    arrow = _library("pyarrow")
    return arrow.ipc.open_stream(arrow.py_buffer(buffers[0])).read_all()


def decode_batch(_data: Any, buffers: Sequence[Buffer]) -> object:
    """A pyarrow.RecordBatch; its columns lie in the buffer."""
    arrow = _library("pyarrow")
    return arrow.ipc.open_stream(arrow.py_buffer(buffers[0])).read_next_batch()

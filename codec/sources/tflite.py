"""TensorFlow Lite models: flatbuffers of the schema "TFL3", whose buffers hold the constant tensors.

    Model     1: operator_codes  2: subgraphs [SubGraph]  4: buffers [Buffer]
    SubGraph  0: tensors [Tensor]
    Tensor    0: shape [i32]  1: type i8  2: buffer u32  3: name string
    Buffer    0: data [u8]  1: offset u64  2: size u64 (of data behind the flatbuffer, where it is over 2 GiB)

The first tensor that uses a buffer says what it holds, if its shape and type give as many bytes; else (sparse tensors,
strings, metadata) the buffer is opaque. So is one of fewer than :data:`_LEAST` bytes: the shapes and axes that
operators take as tensors; a span of its own for each is 0.3 % of dtln-model_quant_2-tflite-i8.tflite.
"""

from __future__ import annotations

import math
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX
from codec.sources.flatbuffer import Table, root
from codec.sources.segment import Look, RefusedError, Segment, tiled
from codec.sources.window import Window

#: TensorType -> our type, and how many of its elements are one of theirs.
TYPES: Final[dict[int, tuple[str, int]]] = {
    0: ("F32", 1),
    1: ("F16", 1),
    2: ("I32", 1),
    3: ("U8", 1),
    4: ("I64", 1),
    6: ("BOOL", 1),
    7: ("I16", 1),
    8: ("C64", 1),
    9: ("I8", 1),
    10: ("F64", 1),
    11: ("F64", 2),
    12: ("U64", 1),
    15: ("U32", 1),
    16: ("U16", 1),
    18: ("BF16", 1),
}
#: Those of which several share a byte -> bits of each. Given as U8.
PACKED: Final = {17: 4, 19: 2, 20: 4}

#: Bytes of a tensor that is worth a span of its own.
_LEAST: Final = 32


def parse(look: Look) -> list[Segment]:
    """The segments of a TensorFlow Lite model. Needs random access.

    Raises RefusedError if it is none, or an offset in it leads astray.
    """
    if look.peek(8)[4:] != b"TFL3":
        raise RefusedError("no TensorFlow Lite model")
    window = Window(look)
    model = root(window)
    buffers = model.tables(4)
    found: dict[int, Segment] = {}
    seen = set[int]()
    for graph in model.tables(2):
        for at in Table(window, graph).tables(0):
            tensor = Table(window, at)
            number = tensor.number(2, 4)
            if number in seen or number == 0:  # buffer 0 is that of tensors without one
                continue
            if number >= len(buffers):
                raise RefusedError(f"a tensor has buffer {number} of {len(buffers)}")
            seen.add(number)
            segment = _segment(window, tensor, Table(window, buffers[number]))
            if segment is not None and found.setdefault(segment.start, segment) != segment:
                raise RefusedError(f"two tensors lie at byte {segment.start}")
    return tiled(found.values(), look.size)


def _segment(window: Window, tensor: Table, buffer: Table) -> Segment | None:
    """What a tensor has in a buffer; None if nothing, or something else than its type and shape say."""
    start, size = buffer.vector(0, 1)
    if not size:
        start, size = buffer.number(1, 8), buffer.number(2, 8)
        if start <= 1:
            return None
        if start + size > window.size:
            raise RefusedError(f"buffer of {size} bytes at byte {start} lies outside of {window.size}")
    if size < _LEAST:
        return None
    kind, shape = tensor.number(1, 1), tensor.numbers(0, 4, DIMENSIONS_MAX)
    if any(d < 0 for d in shape):
        return None
    if kind in PACKED:
        dtype, shape = "U8", [-(-math.prod(shape) * PACKED[kind] // 8)]
    elif kind in TYPES:
        dtype, parts = TYPES[kind]
        shape = [*shape, parts] if parts > 1 else shape
    else:
        return None
    if math.prod(shape) * DTYPES[dtype].bits != 8 * size:
        return None
    return Segment(start, start + size, tensor.text(3), dtype, tuple(shape))

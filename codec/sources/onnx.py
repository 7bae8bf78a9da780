"""ONNX models: tensors in raw_data, float_data and double_data of initializers, attributes and subgraphs.

A model is a protocol buffer (onnx.proto) without a magic number. It is taken for one if it has an ir_version first,
one graph, and no field that ModelProto does not have. All that is not the elements of a tensor is opaque. Numbers as
varints (int32_data and the like) have no name: they are no array. A tensor of fewer than :data:`_LEAST` bytes is
opaque: the shapes and axes that operators take as tensors.

Tensors in files of their own (data_location EXTERNAL) are not in this file; the other file is opaque, as it has no
structure. To type it one would need the model beside it, which names path, offset and length of each (external_data).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX
from codec.sources import protobuf
from codec.sources.protobuf import BYTES, DEPTH_MAX, FIXED32, FIXED64, VARINT, Field, fields
from codec.sources.segment import Look, Packed, RefusedError, Segment, tiled
from codec.sources.window import Window

#: TensorProto.DataType -> our type, and how many of its elements are one of theirs.
TYPES: Final[dict[int, tuple[str, int]]] = {
    1: ("F32", 1),
    2: ("U8", 1),
    3: ("I8", 1),
    4: ("U16", 1),
    5: ("I16", 1),
    6: ("I32", 1),
    7: ("I64", 1),
    9: ("BOOL", 1),
    10: ("F16", 1),
    11: ("F64", 1),
    12: ("U32", 1),
    13: ("U64", 1),
    14: ("C64", 1),
    15: ("F64", 2),
    16: ("BF16", 1),
    17: ("F8_E4M3", 1),
    18: ("F8_E4M3FNUZ", 1),
    19: ("F8_E5M2", 1),
    20: ("F8_E5M2FNUZ", 1),
    24: ("F8_E8M0", 1),
}
#: Those of which several share a byte -> bits of each. Given as U8.
PACKED: Final = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}
#: Field of TensorProto -> its type and the DataTypes whose elements it holds.
_TYPED: Final = {4: ("F32", (1, 14)), 10: ("F64", (11, 15))}
#: Those that hold numbers as varints, and whose.
_VARINTS: Final = {5: (2, 3, 4, 5, 6, 10, 16), 7: (7,), 11: (12, 13)}
_EXTERNAL: Final = 1

#: ModelProto: number of a field -> its wire type.
_MODEL: Final = {
    **dict.fromkeys((1, 5), VARINT),
    **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES),
}
#: Bytes of a tensor that is worth a span of its own.
_LEAST: Final = 32


def parse(look: Look) -> list[Segment]:
    """The segments of an ONNX model. Needs random access: payloads are passed over.

    Raises RefusedError if it is none, or breaks a rule of the format.

    >>> tensor = b"\\x08\\x08" b"\\x10\\x01" b"\\x42\\x01w" b"\\x4a\\x20" + bytes(32)
    >>> model = b"\\x08\\x08" b"\\x3a\\x2b" b"\\x2a\\x29" + tensor
    >>> [(s.start, s.stop, s.name, s.dtype, s.shape) for s in parse(Look.of(model))]
    [(0, 15, '', '', ()), (15, 47, 'w', 'F32', (8,))]
    """
    if look.peek(1) != b"\x08":
        raise RefusedError("no ONNX model: no ir_version at its start")
    walk = _Walk(Window(look))
    graphs = 0
    for f in fields(walk.window, 0, walk.window.size):
        if _MODEL.get(f.number) != f.wire:
            raise RefusedError(f"no ONNX model: field {f.number} of wire type {f.wire}")
        if f.number == 7:
            graphs += 1
            walk.graph(f, 1)
        elif f.number == 25:
            walk.nodes(f, 7, 1)
    if graphs != 1:
        raise RefusedError(f"no ONNX model: {graphs} graphs")
    return tiled(walk.found, look.size)


class _Walk:
    """Goes through a model's messages and gathers the tensors. ``depth``: messages around what is looked at."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.found: list[Segment] = []

    def _fields(self, message: Field, depth: int) -> Iterator[Field]:
        if message.wire != BYTES:
            raise RefusedError(f"field {message.number} at byte {message.start} is no message")
        if depth > DEPTH_MAX:
            raise RefusedError(f"messages nested deeper than {DEPTH_MAX}")
        return fields(self.window, message.start, message.stop)

    def graph(self, graph: Field, depth: int) -> None:
        """GraphProto: nodes, initializers."""
        for f in self._fields(graph, depth):
            if f.number == 1:
                self.node(f, depth + 1)
            elif f.number == 5:
                self.tensor(f, depth + 1)
            elif f.number == 15:
                self.sparse(f, depth + 1)

    def nodes(self, message: Field, number: int, depth: int) -> None:
        """FunctionProto: nodes."""
        for f in self._fields(message, depth):
            if f.number == number:
                self.node(f, depth + 1)

    def node(self, node: Field, depth: int) -> None:
        """NodeProto: attributes. A tensor that has no name there has that of the node's output."""
        large: list[Field] = []
        output: Field | None = None
        for f in self._fields(node, depth):
            if f.number == 5 and f.stop - f.start >= _LEAST:
                large.append(f)
            elif f.number == 2 and f.wire == BYTES and output is None:
                output = f
        name = self.window.text(output.start, output.stop) if output and large else ""
        for attribute in large:
            for f in self._fields(attribute, depth + 1):
                if f.number in (5, 10):
                    self.tensor(f, depth + 2, name)
                elif f.number in (6, 11):
                    self.graph(f, depth + 2)
                elif f.number in (22, 23):
                    self.sparse(f, depth + 2)

    def sparse(self, message: Field, depth: int) -> None:
        """SparseTensorProto: values and their indices; these have no name of their own."""
        for f in self._fields(message, depth):
            if f.number in (1, 2):
                self.tensor(f, depth + 1)

    def tensor(self, message: Field, depth: int, name: str = "") -> None:
        """TensorProto: its elements if they are here and in an array."""
        shape: list[int] = []
        data: Field | None = None
        numbers: Field | None = None
        kind = place = count = 0
        for f in self._fields(message, depth):
            if f.number == 1 and f.wire in (VARINT, BYTES):
                shape += protobuf.packed(self.window, f, DIMENSIONS_MAX - len(shape))
            elif f.number == 2:
                kind = f.value
            elif f.number == 8 and f.wire == BYTES and f.stop > f.start:
                name = self.window.text(f.start, f.stop)
            elif f.number in (4, 9, 10) and f.wire in (BYTES, FIXED32, FIXED64):
                data, count = f, count + 1
            elif f.number in _VARINTS and f.wire == BYTES:
                numbers, count = f, count + 1
            elif f.number == 14:
                place = f.value
        if numbers is not None and count == 1 and place != _EXTERNAL:
            self.varints(numbers, kind, shape)
        if data is None or count > 1 or data.wire != BYTES or place == _EXTERNAL:
            return  # none, numbers one by one, or in pieces
        if any(d >> 63 for d in shape):
            raise RefusedError(f"a dimension of a tensor at byte {message.start} is negative")
        if data.number == 9:
            found = _raw(kind, shape)
        else:
            dtype, kinds = _TYPED[data.number]
            found = (dtype, [*shape, 2] if kind != kinds[0] else shape) if kind in kinds else None
        if found is None:
            return
        dtype, shape = found
        if math.prod(shape) * DTYPES[dtype].bits != 8 * (data.stop - data.start):
            raise RefusedError(
                f"tensor at byte {message.start}: {data.stop - data.start} bytes, shape {tuple(shape)} of {dtype}"
            )
        if data.stop - data.start >= _LEAST:
            self.found.append(Segment(data.start, data.stop, name, dtype, tuple(shape), listed=name != ""))

    def varints(self, data: Field, kind: int, shape: list[int]) -> None:
        """Elements as varints: int32_data has integers of up to 32 bits so, and the bits of floats of 16."""
        if (
            kind not in _VARINTS[data.number]
            or data.stop - data.start < _LEAST
            or self.window.read(data.stop - 1, 1) > b"\x7f"
        ):
            return
        dtype = TYPES[kind][0]
        columns = shape[-1] if shape and 0 < shape[-1] < 1 << 31 else 1
        floats = dtype if dtype in ("F16", "BF16") else ""
        self.found.append(Segment(data.start, data.stop, packed=Packed(columns, signed=False, dtype=floats)))


def _raw(kind: int, shape: list[int]) -> tuple[str, list[int]] | None:
    """Type and shape of raw_data; None if they are not known."""
    if kind in PACKED:
        return "U8", [-(-math.prod(shape) * PACKED[kind] // 8)]
    if kind not in TYPES:
        return None
    dtype, parts = TYPES[kind]
    return dtype, [*shape, parts] if parts > 1 else shape

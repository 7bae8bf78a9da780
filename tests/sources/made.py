"""Files of each format made by hand, from the format alone: as right, or as wrong, as a test needs them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

NOISE = random.Random(20250102).randbytes(1 << 14)

Array = tuple[int, tuple[int, ...], bytes]
"""Number of the type in the format, shape (slowest first), bytes."""


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


# GGUF


def gguf_string(text: str | bytes) -> bytes:
    raw = text if isinstance(text, bytes) else text.encode()
    return u64(len(raw)) + raw


def gguf_array(kind: int, values: Sequence[bytes]) -> bytes:
    """An array as the value of a pair, or in another array."""
    return u32(kind) + u64(len(values)) + b"".join(values)


def gguf_info(name: str | bytes, kind: int, shape: Sequence[int], offset: int) -> bytes:
    """A tensor in the list; the shape slowest first."""
    return gguf_string(name) + u32(len(shape)) + b"".join(map(u64, shape[::-1])) + u32(kind) + u64(offset)


def gguf_file(
    tensors: Mapping[str, Array],
    pairs: Mapping[str, tuple[int, bytes]] | None = None,
    *,
    alignment: int = 32,
    version: int = 3,
) -> bytes:
    pairs = pairs or {}
    head = b"".join(gguf_string(key) + u32(kind) + value for key, (kind, value) in pairs.items())
    data = b""
    for name, (kind, shape, held) in tensors.items():
        data += bytes(-len(data) % alignment)
        head += gguf_info(name, kind, shape, len(data))
        data += held
    head = b"GGUF" + u32(version) + u64(len(tensors)) + u64(len(pairs)) + head
    return head + bytes(-len(head) % alignment) + data


# Protocol buffers


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def pb(number: int, value: int | str | bytes) -> bytes:
    """A field: a varint, or bytes (a string, a message)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value if isinstance(value, bytes) else value.encode()
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def onnx_tensor(name: str, kind: int, shape: Sequence[int], data: bytes, field: int = 9) -> bytes:
    dims = b"".join(pb(1, d) for d in shape)
    return dims + pb(2, kind) + (pb(8, name) if name else b"") + pb(field, data)


def onnx_node(attributes: Sequence[bytes], output: str = "out") -> bytes:
    return pb(1, "in") + pb(2, output) + pb(4, "Constant") + b"".join(pb(5, a) for a in attributes)


def onnx_model(graph: bytes, more: bytes = b"") -> bytes:
    return pb(1, 8) + pb(2, "by hand") + pb(7, graph) + pb(8, pb(1, "") + pb(2, 17)) + more


# FlatBuffers


def fb_table(fields: Mapping[int, bytes]) -> tuple[bytes, dict[int, int]]:
    """A table behind its vtable, the distances to it left right; where in it each field lies."""
    places, body = {}, b""
    for number, value in fields.items():
        body += bytes(-(4 + len(body)) % len(value))
        places[number] = 4 + len(body)
        body += value
    count = max(fields, default=-1) + 1
    vtable = u16(4 + 2 * count) + u16(4 + len(body)) + b"".join(u16(places.get(i, 0)) for i in range(count))
    vtable = bytes(-len(vtable) % 4) + vtable
    return vtable + u32(4 + 2 * count) + body, {n: len(vtable) + p for n, p in places.items()}


class FlatFile:
    """A flatbuffer written front to back; references are set when what they lead to is there."""

    def __init__(self, identifier: bytes = b"TFL3") -> None:
        self.data = bytearray(4) + identifier

    def table(self, fields: Mapping[int, bytes]) -> dict[int, int]:
        """Field -> where its value lies; under -1, where the table does."""
        self.data += bytes(-len(self.data) % 8)
        base = len(self.data)
        raw, places = fb_table(fields)
        self.data += raw
        count = max(fields, default=-1) + 1
        at = base + -(-(4 + 2 * count) // 4) * 4
        return {-1: at, **{n: base + p for n, p in places.items()}}

    def vector(self, count: int, data: bytes, align: int = 4) -> int:
        self.data += bytes(-(len(self.data) + 4) % align)
        at = len(self.data)
        self.data += u32(count) + data
        return at

    def refer(self, place: int, target: int) -> None:
        self.data[place : place + 4] = u32(target - place)


def tflite_file(tensors: Mapping[str, tuple[int, tuple[int, ...], bytes | None]]) -> bytes:
    """A model of one subgraph; None: a tensor without data. Type 15 behind the buffers: see the schema."""
    file = FlatFile()
    model = file.table({0: u32(3), 2: u32(0), 4: u32(0)})
    file.refer(0, model[-1])
    graphs = file.vector(1, u32(0))
    file.refer(model[2], graphs)
    graph = file.table({0: u32(0)})
    file.refer(graphs + 4, graph[-1])
    listed = file.vector(len(tensors), bytes(4 * len(tensors)))
    file.refer(graph[0], listed)
    held: list[bytes | None] = [None]
    for number, (name, (kind, shape, data)) in enumerate(tensors.items()):
        fields = {0: u32(0), 1: bytes([kind]), 2: u32(len(held) if data is not None else 0), 3: u32(0)}
        tensor = file.table({n: v for n, v in fields.items() if n != 1 or kind})
        file.refer(listed + 4 + 4 * number, tensor[-1])
        file.refer(tensor[0], file.vector(len(shape), b"".join(u32(d & 0xFFFFFFFF) for d in shape)))
        file.refer(tensor[3], file.vector(len(name.encode()), name.encode() + b"\0"))
        if data is not None:
            held.append(data)
    buffers = file.vector(len(held), bytes(4 * len(held)))
    file.refer(model[4], buffers)
    for number, data in enumerate(held):
        buffer = file.table({0: u32(0)} if data is not None else {})
        file.refer(buffers + 4 + 4 * number, buffer[-1])
        if data is not None:
            file.refer(buffer[0], file.vector(len(data), data, 16))
    return bytes(file.data)


# HDF5

FLOAT32 = bytes([0x11, 0x20, 31, 0]) + u32(4) + u16(0) + u16(32) + bytes([23, 8, 0, 23]) + u32(127)
INT8 = bytes([0x10, 0x08, 0, 0]) + u32(1) + u16(0) + u16(8) + bytes(4)
NOWHERE = (1 << 64) - 1


def h5_messages(*messages: tuple[int, bytes]) -> bytes:
    """A header of an object, version 1."""
    body = b""
    for kind, data in messages:
        data += bytes(-len(data) % 8)
        body += u16(kind) + u16(len(data)) + bytes(4) + data
    return b"\1\0" + u16(len(messages)) + u32(1) + u32(len(body)) + bytes(4) + body


def h5_dataset(dtype: bytes, shape: Sequence[int], at: int, size: int) -> bytes:
    space = bytes([1, len(shape), 0, 0]) + bytes(4) + b"".join(map(u64, shape))
    return h5_messages((1, space), (3, dtype), (8, bytes([3, 1]) + u64(at) + u64(size)))


def h5_file(datasets: Mapping[str, tuple[bytes, tuple[int, ...], bytes]], group: str = "") -> bytes:
    """Datasets in the root group, or in a group in it; of the old kind, as h5py makes them by default."""
    out = bytearray(96)

    def put(data: bytes) -> int:
        out.extend(bytes(-len(out) % 8))
        at = len(out)
        out.extend(data)
        return at

    def table(objects: Mapping[str, int]) -> int:
        names, entries, last = b"\0" * 8, b"", 0
        for name, at in sorted(objects.items()):
            last = len(names)
            entries += u64(last) + u64(at) + bytes(24)
            names += name.encode() + b"\0" * (8 - len(name.encode()) % 8)
        # as long as for 8 symbols, and 32 leaves
        leaf = put((b"SNOD\1\0" + u16(len(objects)) + entries).ljust(328, b"\0"))
        node = b"TREE\0\0" + u16(1) + u64(NOWHERE) * 2 + u64(0) + u64(leaf) + u64(last)
        tree = put(node.ljust(544, b"\0"))
        heap = put(b"HEAP" + bytes(4) + u64(len(names)) + u64(1) + u64(put(names)))
        return put(h5_messages((0x11, u64(tree) + u64(heap))))

    objects = {}
    for name, (dtype, shape, data) in datasets.items():
        objects[name] = put(h5_dataset(dtype, shape, put(data), len(data)))
    root = table(objects)
    if group:
        root = table({group: root})
    start = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + u16(4) + u16(16) + u32(0)
    start += u64(0) + u64(NOWHERE) + u64(len(out)) + u64(NOWHERE) + u64(0) + u64(root) + bytes(24)
    out[:96] = start
    return bytes(out)

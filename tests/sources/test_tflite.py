"""TensorFlow Lite: models made by hand, by the flatbuffers package's builder, and what leads astray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.dtypes import DTYPES
from codec.sources import tflite as source
from codec.sources.segment import Look, RefusedError, Segment
from tests.sources.made import NOISE, FlatFile, tflite_file, u32, u64
from tests.sources.mutations import checked, mutated, readable, round_trip

MODEL = tflite_file(
    {
        "input": (0, (1, 8), None),
        "conv/kernel": (9, (2, 3, 4, 5), NOISE[:120]),
        "conv/bias": (2, (9,), NOISE[:36]),
        "lookup": (0, (3, 4), NOISE[:48]),
        "nibbles": (17, (9, 9), NOISE[:41]),
        "axis": (2, (1,), bytes(4)),
        "strings": (5, (3,), NOISE[:50]),
        "sparse": (0, (100, 100), NOISE[:40]),
        "dynamic": (0, (-1 & 0xFFFFFFFF, 4), NOISE[:48]),
    }
)


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source.parse(Look.of(data))
    round_trip(data)
    return str(caught.value)


def test_a_model_made_by_hand(tmp_path: Path) -> None:
    assert readable(tmp_path / "m.tflite", MODEL, "tflite") == {
        "conv/kernel": ("I8", (2, 3, 4, 5)),
        "conv/bias": ("I32", (9,)),
        "lookup": ("F32", (3, 4)),
        "nibbles": ("U8", (41,)),
    }


@pytest.mark.parametrize(("kind", "known"), source.TYPES.items())
def test_every_element_type(kind: int, known: tuple[str, int]) -> None:
    dtype, parts = known
    data = NOISE[: 8 * parts * DTYPES[dtype].bits]
    tensor = next(s for s in source.parse(Look.of(tflite_file({"t": (kind, (8, 8), data)}))) if s.is_tensor)
    assert (tensor.name, tensor.dtype, tensor.size) == ("t", dtype, len(data))


def test_data_behind_the_flatbuffer() -> None:
    """As models over 2 GiB have it: a buffer says where in the file its data lie."""
    file = FlatFile()
    model = file.table({2: u32(0), 4: u32(0)})
    file.refer(0, model[-1])
    graphs, buffers = file.vector(1, u32(0)), file.vector(2, u32(0) * 2)
    file.refer(model[2], graphs)
    file.refer(model[4], buffers)
    graph = file.table({0: u32(0)})
    file.refer(graphs + 4, graph[-1])
    tensors = file.vector(1, u32(0))
    file.refer(graph[0], tensors)
    tensor = file.table({0: u32(0), 2: u32(1), 3: u32(0)})
    file.refer(tensors + 4, tensor[-1])
    file.refer(tensor[0], file.vector(1, u32(10)))
    file.refer(tensor[3], file.vector(1, b"w\0"))
    file.refer(buffers + 4, file.table({})[-1])
    outside = file.table({1: u64(0), 2: u64(0)})
    file.refer(buffers + 8, outside[-1])
    file.data += bytes(-len(file.data) % 16)
    start = len(file.data)
    file.data[outside[1] : outside[1] + 8], file.data[outside[2] : outside[2] + 8] = u64(start), u64(40)
    data = bytes(file.data) + NOISE[:40]
    assert source.parse(Look.of(data))[1:] == [Segment(start, start + 40, "w", "F32", (10,))]
    assert "lies outside" in refusal(data[:-1])


def test_two_tensors_of_one_buffer_and_two_buffers_of_the_same_data() -> None:
    file = bytearray(tflite_file({"a": (0, (10,), NOISE[:40]), "b": (0, (10,), NOISE[40:80])}))
    data = [s.start for s in source.parse(Look.of(bytes(file))) if s.is_tensor]
    places = [i for i in range(0, len(file) - 4, 4) if i + int.from_bytes(file[i : i + 4], "little") == data[1] - 4]
    file[places[-1] : places[-1] + 4] = u32(data[0] - 4 - places[-1]) if data[0] > places[-1] else u32(1 << 31)
    assert "leads" in refusal(bytes(file)) or "two tensors" in refusal(bytes(file))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no TensorFlow Lite"),
        (bytes(4) + b"TFL2" + MODEL[8:], "no TensorFlow Lite"),
        (bytes(4) + MODEL[4:], "leads 0 bytes"),
        (b"\xff\xff\xff\xff" + MODEL[4:], "leads 4294967295"),
        (u32(len(MODEL)) + MODEL[4:], "lie outside"),
        (u32(9) + MODEL[4:], "no multiple of 4"),
        (MODEL[:-40], "vector at byte"),
    ],
)
def test_refused(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_pipe_is_refused() -> None:
    with pytest.raises(RefusedError, match="stream"):
        source.parse(Look(lambda n: MODEL[:n], None))


@given(mutated(MODEL))
def test_mutations(data: bytes) -> None:
    if checked(source.parse, data) is not None:
        round_trip(data)


@given(st.binary(max_size=100))
def test_any_bytes_behind_the_identifier(data: bytes) -> None:
    checked(source.parse, u32(8) + b"TFL3" + data)


def test_a_model_of_the_flatbuffers_builder(tmp_path: Path) -> None:
    flatbuffers: Any = pytest.importorskip("flatbuffers", reason="the flatbuffers package is not installed")
    b = flatbuffers.Builder(0)

    def table(fields: int, slots: dict[int, tuple[str, int]]) -> int:
        b.StartObject(fields)
        for slot, (kind, value) in slots.items():
            getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
        return int(b.EndObject())

    def references(items: list[int]) -> int:
        b.StartVector(4, len(items), 4)
        for item in reversed(items):
            b.PrependUOffsetTRelative(item)
        return int(b.EndVector())

    empty = table(1, {})
    held = []
    for data in (NOISE[:400], NOISE[400:464]):
        b.StartVector(1, len(data), 16)
        for byte in reversed(data):
            b.PrependByte(byte)
        held.append(table(1, {0: ("UOffsetTRelative", b.EndVector())}))
    tensors = []
    for name, kind, shape, buffer in (("w", 0, (10, 10), 1), ("again", 0, (10, 10), 1), ("i", 9, (4, 16), 2)):
        label = b.CreateString(name)
        b.StartVector(4, len(shape), 4)
        for d in reversed(shape):
            b.PrependInt32(d)
        slots = {0: ("UOffsetTRelative", b.EndVector()), 1: ("Int8", kind), 2: ("Uint32", buffer)}
        tensors.append(table(4, slots | {3: ("UOffsetTRelative", label)}))
    graph = table(5, {0: ("UOffsetTRelative", references(tensors))})
    graphs, buffers = references([graph]), references([empty, *held])
    model = table(5, {0: ("Uint32", 3), 2: ("UOffsetTRelative", graphs), 4: ("UOffsetTRelative", buffers)})
    b.Finish(model, b"TFL3")
    found = readable(tmp_path / "m.tflite", bytes(b.Output()), "tflite")
    assert found == {"w": ("F32", (10, 10)), "i": ("I8", (4, 16))}

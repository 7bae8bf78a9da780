"""ONNX: models made by hand and by the onnx package, wherever they keep tensors; and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.dtypes import DTYPES
from codec.sources import onnx as source
from codec.sources.protobuf import fields
from codec.sources.segment import Look, Packed, RefusedError, Segment
from codec.sources.window import Window
from tests.sources.made import NOISE, onnx_model, onnx_node, onnx_tensor, pb, varint
from tests.sources.mutations import checked, mutated, readable, round_trip

NO_PACKAGE = "the onnx package is not installed"

SUBGRAPH = pb(1, onnx_node([])) + pb(5, onnx_tensor("deep", 2, (40,), NOISE[:40]))
GRAPH = (
    pb(1, onnx_node([pb(1, "value") + pb(5, onnx_tensor("", 1, (3, 4), NOISE[:48]))], "constant"))
    + pb(1, onnx_node([pb(1, "then") + pb(6, SUBGRAPH)]))
    + pb(1, onnx_node([pb(1, "list") + pb(10, onnx_tensor("in list", 10, (20,), NOISE[:40]))]))
    + pb(2, "graph")
    + pb(5, onnx_tensor("raw", 16, (2, 3, 4), NOISE[:48]))
    + pb(5, onnx_tensor("floats", 1, (9,), NOISE[:36], field=4))
    + pb(5, onnx_tensor("doubles", 11, (3, 2), NOISE[:48], field=10))
    + pb(5, onnx_tensor("complex", 14, (4,), NOISE[:32], field=4))
    + pb(5, onnx_tensor("nibbles", 22, (5, 13), NOISE[:33]))
    + pb(5, onnx_tensor("varints", 6, (64,), b"\1" * 64, field=5))
    + pb(5, onnx_tensor("small", 7, (2,), NOISE[:16]))
    + pb(15, pb(1, onnx_tensor("sparse", 1, (8,), NOISE[:32])) + pb(2, onnx_tensor("", 7, (4,), NOISE[:32])))
)
FUNCTION = pb(1, "f") + pb(7, onnx_node([pb(5, onnx_tensor("", 9, (32,), b"\0\1" * 16))], "in function"))
MODEL = onnx_model(GRAPH, pb(25, FUNCTION))


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source.parse(Look.of(data))
    round_trip(data)
    return str(caught.value)


def of_initializer(tensor: bytes) -> bytes:
    return onnx_model(pb(5, tensor))


def test_a_model_made_by_hand(tmp_path: Path) -> None:
    assert readable(tmp_path / "m.onnx", MODEL, "onnx") == {
        "constant": ("F32", (3, 4)),
        "deep": ("U8", (40,)),
        "in list": ("F16", (20,)),
        "raw": ("BF16", (2, 3, 4)),
        "floats": ("F32", (9,)),
        "doubles": ("F64", (3, 2)),
        "complex": ("F32", (4, 2)),
        "nibbles": ("U8", (33,)),
        "sparse": ("F32", (8,)),
        "in function": ("BOOL", (32,)),
    }


def test_elements_without_a_name_are_typed_but_not_listed() -> None:
    found = [s for s in source.parse(Look.of(MODEL)) if s.is_tensor and not s.listed]
    assert [(s.name, s.dtype, s.shape) for s in found] == [("", "I64", (4,))]


@pytest.mark.parametrize(("kind", "known"), source.TYPES.items())
def test_every_element_type(kind: int, known: tuple[str, int]) -> None:
    dtype, parts = known
    data = NOISE[: 8 * parts * DTYPES[dtype].bits]
    found = source.parse(Look.of(of_initializer(onnx_tensor("t", kind, (8, 8), data))))
    tensor = next(s for s in found if s.is_tensor)
    assert (tensor.dtype, tensor.size) == (dtype, len(data))
    assert tensor.shape == ((8, 8, 2) if parts == 2 else (8, 8))


def test_the_types_are_those_of_the_package() -> None:
    onnx: Any = pytest.importorskip("onnx", reason=NO_PACKAGE)
    ours = {"FLOAT": "F32", "DOUBLE": "F64", "BFLOAT16": "BF16", "FLOAT16": "F16", "COMPLEX64": "C64"}
    ours |= {"FLOAT8E4M3FN": "F8_E4M3", "FLOAT8E4M3FNUZ": "F8_E4M3FNUZ", "FLOAT8E5M2": "F8_E5M2"}
    ours |= {"FLOAT8E5M2FNUZ": "F8_E5M2FNUZ", "FLOAT8E8M0": "F8_E8M0", "COMPLEX128": "F64"}
    for name, number in onnx.TensorProto.DataType.items():
        if number in source.TYPES:
            plain = name.replace("UINT", "U").replace("INT", "I")
            assert source.TYPES[number][0] == ours.get(name, plain)
        elif number in source.PACKED:
            assert name.endswith(("4", "2", "4E2M1"))
        else:
            assert name in ("UNDEFINED", "STRING", "FLOAT6E2M3", "FLOAT6E3M2")


OPAQUE = {
    "external": onnx_tensor("w", 1, (10,), NOISE[:40]) + pb(14, 1),
    "in pieces": onnx_tensor("w", 1, (20,), NOISE[:40], 4) + pb(4, NOISE[:40]),
    "one by one": pb(1, 9) + pb(2, 1) + pb(8, "w") + (varint(4 << 3 | 5) + bytes(4)) * 9,
    "strings": onnx_tensor("w", 8, (1,), NOISE[:40], 6),
    "raw strings": onnx_tensor("w", 8, (40,), NOISE[:40]),
    "of a new type": onnx_tensor("w", 99, (40,), NOISE[:40]),
    "floats of another type": onnx_tensor("w", 10, (10,), NOISE[:40], 4),
}


@pytest.mark.parametrize("name", OPAQUE)
def test_what_is_no_array_is_opaque(name: str) -> None:
    data = of_initializer(OPAQUE[name])
    assert source.parse(Look.of(data)) == [Segment(0, len(data))]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no ONNX model"),
        (b"\x12" + MODEL, "no ONNX model"),
        (pb(1, 8), "0 graphs"),
        (MODEL + pb(7, b""), "2 graphs"),
        (MODEL + pb(9, 1), "field 9"),
        (MODEL + pb(7, 1), "field 7 of wire type 0"),
        (MODEL[:-1], "ends at byte"),
        (MODEL + b"\x0b", "wire type 3"),
        (MODEL + b"\x00", "field number 0"),
        (MODEL + b"\xff" * 20, "varint without end"),
        (MODEL + b"\x08" + b"\xff" * 9 + b"\x7f", "varint without end"),
        (onnx_model(pb(5, 1)), "is no message"),
        (of_initializer(onnx_tensor("w", 1, (11,), NOISE[:40])), "40 bytes, shape (11,)"),
        (of_initializer(onnx_tensor("w", 1, (1 << 63, 2), NOISE[:40])), "negative"),
        (of_initializer(onnx_tensor("w", 1, (1,) * 65, NOISE[:40])), "more than"),
        (of_initializer(pb(1, b"\1" * 700) + pb(9, NOISE[:40])), "more than"),
        (of_initializer(onnx_tensor("w" * 70_000, 1, (10,), NOISE[:40])), "the limit is"),
        (of_initializer(pb(8, b"\xff") + onnx_tensor("", 1, (10,), NOISE[:40])), "not UTF-8"),
    ],
)
def test_refused(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_pipe_is_refused() -> None:
    for look in (Look(lambda n: MODEL[:n], len(MODEL)), Look(lambda n: MODEL[:n], None)):
        with pytest.raises(RefusedError, match="stream"):
            source.parse(look)


def test_packed_dimensions() -> None:
    tensor = pb(1, varint(2) + varint(300)) + pb(2, 2) + pb(8, "w") + pb(9, NOISE[:600])
    found = source.parse(Look.of(of_initializer(tensor)))
    assert [s.shape for s in found if s.is_tensor] == [(2, 300)]


@given(mutated(MODEL))
def test_mutations(data: bytes) -> None:
    if checked(source.parse, data) is not None:
        round_trip(data)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 1 << 64) | st.binary(max_size=9)), max_size=9))
def test_fields_are_read_as_they_were_written(written: list[tuple[int, int | bytes]]) -> None:
    written = [(n, v % (1 << 64) if isinstance(v, int) else v) for n, v in written]
    data = b"".join(pb(n, v) for n, v in written)
    read = [
        (f.number, data[f.start : f.stop] if f.wire else f.value) for f in fields(Window(Look.of(data)), 0, len(data))
    ]
    assert read == written


def test_models_of_the_package(tmp_path: Path) -> None:
    onnx: Any = pytest.importorskip("onnx", reason=NO_PACKAGE)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(6, 7)).astype(np.float32)
    held = {
        "raw": numpy_helper.from_array(raw, "raw"),
        "packed": helper.make_tensor("packed", onnx.TensorProto.FLOAT, (42,), raw.ravel().tolist()),
        "doubles": helper.make_tensor("doubles", onnx.TensorProto.DOUBLE, (42,), raw.ravel().tolist()),
        "i64": numpy_helper.from_array(np.arange(12), "i64"),
        "f16": numpy_helper.from_array(raw.astype(np.float16), "f16"),
    }
    varints = helper.make_tensor("varints", onnx.TensorProto.INT64, (40,), range(40))
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(raw, ""))
    inner = helper.make_graph([], "then", [], [], [numpy_helper.from_array(raw, "inner")])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([constant, branch], "g", [], [], [*held.values(), varints])
    data = helper.make_model(graph).SerializeToString()
    found = readable(tmp_path / "m.onnx", data, "onnx")
    assert found == {
        "raw": ("F32", (6, 7)),
        "packed": ("F32", (42,)),
        "doubles": ("F64", (42,)),
        "i64": ("I64", (12,)),
        "f16": ("F16", (6, 7)),
        "c": ("F32", (6, 7)),
        "inner": ("F32", (6, 7)),
    }
    segments = {s.name: s for s in source.parse(Look.of(data)) if s.listed and s.is_tensor}
    for name, tensor in held.items():
        s = segments[name]
        assert data[s.start : s.stop] == numpy_helper.to_array(tensor).tobytes()


@pytest.mark.parametrize(
    ("field", "kind", "values", "bits"),
    [
        (5, 10, np.random.default_rng(1).normal(0, 0.02, 6000).astype(np.float16).view(np.uint16), 14.5),
        (5, 2, np.random.default_rng(2).binomial(40, 0.5, 6000), 4.5),
        (5, 3, np.random.default_rng(3).binomial(40, 0.5, 6000) - 20, 4.5),
        (7, 7, np.arange(6000) // 7 - 300, 8.5),
        (11, 13, np.random.default_rng(4).integers(0, 1 << 60, 6000), 62),
    ],
    ids=["f16", "u8", "i8", "i64", "u64"],
)
def test_numbers_as_varints(field: int, kind: int, values: np.ndarray, bits: float) -> None:
    """They are coded as what they are; negative ones take ten bytes each there."""
    data = b"".join(varint(int(v) % (1 << 64)) for v in values)
    model = onnx_model(pb(5, onnx_tensor("w", kind, (60, 100), data, field)))
    (found,) = [s for s in source.parse(Look.of(model)) if s.packed]
    assert model[found.start : found.stop] == data and found.packed == Packed(100, False, "F16" if kind == 10 else "")
    blob = codec.compress(model, threads=1)
    assert codec.decompress(blob, threads=1) == model
    assert 8 * (len(blob) - 400) < bits * values.size


def test_varints_that_are_none() -> None:
    for data in (b"\x80\x00" * 50, b"\xff" * 100 + b"\x01", b"\x05" * 99 + b"\x80"):
        model = onnx_model(pb(5, onnx_tensor("w", 2, (10, 10), data, 5)))
        round_trip(model)

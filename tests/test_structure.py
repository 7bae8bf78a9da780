"""Spans that are made of parts: fields of blocks, palettes, ramps, zeros."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import codec
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import EncodedSpan, encode_span
from codec.kernels import transforms as kernel
from codec.kernels.native import invoke, place
from codec.planner.levels import level_of
from codec.planner.tiles import chunk_for, tile_for
from codec.sources.gguf_types import BLOCKS, fields_of
from codec.sources.segment import Field, Segment, Share
from codec.stages.transforms import NAMES
from codec.storage import BytesOriginal
from codec.structure import PART_BYTES, encode_fields, encode_structured
from codec.writer import write

DEFAULT = level_of("default")
UINT = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def decoded(spans: list[EncodedSpan]) -> bytes:
    out = []
    for span in spans:
        body = records.body_of(memoryview(span.stored.tobytes()), records.SPAN, "test", 0)
        decoder = SpanDecoder(body, "test")
        piece = np.empty(decoder.layout.length, np.uint8)
        decoder.decode_inline(piece)
        out.append(piece.tobytes())
    return b"".join(out)


def kinds(spans: list[EncodedSpan]) -> set[str]:
    found = set()
    for span in spans:
        lay = SpanDecoder(records.body_of(memoryview(span.stored.tobytes()), records.SPAN, "test", 0), "test").layout
        found.add("plain" if lay.transform is None else NAMES[lay.transform.number])
    return found


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=16), st.integers(1, 300), st.integers(1, 7), st.integers(0, 2**32)
)
def test_fields_of_any_blocks(sizes: list[int], blocks: int, row: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, sum(sizes) * blocks).astype(np.uint8)
    fields = tuple(Field(size, "F16" if size % 2 == 0 and k % 2 else "U8", f"f{k}") for k, size in enumerate(sizes))
    spans = encode_fields(data, fields, DTYPES["U8"], row, DEFAULT)
    assert decoded(spans) == data.tobytes() and kinds(spans) == {"fields"}


def test_fields_of_many_blocks_are_several_spans() -> None:
    data = np.random.default_rng(1).integers(0, 9, 18 * 50_000).astype(np.uint8)
    spans = encode_fields(data, (Field(2, "F16", "scales"), Field(16, "U8", "codes")), DTYPES["U8"], 48, DEFAULT)
    assert len(spans) == 3 and decoded(spans) == data.tobytes()
    assert all(span.entry.original <= PART_BYTES and span.entry.original % (48 * 18) == 0 for span in spans[:-1])
    assert all({"scales", "codes"} <= set(span.fields) for span in spans)
    assert all(sum(span.fields.values()) == span.stored.size for span in spans)


SPLIT = ("Q5_0", "Q5_1", "Q3_K", "Q5_K", "Q6_K", "IQ4_XS")


def blocks_of(name: str, count: int, spread: float, seed: int) -> np.ndarray:
    """Blocks of a type of GGUF: codes whose values are normally distributed, or alike; a row each."""
    rng = np.random.default_rng(seed)
    block = BLOCKS[name]
    codes = (rng.standard_normal((count, block.elements)) * spread).clip(-1, 1) / 2 + 0.5
    bits = sum(f.share.bits for f in fields_of(name) if f.share and f.share.name == "codes") or 4
    codes = np.rint(codes * ((1 << bits) - 1)).astype(np.uint8)
    out = rng.integers(0, 256, (count, block.size)).astype(np.uint8)
    offset = 0
    for field in fields_of(name):
        if field.share and field.share.name == "codes":
            width, shift, run = field.share.bits, field.share.shift, field.share.run
            held = (codes >> shift & ((1 << width) - 1)).reshape(count, -1, 8 // width, run)
            shifts = np.arange(0, 8, width, dtype=np.uint8).reshape(1, 1, -1, 1)
            out[:, offset : offset + field.size] = np.bitwise_or.reduce(held << shifts, axis=2).reshape(count, -1)
        offset += field.size
    return out


@given(
    st.sampled_from(SPLIT), st.integers(1, 200), st.sampled_from([0, 0.1, 0.4, 50]), st.integers(1, 7),
    st.integers(0, 2**32), st.sampled_from(["fast", "default", "max"]),
)  # fmt: skip
def test_codes_of_any_blocks(name: str, count: int, spread: float, row: int, seed: int, level: str) -> None:
    data = blocks_of(name, count, spread, seed).reshape(-1)
    spans = encode_fields(data, fields_of(name), DTYPES["U8"], row, level_of(level))
    assert decoded(spans) == data.tobytes() and kinds(spans) <= {"fields", "codes"}
    apart = [replace(field, share=None) for field in fields_of(name)]
    fields = encode_fields(data, tuple(apart), DTYPES["U8"], row, level_of(level))
    assert sum(s.stored.size for s in spans) <= sum(s.stored.size for s in fields) and kinds(fields) == {"fields"}


@pytest.mark.parametrize("level", ["fast", "default", "max"])
@pytest.mark.parametrize("name", SPLIT[:-1])
def test_codes_cost_what_their_values_do(name: str, level: str) -> None:
    data = blocks_of(name, 96_000 // BLOCKS[name].elements, 0.4, 1).reshape(-1)
    spans = encode_fields(data, fields_of(name), DTYPES["U8"], 8, level_of(level))
    assert kinds(spans) == {"codes"} and decoded(spans) == data.tobytes()
    apart = tuple(replace(field, share=None) for field in fields_of(name))
    fields = encode_fields(data, apart, DTYPES["U8"], 8, level_of(level))
    assert sum(s.stored.size for s in spans) < 0.99 * sum(s.stored.size for s in fields)
    assert "high bits" in fields[0].fields and "high bits" not in spans[0].fields


@pytest.mark.parametrize("name", SPLIT)
def test_blocks_of_noise_are_fields(name: str) -> None:
    data = np.random.default_rng(2).integers(0, 256, 60_000 // BLOCKS[name].size * BLOCKS[name].size).astype(np.uint8)
    assert kinds(encode_fields(data, fields_of(name), DTYPES["U8"], 8, DEFAULT)) == {"fields"}


def test_each_part_of_a_tensor_is_coded_as_suits_it() -> None:
    weights = blocks_of("Q5_0", 40_000, 0.4, 3).reshape(-1)
    noise = np.random.default_rng(4).integers(0, 256, 40_000 * 22).astype(np.uint8)
    for parts in ((weights, noise, weights), (noise, weights, noise)):
        data = np.concatenate(parts)
        spans = encode_fields(data, fields_of("Q5_0"), DTYPES["U8"], 12, DEFAULT)
        assert decoded(spans) == data.tobytes() and kinds(spans) == {"fields", "codes"}
        assert all(span.entry.original % (12 * 22) == 0 for span in spans[:-1])
        best = sum(
            span.stored.size for x in parts for span in encode_fields(x, fields_of("Q5_0"), DTYPES["U8"], 12, DEFAULT)
        )
        assert sum(span.stored.size for span in spans) < 1.01 * best


def test_codes_that_are_too_many_for_a_part_are_fields() -> None:
    wide = (Field(2, "F16", "scales"), Field(65_530, "U8", "codes", Share("codes", 1, 0, 65_530)))
    data = np.random.default_rng(5).integers(0, 256, 65_532 * 3).astype(np.uint8)
    spans = encode_fields(data, wide, DTYPES["U8"], 1, DEFAULT)
    assert decoded(spans) == data.tobytes() and kinds(spans) == {"fields"}


@st.composite
def elements(draw: st.DrawFn) -> tuple[np.ndarray, str]:
    """Elements with a structure, or nearly: few values, zeros, ramps, at odd sizes, with odd bits among them."""
    dtype = draw(st.sampled_from(["F16", "BF16", "F32", "F64", "I16", "I32", "I64", "U32"]))
    kind = UINT[DTYPES[dtype].bits // 8]
    n = draw(st.integers(1, 6000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top = int(np.iinfo(kind).max)
    values = rng.integers(0, top, draw(st.sampled_from([1, 2, 16, 200, 256, 257, 3000])), endpoint=True, dtype=kind)
    x = values[np.minimum(rng.geometric(0.05, n) - 1, values.size - 1)]
    match draw(st.integers(0, 3)):
        case 0:
            x = np.where(rng.random(n) < draw(st.floats(0, 1)), kind(0), x)
        case 2:
            narrow = rng.integers(0, draw(st.sampled_from([2, 255, 256, 1000, 65_535, 65_536])), n, endpoint=True)
            x = (narrow.astype(np.uint64) - np.uint64(draw(st.integers(0, top)))).astype(kind)
        case 1:
            x = (np.arange(n, dtype=np.uint64) * np.uint64(draw(st.integers(0, top)))).astype(kind)
    for at in draw(st.lists(st.integers(0, n - 1), max_size=3)):
        x[at] = kind(draw(st.integers(0, top)))
    return np.ascontiguousarray(x), dtype


@given(elements(), st.sampled_from(["fast", "default", "max"]))
def test_any_structure_comes_back(case: tuple[np.ndarray, str], level: str) -> None:
    x, dtype = case
    data = x.tobytes()
    blob = codec.compress(data, dtype, level=level, threads=1)
    assert codec.decompress(blob) == data
    out = io.BytesIO()
    codec.decompress_file(io.BytesIO(blob), out)
    assert out.getvalue() == data
    assert len(blob) <= len(data) * 1.001 + 4096


RNG = np.random.default_rng(7)
NOISE = RNG.normal(0, 1, (300, 400)).astype(np.float32)
NARROW = 7
WHOLE = np.round(RNG.normal(0, 30, (300, 400))).clip(-127, 127).astype(np.float32)


def grouped(x: np.ndarray, group: int, dtype: str, levels: int = 127) -> np.ndarray:
    """Rounded to so many levels at a scale for each group, and multiplied out again."""
    held = x.reshape(-1, group) + RNG.normal(0, 1, (x.size // group, group))
    scale = (np.abs(held).max(1, keepdims=True) / levels / 1000).astype(dtype).astype(np.float32)
    return (np.round(held / 1000 / scale).astype(np.float32) * scale).astype(dtype).reshape(x.shape)


@pytest.mark.parametrize(
    ("data", "dtype", "expected", "bits"),
    [
        (WHOLE * np.float32(0.0013), "F32", "scaled", 7.2),
        ((WHOLE * np.float32(0.0013)).view(np.uint32) >> 16, "BF16", "scaled", 7.2),
        (np.sinh(WHOLE / 40).astype(np.float32), "F32", "palette", 7.2),
        (grouped(WHOLE, 400, "f4"), "F32", "scaled", 7.6),
        (grouped(WHOLE.reshape(125, 960), 64, "f2"), "F16", "scaled", 8.0),
        (grouped(WHOLE.reshape(125, 960), 32, "f2", NARROW), "F16", "scaled", 4.2),
        (np.where(RNG.random((300, 400)) < 0.9, 0, NOISE), "F32", "sparse", 3.4),
        (np.where(np.random.default_rng(8).random((300, 400)) < 0.08, 0, NOISE), "F32", "sparse", 25.5),
        (np.arange(120_000, dtype=np.int64), "I64", "ramp", 0.01),
        (np.arange(120_000, dtype=np.int32) * -7 + 3, "I32", "ramp", 0.01),
        (np.round(NOISE * 60).astype(np.int16), "I16", "offset", 8.1),
        (np.round(NOISE * 20).astype(np.int64), "I64", "offset", 6.5),
        (NOISE, "F32", "none", 32),
        (np.full(120_000, 7, np.int64), "I64", "none", 32),
    ],
    ids=[
        "int8 f32", "int8 bf16", "curve", "int8 by row", "int8 by 64", "int4 by 32", "zeros", "some zeros", "ids",
        "backwards", "i16", "i64", "noise", "constant",
    ],
)  # fmt: skip
def test_what_is_found(data: np.ndarray, dtype: str, expected: str, bits: float) -> None:
    data = data.astype(np.uint16) if dtype == "BF16" else data
    raw = data.reshape(-1).view(np.uint8)
    spans = encode_structured(raw, DTYPES[dtype], data.shape, DEFAULT)
    if expected == "none":
        assert spans is None
        return
    assert spans is not None and expected in kinds(spans) and decoded(spans) == raw.tobytes()
    assert 8 * sum(span.stored.size for span in spans) / data.size < bits


def test_a_source_may_say_that_bytes_are_blocks() -> None:
    rng = np.random.default_rng(3)
    blocks = np.zeros((4000, 18), np.uint8)
    blocks[:, :2] = rng.normal(0, 0.01, 4000).astype(np.float16).view(np.uint8).reshape(-1, 2)
    blocks[:, 2:] = rng.integers(0, 256, (4000, 16))
    data = b"head" + blocks.tobytes() + b"tail"
    fields = (Field(2, "F16", "scales"), Field(16, "U8", "codes"))
    segments = [
        Segment(0, 4), Segment(4, 4 + blocks.size, "w", "U8", (100, 720), fields=fields),
        Segment(4 + blocks.size, len(data)),
    ]  # fmt: skip
    out = io.BytesIO()
    report = write(BytesOriginal(data), out.write, level="default", segments=segments)
    assert codec.decompress(out.getvalue()) == data
    assert report.stored_bytes < len(data) - 4000 * 2 * 0.1 and "scales" in report.bits["U8"]
    with codec.safe_open(io.BytesIO(out.getvalue())) as f:
        assert f.get_tensor("w").tobytes() == blocks.tobytes() and f.get_slice("w")[7:9].shape == (2, 720)


@pytest.mark.parametrize("sizes", [(1200,), (1,) * 17, (70_000, 2), (600_000, 3)], ids=["one", "many", "long", "huge"])
def test_fields_that_a_record_cannot_hold_are_coded_plainly(sizes: tuple[int, ...]) -> None:
    fields = tuple(Field(size, "U8", "codes") for size in sizes)
    data = np.random.default_rng(5).integers(0, 9, 2 * sum(sizes), np.uint8).tobytes()
    segments = [Segment(0, len(data), "w", "U8", (2, sum(sizes)), fields=fields)]
    out = io.BytesIO()
    report = write(BytesOriginal(data), out.write, level="default", segments=segments)
    assert codec.decompress(out.getvalue()) == data
    assert "codes" not in report.bits["U8"]


@given(hnp.arrays(np.uint8, st.integers(1, 400)), st.integers(1, 9), st.data())
def test_kernels_against_numpy(data: np.ndarray, block: int, draw: st.DataObject) -> None:
    n = data.size // block
    offset = draw.draw(st.integers(0, block - 1))
    size = draw.draw(st.integers(1, block - offset))
    data = data[: n * block]
    data.flags.writeable = False
    found = np.zeros(n * size, np.uint8)
    kernel.collect(data, offset, size, block, found)
    assert np.array_equal(found.reshape(n, size), data.reshape(n, block)[:, offset : offset + size])
    back, fields = np.zeros(n * block, np.uint8), [(0, offset), (offset, size), (offset + size, block - offset - size)]
    fields = [field for field in fields if field[1]]
    parts = np.concatenate([data.reshape(n, block)[:, at : at + of].ravel() for at, of in fields])
    row = np.zeros(kernel.ROW, np.int64)
    row[kernel.COUNT] = len(fields)
    for k, (at, of) in enumerate(fields):
        row[kernel.FIELDS + k], row[kernel.PLACES + k] = of, n * at
    if n:
        invoke(kernel.make_address(1, 0), place(row), place(parts), 0, 0, place(back), back.size)
    assert np.array_equal(back, data)


@given(hnp.arrays(np.uint32, st.integers(1, 300), elements=st.integers(0, 40)))
def test_distinct_values_and_their_numbers(x: np.ndarray) -> None:
    x.flags.writeable = False
    slots, values = np.zeros(kernel.SLOTS, np.int32), np.zeros(1 << 16, np.uint32)
    count = kernel.distinct(x, 64, slots, values)
    expected = list(dict.fromkeys(x.tolist()))
    assert values[:count].tolist() == expected
    numbers = np.zeros(x.size, np.uint8)
    kernel.number_of(x, values, np.arange(count), slots, numbers)
    assert [expected[k] for k in numbers] == x.tolist()
    if len(expected) > 1:
        assert kernel.distinct(x, len(expected) - 1, slots, values) == -1


@given(hnp.arrays(np.uint16, st.integers(1, 20_000), elements=st.integers(0, 65_535), fill=st.just(7)))
def test_few_values_of_16_bits_and_their_numbers(x: np.ndarray) -> None:
    seen, values = np.full(65_536, 9, np.uint8), sorted(set(x.tolist()))
    assert kernel.few(x, 65_536, seen) == len(values)
    assert np.flatnonzero(seen).tolist() == values
    assert kernel.few(x, len(values) - 1, seen) == -1
    rank, numbers = np.zeros(65_536, np.uint8), np.zeros(x.size, np.uint8)
    rank[values] = np.arange(len(values)) & 255
    kernel.look_up(x, rank, numbers)
    assert np.array_equal(numbers, rank[x])


@pytest.mark.parametrize("spread", [3, 40, 90, 400, 9000])
@pytest.mark.parametrize("kind", ["I16", "U16"])
@pytest.mark.parametrize("odd", ["", "repeats", "outliers", "zeros", "holes"])
def test_ways_that_are_not_tried_take_no_fewer_bytes(spread: int, kind: str, odd: str) -> None:
    rng = np.random.default_rng(spread)
    scales = np.exp(rng.normal(0, 0.3, 300))
    x = np.rint(rng.normal(0, spread / 3, (200, 300)) * scales)
    if odd == "repeats":
        x = np.resize(x[:7], x.shape)
    elif odd == "outliers":
        x[::50, ::60] *= 40
    elif odd == "zeros":
        x[rng.random(x.shape) < 0.7] = 0
    elif odd == "holes":
        x *= 5
    values = (x.clip(-30_000, 30_000) + (30_000 if kind == "U16" else 0)).astype(
        np.int16 if kind == "I16" else np.uint16
    )
    data = values.reshape(-1).view(np.uint8)
    found = []
    for level in (DEFAULT, replace(DEFAULT, probe=True)):
        spans = encode_structured(data, DTYPES[kind], values.shape, level)
        spans = spans or [encode_span(data, DTYPES[kind], values.shape, level)]
        found.append(sum(span.stored.size for span in spans))
    assert found[0] <= found[1] * 1.001


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4), st.integers(2048, 1 << 22))
def test_a_piece_of_16_bit_elements_is_one_chunk(shape: list[int], elements: int) -> None:
    row = math.prod(shape[1:])
    each = chunk_for(tile_for(tuple(shape), elements), 2)
    each = each // row * row or each
    for n in {min(each, elements), elements % each or each, 1}:
        for narrower in (1, 2):
            assert n <= chunk_for(tile_for(tuple(shape), n), narrower)
            assert n <= chunk_for(tile_for((n,), n), narrower)


@pytest.mark.parametrize("shape", [(700_000,), (1000, 700), (70, 10_000), (7, 100, 1000), (2, 350_000)])
def test_large_tensors_with_a_structure(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    x = np.where(rng.random(700_000) < 0.4, 0, rng.integers(0, 1 << 16, 700_000)).astype(np.uint16)
    few = rng.integers(0, 1 << 16, 200).astype(np.uint16)[rng.integers(0, 200, 700_000)]
    for data, dtype, kind in ((x, "BF16", "sparse"), (few, "F16", "palette")):
        spans = encode_structured(data.view(np.uint8), DTYPES[dtype], shape, DEFAULT)
        assert spans is not None and decoded(spans) == data.tobytes() and kinds(spans) == {kind}


@pytest.mark.parametrize("columns", [1, 2, 3, 31, 32])
@pytest.mark.parametrize("dtype", ["BF16", "F32", "F16"])
def test_narrow_tensors_of_scales(dtype: str, columns: int) -> None:
    """Thousands of rows, each of which could be a scale times 1."""
    rows = np.random.default_rng(columns).lognormal(0, 1, (32_000, columns)).astype(np.float32)
    x = rows.view(np.uint32) >> 16 if dtype == "BF16" else rows.astype(np.float16) if dtype == "F16" else rows
    data = x.astype(np.uint16).tobytes() if dtype == "BF16" else x.tobytes()
    for level in ("fast", "default", "max"):
        assert codec.decompress(codec.compress(data, dtype, (32_000, columns), level)) == data

"""GGUF: files made by hand and by the gguf package, the table of blocks against its sizes and dequantisers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.blocks import codes_of
from codec.dtypes import DTYPES
from codec.sources import gguf as source
from codec.sources.gguf_types import BLOCK_NAMES, BLOCKS, PLAIN, Block, Field, fields_of
from codec.sources.segment import Look, RefusedError, Segment
from tests.sources.made import NOISE, Array, gguf_array, gguf_file, gguf_info, gguf_string, u32, u64
from tests.sources.mutations import checked, mutated, readable, round_trip

NO_PACKAGE = "the gguf package is not installed"

PAIRS = {
    "general.architecture": (8, gguf_string("toy")),
    "flag": (7, b"\1"),
    "half": (6, bytes(4)),
    "tokens": (9, gguf_array(8, [gguf_string(t) for t in ("a", "", "é")])),
    "ids": (9, gguf_array(4, [u32(7)] * 5)),
    "nested": (9, gguf_array(9, [gguf_array(5, [u32(1)]), gguf_array(8, [gguf_string("x")])])),
}
TENSORS: dict[str, Array] = {
    "bias": (0, (3,), NOISE[:12]),
    "w": (2, (2, 64), NOISE[:72]),
    "k": (12, (3, 1, 256), NOISE[:432]),
    "h": (30, (2, 5), NOISE[:20]),
    "none": (1, (0, 4), b""),
    "scalar": (28, (), NOISE[:8]),
}
FILE = gguf_file(TENSORS, PAIRS)


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source.parse(Look.of(data))
    round_trip(data)
    return str(caught.value)


def head(tensors: int, pairs: int, rest: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + u32(version) + u64(tensors) + u64(pairs) + rest


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("alignment", [32, 1, 64])
def test_a_file_made_by_hand(version: int, alignment: int, tmp_path: Path) -> None:
    pairs = PAIRS | ({"general.alignment": (4, u32(alignment))} if alignment != 32 else {})
    data = gguf_file(TENSORS, pairs, alignment=alignment, version=version)
    assert readable(tmp_path / "m.gguf", data, "gguf") == {
        "bias": ("F32", (3,)),
        "w": ("U8", (2, 36)),
        "k": ("U8", (3, 1, 144)),
        "h": ("BF16", (2, 5)),
        "none": ("F16", (0, 4)),
        "scalar": ("F64", ()),
    }


def test_a_pipe_is_read_as_a_file() -> None:
    from_file = source.parse(Look.of(FILE))
    assert source.parse(Look(lambda n: FILE[:n], None)) == from_file
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(FILE), out)
    assert codec.inspect_file(out).source == "gguf"


def test_holes_between_tensors_and_any_order_are_opaque() -> None:
    infos = gguf_info("b", 24, (4,), 64) + gguf_info("a", 24, (4,), 0)
    start = -(-len(head(2, 0, infos)) // 32) * 32
    data = head(2, 0, infos).ljust(start, b"\0") + NOISE[:100]
    assert source.parse(Look.of(data)) == [
        Segment(0, start),
        Segment(start, start + 4, "a", "I8", (4,)),
        Segment(start + 4, start + 64),
        Segment(start + 64, start + 68, "b", "I8", (4,)),
        Segment(start + 68, start + 100),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no GGUF file"),
        (b"GGUF", "no GGUF file"),
        (b"GGUX" + FILE[4:], "no GGUF file"),
        (head(0, 0, version=1), "version 1"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(16), "version 50331648"),
        (head(1, 0, gguf_info("a", 4, (32,), 0)), "type 4, which is not known"),
        (head(1, 0, gguf_info("a", 99, (32,), 0)), "type 99, which is not known"),
        (head(1, 0, gguf_info("a", 2, (33,), 0)), "no whole number of blocks of 32"),
        (head(1, 0, gguf_info("a", 2, (), 0)), "no whole number of blocks of 32"),
        (head(1, 0, gguf_info("a", 0, (1,) * 5, 0)), "5 dimensions"),
        (head(1, 0, gguf_info("a", 0, (1,), 4)), "no multiple of 32"),
        (head(1, 0, gguf_info(b"\xff", 0, (1,), 0)), "not UTF-8"),
        (head(1, 0, gguf_info("a", 0, (1 << 62, 1 << 62), 0)), "beyond what a file can hold"),
        (head(1, 0, gguf_info("a", 0, (0, 1 << 63), 0)), "beyond what a file can hold"),
        (head(1, 0, gguf_info("a", 0, (1,), 0)), "end at byte"),
        (head(2, 0, gguf_info("a", 24, (9,), 0) + gguf_info("b", 24, (9,), 0) + bytes(99)), "overlap"),
        (head(2, 0, gguf_info("a", 24, (9,), 0) + gguf_info("a", 24, (9,), 32) + bytes(99)), "two tensors are named"),
        (head(0, 2, (gguf_string("a") + u32(7) + b"\0") * 2), "key b'a' twice"),
        (head(0, 1, gguf_string("a") + u32(13) + bytes(8)), "value of type 13"),
        (head(0, 1, gguf_string("general.alignment") + u32(4) + u32(0)), "alignment 0"),
        (head(0, 1, gguf_string("general.alignment") + u32(4) + u32(24)), "alignment 24"),
        (head(0, 1, gguf_string("general.alignment") + u32(10) + u64(32)), "alignment 0"),
        (FILE[:-1], "the original at"),
    ],
)
def test_refused(data: bytes, words: str) -> None:
    assert words in refusal(data)


@given(mutated(FILE))
def test_mutations(data: bytes) -> None:
    if checked(source.parse, data) is not None:
        round_trip(data)


@given(st.binary(max_size=80))
def test_any_bytes_behind_the_magic(data: bytes) -> None:
    checked(source.parse, b"GGUF\3\0\0\0" + data)


# The table of types.


def test_the_table_is_that_of_the_package() -> None:
    gguf = pytest.importorskip("gguf", reason=NO_PACKAGE)
    theirs = {t.name: (int(t), *sizes) for t, sizes in gguf.GGML_QUANT_SIZES.items()}
    ours: dict[str, tuple[int, ...]] = {n: (b.number, b.elements, b.size) for n, b in BLOCKS.items()}
    ours |= {name: (number, 1, DTYPES[name].bits // 8) for number, name in PLAIN.items()}
    assert ours == theirs
    assert {b.number: n for n, b in BLOCKS.items()} == BLOCK_NAMES


@pytest.mark.parametrize("name", BLOCKS)
def test_fields_tile_the_block(name: str) -> None:
    at = 0
    for field in BLOCKS[name].fields:
        assert field.offset == at and field.size > 0
        at += field.size
        if field.run:
            assert field.size % field.run == 0
    assert at == BLOCKS[name].size
    widths = {"bits1": 1, "bits2": 2, "bits4": 4}
    for field in BLOCKS[name].fields:
        if field.kind in widths:
            assert field.size * 8 == widths[field.kind] * BLOCKS[name].elements


def dequantised(name: str, blocks: np.ndarray) -> np.ndarray:
    gguf: Any = pytest.importorskip("gguf", reason=NO_PACKAGE)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name]))
    except NotImplementedError:
        pytest.skip(f"the gguf package does not dequantise {name}")


def noise(block: Block, rows: int) -> np.ndarray:
    """Blocks in which no float is huge or no number."""
    out = np.frombuffer(NOISE[: rows * block.size], np.uint8).reshape(rows, -1).copy()
    for field in block.fields:
        if field.kind == "F16":
            out[:, field.offset + 1] = 0x3C
        elif field.kind in ("E8M0", "UE4M3"):
            out[:, field.offset : field.offset + field.size] = 60
        elif field.kind == "scales3|d":
            out[:, field.offset + 7] = out[:, field.offset + 7] & 0x0F | 0x30
    return out


@pytest.mark.parametrize("name", BLOCKS)
def test_without_its_scales_a_block_is_zeros(name: str) -> None:
    block = BLOCKS[name]
    blocks = noise(block, 4)
    assert dequantised(name, blocks).any()
    for field in block.fields:
        if field.kind in ("F16", "UE4M3"):
            blocks[:, field.offset : field.offset + field.size] = 0
        elif field.kind == "E8M0":
            return  # 0 is 2^-127
        elif field.kind == "scales3|d":
            blocks[:, field.offset + 1 : field.offset + field.size : 2] &= 0x0F
    assert not dequantised(name, blocks).any()


def weights_of(field: Field, byte: int, bit: int) -> int:
    """Which weight has a bit of a byte of a packed field, by the rule that gguf_types states."""
    width = int(field.kind[4:])
    run, within = divmod(byte, field.run)
    return (run * (8 // width) + bit // width) * field.run + within


PACKED = [(name, f) for name, block in BLOCKS.items() for f in block.fields if f.kind.startswith("bits")]


@pytest.mark.parametrize(("name", "field"), PACKED, ids=[f"{name}.{f.name}" for name, f in PACKED])
def test_a_packed_bit_is_of_the_weight_that_the_table_says(name: str, field: Field) -> None:
    block = BLOCKS[name]
    before = noise(block, 1)
    if name == "NVFP4" or name == "MXFP4":
        before[:, field.offset :] = 0x77  # no zeros, of which one has a sign
    reference = dequantised(name, before)[0]
    for byte in range(field.size):
        for bit in range(8):
            after = before.copy()
            after[0, field.offset + byte] ^= 1 << bit
            changed = np.flatnonzero(dequantised(name, after)[0] != reference)
            if name in ("IQ4_NL", "IQ4_XS") or "FP4" in name or changed.size:
                assert changed.tolist() == [weights_of(field, byte, bit)], (byte, bit)
            else:  # one that a scale of 0 hides
                assert name.endswith("_K") or name.startswith("IQ")


SPLIT = ("Q5_0", "Q5_1", "Q3_K", "Q5_K", "Q6_K", "IQ4_XS")


@pytest.mark.parametrize("name", BLOCKS)
def test_what_two_fields_have_of_the_same_numbers_is_share(name: str) -> None:
    way = codes_of(fields_of(name))
    assert (way is not None) == (name in SPLIT)
    if way is None:
        return
    parts = {f.part: n.share.name for f, n in zip(way.fields, fields_of(name), strict=True) if n.share}
    counts = dict(zip(parts.values(), (way.codes[part] for part in parts), strict=True))
    assert counts.get("codes", BLOCKS[name].elements) == BLOCKS[name].elements
    assert counts.get("scales", 16) == (8 if name == "IQ4_XS" else 16) and counts

    def shown(block: np.ndarray) -> list[np.ndarray]:
        parts = [np.zeros(count, np.uint8) for count in way.codes]
        way.split(block, parts)
        return parts

    zeros = np.zeros(BLOCKS[name].size, np.uint8)
    for (start, held), field in zip(way.placed(), fields_of(name), strict=True):
        if field.share is None:
            continue
        whole = next(f for f in BLOCKS[name].fields if f.offset <= start < f.offset + f.size)
        for at in range(start, start + held.size):
            for bit in range(8):
                block = zeros.copy()
                block[at] = 1 << bit
                (code,) = np.flatnonzero(shown(block)[held.part])
                byte = at - whole.offset
                of = weights_of(whole, byte, bit) if whole.kind[:4] == "bits" else sub_block_of(whole.kind, byte, bit)
                assert code == of and shown(block)[held.part][code] == 1 << field.share.shift + bit % held.bits


def sub_block_of(kind: str, byte: int, bit: int) -> int:
    """Which sub-block's scale (or min) has a bit of a packed field of scales, by the rule that gguf_types states."""
    if kind == "mins6":
        return byte - 4 if byte >= 8 else byte % 4 + (4 if bit >= 6 else 0)
    if kind == "scales6":
        return byte + 8 * (bit // 4) if byte < 8 else byte - 8 + 4 * (bit // 2)
    if kind == "scale|min":
        return byte
    width = int(kind[6:])
    return byte * (8 // width) + bit // width


SCALES = [
    (name, f)
    for name, block in BLOCKS.items()
    for f in block.fields
    if f.kind in ("mins6", "scales6", "scales2", "scales4", "scale|min")
]


@pytest.mark.parametrize(("name", "field"), SCALES, ids=[f"{name}.{f.name}" for name, f in SCALES])
def test_a_bit_of_a_packed_scale_is_of_the_sub_block_that_the_table_says(name: str, field: Field) -> None:
    block = BLOCKS[name]
    before = noise(block, 1)
    reference = dequantised(name, before)[0]
    count = {"mins6": 8, "scales6": 16, "scale|min": 16}.get(field.kind, 0)
    count = count or field.size * 8 // int(field.kind[6:])
    seen = set()
    for byte in range(field.size):
        for bit in range(8):
            after = before.copy()
            after[0, field.offset + byte] ^= 1 << bit
            changed = np.flatnonzero(dequantised(name, after)[0] != reference)
            touched = set((changed * count // block.elements).tolist())
            assert touched <= {sub_block_of(field.kind, byte, bit)}, (byte, bit)
            seen |= touched
    assert seen == set(range(count))


def test_files_of_the_package_and_its_quantiser(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason=NO_PACKAGE)
    path = tmp_path / "made.gguf"
    writer = gguf.GGUFWriter(path, "toy")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ç"])
    writer.add_uint32("toy.context_length", 5)
    weights = np.random.default_rng(3).normal(0, 0.02, (8, 512)).astype(np.float32)
    writer.add_tensor("plain.f32", weights)
    writer.add_tensor("plain.f16", weights.astype(np.float16))
    writer.add_tensor("norm", weights[0, :7])
    kinds = []
    for kind in gguf.GGMLQuantizationType:
        try:
            raw = gguf.quants.quantize(weights, kind)
        except NotImplementedError:
            raw = np.frombuffer(NOISE, np.uint8)[: 8 * gguf.quant_shape_to_byte_shape((512,), kind)[0]].reshape(8, -1)
        if kind.name in PLAIN.values():
            continue
        writer.add_tensor(f"blk.{kind.name}", raw, raw_dtype=kind)
        kinds.append(kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    found = readable(path, data, "gguf")
    reader = gguf.GGUFReader(path)
    assert set(found) == {t.name for t in reader.tensors} and len(kinds) == len(BLOCKS)
    segments = {s.name: s for s in source.parse(Look.of(data)) if s.is_tensor}
    for t in reader.tensors:
        s = segments[t.name]
        assert s.start == t.data_offset and s.size == t.n_bytes
        assert s.shape == tuple(t.data.shape)
    del reader, t

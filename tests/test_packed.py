"""Packed codes: known by their bytes alone, and coded in the order that takes the fewest bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from bench.inputs import gaussian_f32
from bench.integers import entropy
from bench.packed import AWQ_ORDER, PACKERS, asymmetric, bitnet, nf4_codes, ternary_codes, words
from codec.dtypes import DTYPES
from codec.packed import encode_packed
from codec.planner.levels import level_of
from codec.planner.packed import bytes_alike, code_bits
from tests.test_structure import decoded, kinds

MAX, DEFAULT = level_of("max"), level_of("default")
#: Weights whose columns and rows differ in scale.
WEIGHTS = gaussian_f32(3, 256, 512) * np.exp(gaussian_f32(9, 1, 512) / 4) * np.exp(gaussian_f32(8, 256, 1) / 4)


def held(packer: str) -> tuple[str, np.ndarray]:
    tensors = PACKERS[packer](WEIGHTS)
    return tensors.get("qweight") or tensors["weight"]


def compressed(packer: str, level: str) -> float:
    """Stored bits a weight."""
    dtype, array = held(packer)
    blob = codec.compress(array.tobytes(), dtype, array.shape, level, 1)
    assert codec.decompress(blob, threads=1) == array.tobytes()
    return 8 * len(blob) / WEIGHTS.size


def unpacked(array: np.ndarray, bits: int) -> np.ndarray:
    """[..., codes of an element], the lowest first."""
    places = np.arange(0, 8 * array.itemsize, bits, dtype=np.uint32)
    return array.view(f"u{array.itemsize}")[..., None].astype(np.uint32) >> places & ((1 << bits) - 1)


def test_packers_pack_as_their_formats_do() -> None:
    codes, zeros, _ = asymmetric(WEIGHTS, 4)
    tensors = PACKERS["gptq-int4"](WEIGHTS)
    found = unpacked(tensors["qweight"][1], 4)  # [in / 8, out, 8]
    assert np.array_equal(found.transpose(1, 0, 2).reshape(256, 512), codes)
    assert np.array_equal(unpacked(tensors["qzeros"][1], 4).reshape(4, 256) + 1 & 15, zeros.T)
    found = unpacked(PACKERS["awq-int4"](WEIGHTS)["qweight"][1], 4)  # [in, out / 8, 8]
    back = found[..., np.argsort(AWQ_ORDER)]
    assert np.array_equal(back.reshape(512, 256), codes.T)
    found = unpacked(bitnet(WEIGHTS)["weight"][1], 2)  # [out / 4, in, 4]
    assert np.array_equal(found.transpose(2, 0, 1).reshape(256, 512), ternary_codes(WEIGHTS))
    assert np.abs(nf4_codes(WEIGHTS)[0].astype(int) - 7).max() == 8


@pytest.mark.parametrize(
    ("packer", "most"), [("gptq-int4", 1.002), ("awq-int4", 1.002), ("bnb-nf4", 1.004), ("bitnet-ternary", 1.005)]
)
def test_default_takes_little_more_than_the_entropy_of_codes(packer: str, most: float) -> None:
    dtype, array = held(packer)
    assert dtype in ("I32", "U8")
    bits = 2 if packer == "bitnet-ternary" else 4
    assert compressed(packer, "default") < most * entropy(
        unpacked(array, bits)
    ) * array.nbytes * 8 / bits / WEIGHTS.size + (8 * 400 / WEIGHTS.size)


@pytest.mark.parametrize(("packer", "most"), [("gptq-int4", 0.995), ("gptq-int2", 0.91), ("awq-int4", 0.995)])
def test_max_takes_less(packer: str, most: float) -> None:
    dtype, array = held(packer)
    spans = encode_packed(array.reshape(-1).view(np.uint8), DTYPES[dtype], array.shape, MAX)
    assert spans is not None and kinds(spans) == {"codes"} and decoded(spans) == array.tobytes()
    assert all(set(span.fields) <= {"codes", "tables", "headers"} for span in spans)
    assert 8 * sum(span.stored.size for span in spans) / WEIGHTS.size < most * compressed(packer, "default")


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(PACKERS)), st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.integers(1, 5),
    st.sampled_from(["fast", "default", "max"]), st.booleans(),
)  # fmt: skip
def test_any_part_of_them_comes_back(
    packer: str, top: int, left: int, columns: int, times: int, level: str, shaped: bool
) -> None:
    dtype, array = held(packer)
    part = np.ascontiguousarray(
        array[top:, left : left + columns] if array.shape[1] > 1 else array[top : -left or None]
    )
    part = np.concatenate([part] * times)[: 20_000 // part.shape[1] + 1]
    shape = part.shape if shaped else (part.size,)
    spans = encode_packed(part.reshape(-1).view(np.uint8), DTYPES[dtype], shape, level_of(level))
    if spans is not None:
        assert level == "max" and decoded(spans) == part.tobytes()
    assert codec.decompress(codec.compress(part.tobytes(), dtype, shape, level, 1), threads=1) == part.tobytes()


@pytest.mark.parametrize("packer", sorted(PACKERS))
def test_packed_codes_are_known(packer: str) -> None:
    dtype, array = held(packer)
    data = array.reshape(-1).view(np.uint8)
    width = DTYPES[dtype].bits // 8
    wanted = {"int4": (4,), "nf4": (4,), "int2": (2,), "ternary": (2,)}
    found = code_bits(data, width)
    assert found[:1] == wanted.get(packer.split("-")[1], ())
    assert bytes_alike(data, width) or width == 1


def test_plain_integers_are_not() -> None:
    whole = np.rint(WEIGHTS * 30).clip(-128, 127)
    for array in (
        whole.astype(np.int8), (whole + 128).astype(np.uint8), np.rint(WEIGHTS * 3000).astype(np.int16),
        np.rint(WEIGHTS * 1e6).astype(np.int32), np.rint(WEIGHTS).astype(np.int8), np.zeros(9000, np.int32),
        np.arange(9000, dtype=np.int32), np.random.default_rng(1).integers(0, 256, 70_000).astype(np.uint8),
    ):  # fmt: skip
        data = array.reshape(-1).view(np.uint8)
        assert code_bits(data, array.itemsize) == ()
        assert array.itemsize == 1 or not bytes_alike(data, array.itemsize)


def test_words_hold_codes_in_order() -> None:
    codes = np.arange(16, dtype=np.uint8)[None] % 4
    assert np.array_equal(unpacked(words(codes, 2), 2).reshape(-1), codes[0])


def test_other_levels_leave_codes_in_their_bytes() -> None:
    dtype, array = held("gptq-int4")
    assert encode_packed(array.reshape(-1).view(np.uint8), DTYPES[dtype], array.shape, DEFAULT) is None

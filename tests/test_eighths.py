"""Floats of a byte: whole, or cut into exponent and rest where few of them make that smaller."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from bench.inputs import float8, gaussian_f32
from codec.bit_fields import plane_fields
from codec.dtypes import DTYPES, SMALL_FLOATS
from codec.planner.eighths import MOST, choose_cut
from codec.planner.levels import level_of
from codec.planner.span import plan_cut
from tests.spec import load

DEFAULT = level_of("default")
FLOATS = sorted(SMALL_FLOATS)


def normal(dtype: str, count: int, seed: int) -> np.ndarray:
    """uint8 of normally distributed floats, up to the largest there are, nearly."""
    exponent, mantissa = SMALL_FLOATS[dtype]
    values = gaussian_f32(seed, 1, count)[0]
    return float8(values * np.float32((400 if exponent == 4 else 40_000) / np.abs(values).max()), exponent, mantissa)


def stored(data: np.ndarray, dtype: str, level: str = "default") -> int:
    blob = codec.compress(data.tobytes(), dtype, data.shape, level, 1)
    assert codec.decompress(blob, threads=1) == data.tobytes()
    return len(blob)


@given(
    st.sampled_from(FLOATS), st.sampled_from(["fast", "default", "max"]), st.integers(0, 9000), st.integers(1, 8),
    st.sampled_from([0, 0.3, 0.9]), st.integers(0, 2**32),
)  # fmt: skip
def test_any_floats_come_back(dtype: str, level: str, count: int, bits: int, zeros: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.binomial(255, rng.random(), count).astype(np.uint8) if bits == 8 else normal(dtype, max(1, count), seed)
    data = np.where(rng.random(data.size) < zeros, 0, data).astype(np.uint8) & np.uint8(255 << 8 - bits & 255)
    stored(data, dtype, level)


@given(st.sampled_from(FLOATS), st.binary(min_size=1, max_size=3000))
def test_any_bytes_come_back(dtype: str, data: bytes) -> None:
    stored(np.frombuffer(data, np.uint8), dtype)
    plan = plan_cut(np.frombuffer(data, np.uint8), DTYPES[dtype], (), DEFAULT)
    assert plan is None or len(plan.layout.planes) > 1


def estimated(counts: np.ndarray) -> float:
    """Order 0, and 3 bits for each value from the least to the greatest."""
    there = np.flatnonzero(counts)
    return sum(-n * math.log2(n / counts.sum()) for n in counts[there]) + 3 * (there[-1] - there[0] + 1)


@given(st.sampled_from(FLOATS), st.integers(1, 5000), st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_the_cheapest_cut_is_chosen(dtype: str, count: int, p: float, seed: int) -> None:
    exponent, mantissa = SMALL_FLOATS[dtype]
    data = np.random.default_rng(seed).binomial(127, p, count).astype(np.uint8)
    data |= np.random.default_rng(seed + 1).integers(0, 2, count).astype(np.uint8) << np.uint8(7)
    counts = np.bincount(data, minlength=256)
    bits = {-1: estimated(counts)}
    for k in range(mantissa + 1):
        fields = np.bincount((data & 127) >> np.uint8(mantissa - k), minlength=8)
        bits[k] = estimated(fields) + (1 + mantissa - k) * count
    found = choose_cut(counts.astype(np.int64), exponent, mantissa)
    chosen = -1 if found is None else found.mantissa
    assert bits[chosen] <= min(bits.values()) + 0.001 * count + 1
    if found is not None:
        fields = (data & 127) >> np.uint8(mantissa - chosen)
        assert fields.max() <= found.window + found.span and (fields[fields > 0].min(initial=255) > found.window)


@pytest.mark.parametrize("dtype", FLOATS)
def test_few_are_cut_and_many_are_not(dtype: str) -> None:
    gain = {}
    for count in (1024, 4096, 16_384, MOST):
        data = normal(dtype, count, 5)
        gain[count] = stored(data, "U8") - stored(data, dtype)
        plan = plan_cut(data, DTYPES[dtype], data.shape, DEFAULT)
        assert plan is not None and plan.layout.fold is not None
        assert any("sign" in found for found in plane_fields(plan.layout)[:-1])
        assert next(iter(plane_fields(plan.layout)[-1])).startswith("exponent")
    assert min(gain.values()) >= 0 and gain[1024] >= 20 and gain[4096] >= 8, gain
    assert plan_cut(normal(dtype, MOST + 1, 5), DTYPES[dtype], (), DEFAULT) is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_other_decoder_reads_them(dtype: str) -> None:
    data = normal(dtype, 1500, 7)
    blob = codec.compress(data.tobytes(), dtype, (30, 50), "default", 1)
    assert len(blob) < stored(data, "U8")
    assert load("reference_decoder").decode(blob) == data.tobytes()

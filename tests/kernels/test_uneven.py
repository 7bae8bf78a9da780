"""Whether the scales of rows and columns differ: against the analysis of variance in floats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels.uneven import ROWS, WORK, range_of, uneven


def symbols(rows: int, period: int, by_row: float, by_column: float, octave: int = 4, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scales = rng.normal(0, by_row, (rows, 1)) + rng.normal(0, by_column, (1, period))
    x = np.abs(rng.normal(0, 1, scales.shape)) * 2.0**scales
    return np.clip(np.floor(octave * np.log2(x)) + 128, 0, 255).astype(np.uint8)


def asked(x: np.ndarray, tile: int, step: int = 1, octave: int = 4, rest: int = 6) -> bool:
    work = np.full(WORK + (x.shape[1] + 1) // 2, 7, np.int64)
    return bool(uneven(x.reshape(-1), tile, step, x.shape[1], octave, rest, work))


@pytest.mark.parametrize(("rows", "period"), [(300, 300), (64, 2000), (2000, 64), (30, 4097)])
def test_columns_that_differ_are_found(rows: int, period: int) -> None:
    assert asked(symbols(rows, period, 0, 1.0), period)
    assert asked(symbols(rows, period, 2.0, 1.0), period)
    assert not asked(symbols(rows, period, 0, 0.0), period)
    assert not asked(symbols(rows, period, 0, 0.1), period)


def test_rows_tell_only_where_they_share_a_tile() -> None:
    x = symbols(512, 32, 1.0, 0)
    assert asked(x, 8 * 32) and not asked(x, 32)


def test_the_sample_may_be_parts_of_rows() -> None:
    """Every third of the tiles of 64 that a row of 256 is: those of each part come in turn."""
    x = symbols(900, 256, 0, 1.0)
    tiles = x.reshape(-1, 64)[::3]
    work = np.zeros(WORK + 128, np.int64)
    assert uneven(tiles.reshape(-1), 64, 3, 256, 4, 6, work)
    flat = symbols(900, 256, 0, 0.0).reshape(-1, 64)[::3]
    assert not uneven(flat.reshape(-1), 64, 3, 256, 4, 6, work)


def test_the_more_bits_beside_the_more_it_takes() -> None:
    x = symbols(300, 300, 0, 0.6)
    assert asked(x, 300, rest=6) and not asked(x, 300, rest=53)


def gain(x: np.ndarray, octave: int, rest: int) -> float:
    """What it should find, in bits, less what is asked for; of up to ROWS rows."""
    some = x[:: max(1, len(x) // ROWS)][:ROWS] if len(x) > ROWS else x
    flat = np.sort(x.reshape(-1)[np.arange(2048) * x.size // 2048])
    low, high = flat[int(np.ceil(len(flat) / 50)) - 1], flat[int(np.ceil(len(flat) * 0.98)) - 1]
    v = some.clip(low, high).astype(float)
    rows, columns, mean = v.mean(1, keepdims=True), v.mean(0, keepdims=True), v.mean()
    noise = ((v - rows - columns + mean) ** 2).sum() / ((v.shape[0] - 1) * (v.shape[1] - 1))
    explained = ((columns - mean) ** 2).mean() - (v.shape[1] - 1) * noise / v.size
    if explained <= 0:
        return -1.0
    noise = max(noise, octave * octave / 16)
    bits = max(0.6 * explained / octave**2, np.log2(1 + explained / noise) / 2)
    spent = (3 * (x.shape[0] + x.shape[1]) + 800) / x.size
    return float(bits - spent - max(1 / 8, (rest + 3) * 0.008))


@given(
    st.integers(4, 200), st.integers(8, 300), st.floats(0, 2), st.floats(0, 2), st.sampled_from([1, 2, 4, 8]),
    st.integers(3, 53), st.integers(0, 99),
)  # fmt: skip
def test_against_floats(
    rows: int, period: int, by_row: float, by_column: float, octave: int, rest: int, seed: int
) -> None:
    x = symbols(rows, period, by_row, by_column, octave, seed)
    wanted = gain(x, octave, rest)
    if abs(wanted) > 0.02:
        assert asked(x, period, octave=octave, rest=rest) == (wanted > 0)


@given(st.binary(min_size=0, max_size=3000), st.integers(1, 300), st.integers(1, 9), st.integers(1, 600))
def test_any_bytes_any_shape(data: bytes, tile: int, step: int, period: int) -> None:
    work = np.zeros(WORK + (period + 1) // 2, np.int64)
    assert uneven(np.frombuffer(data, np.uint8), tile, step, period, 4, 6, work) in (True, False)


@given(st.binary(min_size=1, max_size=400))
def test_range_of(data: bytes) -> None:
    x, ends = np.frombuffer(data, np.uint8), np.zeros(2, np.int64)
    range_of(np.bincount(x, minlength=256).astype(np.int64), ends)
    low, high = ends.tolist()
    assert np.count_nonzero(x < low) * 50 <= x.size and np.count_nonzero(x > high) * 50 <= x.size
    assert x.min() <= low <= high <= 255

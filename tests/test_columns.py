"""Tables by row and column (stage 7): when they are taken, what they gain, and that everything comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.kernels import column_levels as levels
from codec.kernels import column_plan as kernel
from codec.planner.levels import level_of
from codec.planner.span import plan_span
from codec.stages.columns import COLUMNS, ColumnTables
from codec.stages.geometry import view
from codec.stages.rans import RANS


def matrix(shape: tuple[int, ...], rows: float, columns: float, sigma: float = 6.0, seed: int = 1) -> np.ndarray:
    """Normal numbers, rounded, whose rows and columns have scales that differ by so many octaves."""
    rng = np.random.default_rng(seed)
    scales = rng.normal(0, rows, (shape[0], 1)) + rng.normal(0, columns, (1, int(np.prod(shape[1:]))))
    x = np.round(rng.normal(0, sigma, scales.shape) * 2.0**scales)
    return x.clip(-127, 127).astype(np.int8).reshape(shape)


def tables_of(x: np.ndarray, level: str = "default", dtype: str = "I8") -> Any:
    plan = plan_span(view(x.tobytes()), DTYPES[dtype], x.shape, level_of(level))
    return plan.layout.planes[-1].tables


def bytes_of(x: np.ndarray, **how: Any) -> int:
    return encode_span(
        x.tobytes(), DTYPES[how.get("dtype", "I8")], x.shape, level_of(how.get("level", "default"))
    ).stored.size


@pytest.mark.parametrize("shape", [(300, 300), (2000, 64), (400, 3, 3, 32), (200, 20000)])
def test_scales_of_rows_and_columns_are_found(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    x = matrix(shape, 0.4, 0.4)
    found = tables_of(x)
    assert isinstance(found, ColumnTables) and found.count > 4
    assert found.columns.size in (np.prod(shape[1:]), shape[-1])
    with_columns = bytes_of(x)
    monkeypatch.setattr("codec.planner.plane.plan_columns", lambda *_: None)
    assert isinstance(tables_of(x).stage, int) and tables_of(x).stage == RANS
    assert with_columns < 0.99 * bytes_of(x)


def test_numbers_follow_the_scales() -> None:
    """Columns in two groups, an octave apart: their numbers are, too; the rows' are alike."""
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(0, 8, (512, 256)) * np.where(np.arange(256) % 4 == 0, 2.0, 1.0)).clip(-127, 127)
    found = tables_of(x.astype(np.int8))
    assert found.stage == COLUMNS and found.columns.size == 256
    wide, narrow = found.columns[::4].astype(int), found.columns[np.arange(256) % 4 > 0].astype(int)
    assert wide.min() > narrow.max() and np.ptp(wide) <= 2 and np.ptp(narrow) <= 2


def test_the_middle_of_bytes_may_be_anywhere() -> None:
    x = matrix((300, 300), 0.4, 0.4, sigma=5)
    sizes = [bytes_of((x.view(np.uint8) + np.uint8(add)).view(np.int8)) for add in (0, 77, 128, 250)]
    assert max(sizes) - min(sizes) < 64


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (matrix((300, 300), 0, 0), "one scale"),
        (np.random.default_rng(1).integers(-128, 128, (300, 300)).astype(np.int8), "noise"),
        (np.zeros((300, 300), np.int8), "zeros"),
        (matrix((3, 100), 1, 1), "too small"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_nothing_is_gained_it_is_left(x: np.ndarray, why: str) -> None:
    found = tables_of(x)
    assert found is None or found.stage == RANS


@pytest.mark.parametrize("shape", [(885, 1090), (600, 1500), (2000, 300), (64, 8192)])
@pytest.mark.parametrize("scales", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.3)])
def test_it_is_never_larger(
    shape: tuple[int, int], scales: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where tiles of several rows differ within, nor where the sample has few of them."""
    x = matrix(shape, *scales, sigma=1)
    size = bytes_of(x)
    monkeypatch.setattr("codec.planner.plane.plan_columns", lambda *_: None)
    assert size <= bytes_of(x)


def test_level_fast_has_none() -> None:
    assert tables_of(matrix((300, 300), 0.4, 0.4), "fast").stage != COLUMNS


def test_rows_that_the_sample_lacks() -> None:
    """Bytes that occur in few rows of a large span, which the sample does not see, have a place in their tables."""
    x = np.tile(matrix((512, 512), 0.5, 0.5), (12, 1))
    x[1::7, 5], x[3::97, :9] = -128, 127
    data = x.tobytes()
    coded = encode_span(data, DTYPES["I8"], x.shape, level_of("default"))
    assert coded.stored.size < 0.85 * x.size
    blob = codec.compress(x)
    assert codec.decompress(blob) == data


@pytest.mark.parametrize("width", [30, 8193, 9000, 16384, 20000, 28672, 70000])
def test_long_rows(width: int) -> None:
    """Rows that are several tiles, or none that go with tiles, over several chunks."""
    x = matrix((max(3, 600_000 // width), width), 0.4, 0.6)
    assert codec.decompress(codec.compress(x)) == x.tobytes()


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 400))
    | st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 60)),
    rows=st.floats(0, 3),
    columns=st.floats(0, 3),
    sigma=st.floats(0.1, 60),
    add=st.integers(0, 255),
    seed=st.integers(0, 99),
    level=st.sampled_from(["default", "max"]),
    dtype=st.sampled_from(["I8", "U8", "F8_E4M3", "I16"]),
    tail=st.integers(0, 1),
)  # fmt: skip
def test_everything_comes_back(
    shape: tuple[int, ...], rows: float, columns: float, sigma: float, add: int, seed: int, level: str, dtype: str,
    tail: int,
) -> None:  # fmt: skip
    x = matrix(shape, rows, columns, sigma, seed).view(np.uint8) + np.uint8(add)
    data = (x.astype(np.int16) * 3 if dtype == "I16" else x).tobytes() + b"t" * (tail * (dtype == "I16"))
    coded = encode_span(data, DTYPES[dtype], shape, level_of(level))
    record = coded.stored[: coded.entry.record].tobytes()
    span = SpanDecoder(records.body_of(record, records.SPAN, "test", 0), "test")
    out = np.zeros(len(data), np.uint8)
    span.decode_inline(out)
    assert out.tobytes() == data


@given(st.integers(0, 2**32), st.integers(1, 9), st.sampled_from([1, 2, 7, 64]), st.integers(0, 255), st.integers(1, 8))
def test_numbers_are_in_range_whatever_the_bytes(seed: int, tiles: int, step: int, middle: int, times: int) -> None:
    """And the counts are those of the elements whose rows and columns add up to each table."""
    rng = np.random.default_rng(seed)
    tile = times * int(rng.integers(8, 60))
    period = int(rng.choice([1, tile, tile // times]))
    x = rng.choice(rng.integers(0, 256, 5), tiles * tile - int(rng.integers(tile) if step == 1 else 0)).astype(np.uint8)
    x = np.where(rng.integers(0, 9, x.size) == 0, rng.integers(0, 256, x.size), x).astype(np.uint8)
    b = np.arange(256)
    weights = np.minimum(b - middle & 255, middle - b & 255)
    beside, counts = np.zeros(period, np.uint8), np.zeros((kernel.CLASSES + 1, 256), np.int64)
    limits, results = np.zeros(kernel.LIMITS_MAX, np.int64), np.zeros(kernel.RESULTS, np.int64)
    status = kernel.number(
        x, tile, step, x, step, weights, middle, 0, 256, 0, np.zeros(period, np.uint32), np.zeros(tiles, np.int64),
        np.zeros(period, np.int64), beside, counts, limits, results,
    )  # fmt: skip
    if status < 0:
        return
    count, many, least = results.tolist()
    assert 2 <= count <= 16 and many <= kernel.LIMITS_MAX
    assert (np.diff(limits[:many]) >= 0).all()
    rows = np.zeros(tiles, np.uint8)
    levels.rows_numbers(x, tile, weights, middle, 0, limits[:many], least, np.zeros(tiles, np.int64), rows)
    assert rows.max() <= 127 and beside.max() <= 127
    wanted = np.zeros((count, 256), np.int64)
    seen = np.zeros((count, 256), np.uint8)
    for i, byte in enumerate(x.tolist()):
        number = int(rows[i // tile]) + int(beside[i % tile % period]) - 64
        wanted[min(max(number, 0), count - 1), byte] += 1
    assert (counts[:count] == wanted).all()
    levels.present(x, tile, rows, beside, middle, 0, seen, np.zeros(period, np.uint8))
    assert ((seen > 0) | (wanted == 0)).all()

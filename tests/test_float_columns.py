"""Tables by row and column (stage 7) for the symbols of floats: when they are taken, and that everything comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec.batch import encode_one
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.planner.levels import level_of
from codec.planner.tiles import short_tiles
from codec.stages.columns import COLUMNS
from codec.stages.layout import Layout
from tests.test_reference_decoder import agreed

TYPES = {"F16": np.float16, "BF16": np.float32, "F32": np.float32, "F64": np.float64, "C64": np.complex64}


def floats(
    shape: tuple[int, ...], rows: float, columns: float, dtype: str = "F32", seed: int = 1, dead: float = 0.0
) -> bytes:
    """Normal numbers in rows and columns whose scales differ by so many octaves; some rows are next to nothing."""
    rng = np.random.default_rng(seed)
    wide = (shape[0], int(np.prod(shape[1:])))
    scales = rng.normal(0, rows, (wide[0], 1)) + rng.normal(0, columns, (1, wide[1]))
    scales -= 30 * (rng.random((wide[0], 1)) < dead)
    x = rng.normal(0, 0.05, wide) * 2.0**scales
    with np.errstate(over="ignore"):
        cast = x.astype(TYPES[dtype])
    return (cast.view(np.uint32) >> 16).astype(np.uint16).tobytes() if dtype == "BF16" else cast.tobytes()


def coded(data: bytes, shape: tuple[int, ...], dtype: str = "F32", level: str = "default") -> tuple[Layout, int]:
    """The layout of a span, which comes back as it was, and its stored bytes."""
    found = encode_span(data, DTYPES[dtype], shape, level_of(level))
    record = found.stored[: found.entry.record].tobytes()
    span = SpanDecoder(records.body_of(record, records.SPAN, "test", 0), "test")
    if span.layout.chunks == 1:
        out = np.zeros(len(data), np.uint8)
        span.decode_inline(out)
        assert out.tobytes() == data
    return span.layout, found.stored.size


def by_columns(layout: Layout) -> bool:
    return bool(layout.planes) and getattr(layout.planes[-1].tables, "stage", 0) == COLUMNS


@pytest.mark.parametrize("level", ["default", "max"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((256, 256), "F32"),
        ((256, 200), "F16"),
        ((300, 257), "BF16"),
        ((200, 100), "F64"),
        ((200, 90), "C64"),
        ((64, 25, 3, 3), "F32"),
        ((400, 23), "F32"),
        ((16, 40000), "BF16"),
    ],
)
def test_scales_of_rows_and_columns_are_found(
    shape: tuple[int, ...], dtype: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = floats(shape, 1.0, 1.5, dtype)
    layout, size = coded(data, shape, dtype, level)
    monkeypatch.setattr("codec.encode.plans_by_columns", lambda *_: ())
    _, other = coded(data, shape, dtype, level)
    if level == "default":
        assert by_columns(layout) and layout.planes[-1].tables.count > 4
        assert layout.tile in short_tiles((*shape, 2) if dtype == "C64" else shape, layout.elements)
        assert size * 1000 <= other * 993
    assert size <= other


@pytest.mark.parametrize("level", ["default", "max"])
@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@pytest.mark.parametrize("scales", [(0.0, 0.0), (1.0, 0.0), (0.1, 0.1)])
def test_ordinary_weights_have_none(dtype: str, level: str, scales: tuple[float, float]) -> None:
    layout, _ = coded(floats((400, 400), *scales, dtype), (400, 400), dtype, level)
    assert layout.planes and not by_columns(layout)


def test_level_fast_has_none() -> None:
    assert not by_columns(coded(floats((256, 256), 1, 2), (256, 256), level="fast")[0])


def test_what_is_no_matrix_has_none() -> None:
    data = floats((256, 256), 1, 2)
    assert not by_columns(coded(data, (256 * 256,))[0])
    assert not by_columns(coded(data, (16384, 4))[0])


def test_dead_rows_do_not_hide_the_others() -> None:
    """A moment of an optimizer has all but decayed where a unit is dead."""
    data = floats((256, 256), 0.5, 1.5, dead=0.3)
    assert by_columns(coded(data, (256, 256))[0])


@pytest.mark.parametrize("width", [1000, 9000, 16384, 20000, 28672, 70000])
def test_long_rows(width: int) -> None:
    """Rows that are several tiles, or none that go with tiles, over several chunks."""
    shape = (500, 400)
    data = floats(shape, 0.7, 1.5, "BF16")
    x = np.frombuffer(data, np.uint16).reshape(shape)
    assert codec.decompress(codec.compress(x, dtype="BF16")) == data


def test_threads_and_batches_write_the_same() -> None:
    x = np.frombuffer(floats((1500, 1024), 1, 1.5), np.float32).reshape(1500, 1024)
    assert codec.compress(x, threads=1) == codec.compress(x, threads=3)


@pytest.mark.parametrize("shape", [(256, 256), (3000, 500), (40, 9000), (70, 25, 3, 3)])
@pytest.mark.parametrize("columns", [0.2, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("dtype", ["BF16", "F32", "C64"])
def test_the_quick_way_leaves_the_same_to_the_other(shape: tuple[int, ...], columns: float, dtype: str) -> None:
    data = np.frombuffer(floats(shape, 0.5, columns, dtype), np.uint8)
    level = level_of("default")
    one, other = encode_one(data, DTYPES[dtype], shape, level), encode_span(data, DTYPES[dtype], shape, level)
    assert one.stored.tobytes() == other.stored.tobytes()


def spoilt(data: bytes, dtype: str, seed: int, many: int) -> bytes:
    """Some elements of any bits: zeros, infinities, numbers far outside the window, which escape."""
    width = DTYPES[dtype].bits // 8
    x = np.frombuffer(data, np.uint8).reshape(-1, width).copy()
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(x), many):
        x[at] = rng.choice([rng.integers(0, 256, width), np.zeros(width, np.int64), np.full(width, 255)])
    return x.tobytes()


@pytest.mark.parametrize(("shape", "dtype"), [((500, 40), "BF16"), ((5000, 23), "F32"), ((30, 25, 3, 3), "F16")])
def test_the_reference_decoder_reads_it(shape: tuple[int, ...], dtype: str) -> None:
    data = spoilt(floats(shape, 1, 1.5, dtype), dtype, 3, 5)
    assert by_columns(coded(data, shape, dtype)[0])
    assert agreed(codec.compress(data, dtype, shape)) == [data] * 2


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 400))
    | st.tuples(st.integers(1, 30), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3)),
    rows=st.floats(0, 4),
    columns=st.floats(0, 4),
    dtype=st.sampled_from(sorted(TYPES)),
    level=st.sampled_from(["default", "max"]),
    seed=st.integers(0, 99),
    dead=st.sampled_from([0.0, 0.4]),
    many=st.integers(0, 40),
    tail=st.integers(0, 7),
)  # fmt: skip
def test_everything_comes_back(
    shape: tuple[int, ...], rows: float, columns: float, dtype: str, level: str, seed: int, dead: float, many: int,
    tail: int,
) -> None:  # fmt: skip
    data = spoilt(floats(shape, rows, columns, dtype, seed, dead), dtype, seed, many)
    data += b"t" * (tail % (DTYPES[dtype].bits // 8))
    coded(data, shape, dtype, level)


def test_escapes_and_windows_go_with_it() -> None:
    shape = (500, 400)
    data = spoilt(floats(shape, 0.3, 0.8, "BF16"), "BF16", 3, 40)
    layout, _ = coded(data, shape, "BF16")
    assert by_columns(layout) and layout.escapes and layout.window and not layout.drops

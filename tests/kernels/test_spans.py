"""Spans of floats coded in one call, against codec.encode, which codes them step by step; and the look for repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

import codec
from codec import batch
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.kernels import statistics
from codec.kernels.span_records import RUN
from codec.planner.levels import level_of

Shape = tuple[int, ...]
#: Elements; in plain Python each takes tens of microseconds.
MOST = 300 if config.DISABLE_JIT else 40_000
UINT = {"BF16": np.uint16, "F16": np.uint16, "F32": np.uint32, "C64": np.uint32}


def floats(rng: np.random.Generator, dtype: str, n: int, kind: str, row: int) -> np.ndarray:
    """n elements as unsigned integers; rows differ in scale."""
    scale = np.exp(rng.normal(-3, 1, -(-n // row))).repeat(row)[:n]
    x = (rng.normal(0, 1, n) * scale).astype(np.float32)
    bits = x.astype(np.float16).view(np.uint16) if dtype == "F16" else x.view(np.uint32)
    bits = (bits >> 16).astype(np.uint16) if dtype == "BF16" else bits.astype(UINT[dtype])
    if kind == "pruned":
        bits[rng.random(n) < 0.5] = 0
    elif kind == "outliers":
        bits[rng.random(n) < 0.002] = rng.integers(0, 1 << 15)
    elif kind == "wild":
        bits = rng.integers(0, 1 << (8 * bits.itemsize), n, dtype=bits.dtype)
    elif kind == "halves":
        low = bits.dtype.type((1 << 13) - 1 if bits.itemsize == 4 else 31)
        bits = np.where(np.arange(n) // row % 3 > 0, bits & ~low, bits).astype(bits.dtype)
    elif kind == "one":
        bits[:] = bits[0]
    elif kind == "two":
        bits = rng.choice(bits[:2], n)
    elif kind == "again":
        bits = np.resize(bits[: n // 3 + 1], n)
    return bits


def piece_of(rng: np.random.Generator, dtype: str, shape: Shape, kind: str) -> batch.Piece:
    n = int(np.prod(shape)) * (2 if dtype == "C64" else 1)
    return batch.Piece(floats(rng, dtype, n, kind, n // shape[0]).view(np.uint8), DTYPES[dtype], shape)


def coded(pieces: list[batch.Piece], level: str, room: int) -> tuple[bytes, batch.Batch, int]:
    """Their records, coded with the kernel and what it declines the other way; how many it declined."""
    lev, out = level_of(level), np.full(room, 0xA5, np.uint8)
    writer = batch.Writer(lev, out[: room - 64] if room > 64 else out)
    declined, k = 0, 0
    while k < len(pieces):
        rows = [batch.job_of(p, lev) for p in pieces[k:]]
        assert None not in rows
        k += writer.quick(pieces[k:], rows)
        if k < len(pieces):
            writer.other(pieces[k])
            declined, k = declined + 1, k + 1
    assert (out[-64:] == 0xA5).all()
    found = writer.done()
    return b"".join(p.tobytes() for p in found.parts), found, declined


def check(pieces: list[batch.Piece], level: str, room: int | None = None) -> int:
    size = sum(p.data.size for p in pieces)
    records, found, declined = coded(pieces, level, 2 * size + 12_000 * len(pieces) if room is None else room)
    wanted = [encode_span(p.data, p.dtype, p.shape, level_of(level)) for p in pieces]
    assert records == b"".join(w.stored.tobytes() for w in wanted)
    assert [s.entry for s in found.spans] == [w.entry for w in wanted]
    for got, want in zip(found.spans, wanted, strict=True):
        assert {k: v for k, v in got.fields.items() if v} == {k: v for k, v in want.fields.items() if v}
    return declined


KINDS = ["normal", "normal", "outliers", "pruned", "wild", "halves", "one", "two", "again"]


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, Shape, str]:
    row = draw(st.sampled_from([1, 7, 16, 64, 300, 384]))
    rows = draw(st.integers(1, max(1, MOST // row)))
    return (
        draw(st.sampled_from(sorted(UINT))),
        draw(st.sampled_from([(rows, row), (rows * row,)])),
        draw(st.sampled_from(KINDS)),
    )


@settings(max_examples=12 if config.DISABLE_JIT else 100, deadline=None)
@given(st.integers(0, 2**32), st.lists(tensors(), min_size=1, max_size=4), st.sampled_from(["fast", "default"]))
def test_any_spans(seed: int, which: list[tuple[str, Shape, str]], level: str) -> None:
    rng = np.random.default_rng(seed)
    check([piece_of(rng, *tensor) for tensor in which], level)


@pytest.mark.skipif(config.DISABLE_JIT, reason="slow in plain Python")
@pytest.mark.parametrize("level", ["fast", "default"])
@pytest.mark.parametrize("dtype", sorted(UINT))
def test_large_spans(dtype: str, level: str) -> None:
    """Several chunks, of which the last is short; sampled tiles; a last tile that is short."""
    rng = np.random.default_rng(5)
    shapes = [(1000, 384), (1700, 384), (700_001,), (9, 100_000), (384, 1)]
    assert check([piece_of(rng, dtype, shape, "normal") for shape in shapes], level) <= 1  # one may have many escapes
    for kind in ("outliers", "halves", "pruned"):
        check([piece_of(rng, dtype, (900, 500), kind)], level)


@pytest.mark.skipif(config.DISABLE_JIT, reason="slow in plain Python")
def test_rows_of_halves_are_not_declined() -> None:
    rng = np.random.default_rng(6)
    pieces = [piece_of(rng, "F32", (700, 384), "halves"), piece_of(rng, "F32", (300, 384), "halves")]
    assert check(pieces, "default") == 0


@pytest.mark.parametrize("room", [0, 100, 700, 1500])
def test_without_enough_room(room: int) -> None:
    rng = np.random.default_rng(7)
    check([piece_of(rng, "BF16", (n,), "normal") for n in (40, 100, 64, 200)], "default", room)


@pytest.mark.skipif(config.DISABLE_JIT, reason="slow in plain Python")
def test_more_spans_than_one_call_takes() -> None:
    rng = np.random.default_rng(8)
    pieces = [piece_of(rng, "F16", (int(n),), "normal") for n in rng.integers(1, 90, 600)]
    found = batch.encode(pieces, level_of("default"), np.empty(1 << 20, np.uint8))
    wanted = [encode_span(p.data, p.dtype, p.shape, level_of("default")).stored.tobytes() for p in pieces]
    assert [s.stored.tobytes() for s in found.spans] == wanted
    assert b"".join(p.tobytes() for p in found.parts) == b"".join(wanted)


def found_again(symbols: list[int], bits: int, least: int, most: int) -> int:
    """How many words of symbols of so many bits are found again; they have ``least`` to ``most`` symbols."""
    n, size = len(symbols), 1 << statistics.SEEN_BITS
    alike = (sum(symbols.count(s) ** 2 for s in set(symbols)) << 16) // (n * n)
    chance, length = 256 * size, 0
    while length < least or (length < most and chance > 0):
        chance, length = chance * alike >> 16, length + 1
    seen, found = {}, 0
    for i in range(n):
        word = sum((symbols[i - k] if i >= k else 0) << bits * (length - 1 - k) for k in range(length))
        low, high = word & 0xFFFFFFFF, word >> 32
        at = ((low * 0x9E3779B1 ^ high * 0x85EBCA6B) & 0xFFFFFFFF) >> (32 - statistics.SEEN_BITS)
        found += seen.get(at, 0) == word
        if i % 4 == 0:
            seen[at] = word
    return found


@given(st.integers(0, 2**32), st.sampled_from([2, 8, 40, 256]), st.integers(1, 600), st.integers(1, 600))
def test_repeats(seed: int, most: int, period: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = np.resize(rng.integers(0, most, period).astype(np.uint8), n)
    seen, counts = np.ones(1 << statistics.SEEN_BITS, np.uint64), np.ones(256, np.int64)
    assert bool(statistics.repeats(symbols, seen, counts)) == (found_again(symbols.tolist(), 8, 5, 8) * 128 >= n)
    for shift in (0, 2, 3):
        exponents = [s >> shift & 15 for s in symbols.tolist()]
        found = bool(statistics.patterned(symbols, shift, seen, counts))
        assert found == (found_again(exponents, 4, 12, 16) * 64 >= n)


def test_what_repeats_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(9)
    seen, counts = np.zeros(1 << statistics.SEEN_BITS, np.uint64), np.zeros(256, np.int64)
    noise = rng.normal(30, 1.5, RUN).astype(np.uint8)
    assert not statistics.repeats(noise, seen, counts) and not statistics.patterned(noise, 0, seen, counts)
    noise[4000:4600] = noise[100:700]
    assert statistics.repeats(noise, seen, counts)
    noise[4000:6400] = noise[100:2500]
    assert statistics.patterned(noise, 0, seen, counts)


@pytest.mark.skipif(config.DISABLE_JIT, reason="everything goes the other way")
@pytest.mark.parametrize("level", ["fast", "default"])
def test_exponents_that_come_again_are_cut_off(level: str) -> None:
    """Mantissas and signs are noise, the exponents of a row are those of another: 24 bits and a little more."""
    rng = np.random.default_rng(10)
    exponents = rng.normal(120, 6, (40, 100)).astype(np.uint32)[np.arange(300) % 40]
    x = exponents << 23 | rng.integers(0, 1 << 23, (300, 100), np.uint32) | rng.integers(0, 2, (300, 100)) << 31
    piece = batch.Piece(x.astype(np.uint32).reshape(-1).view(np.uint8), DTYPES["F32"], x.shape)
    (span,) = batch.encode([piece], level_of(level), np.empty(1 << 20, np.uint8)).spans
    assert span.stored.size < x.size * 24.9 / 8
    body = records.body_of(memoryview(span.stored.tobytes()), records.SPAN, "test", 0)
    assert SpanDecoder(body, "test").layout.fold == 23


@pytest.mark.skipif(config.DISABLE_JIT, reason="everything goes the other way")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("level", ["fast", "default"])
@pytest.mark.parametrize(("kind", "rows"), [("f2", 4096), ("f2", 1024), ("f4", 1024), ("f4", 400), ("f2", 300)])
def test_a_lone_tensor_has_room_enough(
    kind: str, rows: int, level: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the memory that the writer gives: what has too little is planned twice."""
    monkeypatch.setattr(batch.Writer, "other", lambda *_: pytest.fail("left to the other way"))
    data = np.random.default_rng(rows).normal(0, 0.02, (rows, 768)).astype(kind)
    assert codec.decompress(codec.compress(data, level=level, threads=threads)) == data.tobytes()

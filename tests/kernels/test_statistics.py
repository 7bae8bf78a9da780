"""Statistics kernels against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from codec.kernels import statistics as kernel
from codec.kernels import tables
from codec.planner.groups import WEIGHTS
from tests.naive import log2_of, tiles_of

SEEDS = st.integers(0, 2**32)
SIZES = st.integers(0, 700)
TILES = st.sampled_from([1, 3, 64, 100, 1000])


def data_of(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, n, dtype=np.uint8) if seed % 2 else rng.binomial(20, 0.5, n).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@given(SEEDS, st.integers(1, 700), TILES, st.sampled_from([1, 1, 2, 5]), st.booleans())
def test_survey(bits: int, seed: int, n: int, tile: int, step: int, counted: bool) -> None:
    rng = np.random.default_rng(seed)
    kind, magnitude = np.dtype(f"uint{bits}").type, (1 << (bits - 1)) - 1
    x = rng.integers(0, 1 << bits, n, dtype=kind) & kind(int(rng.integers(0, 1 << bits, dtype=kind)))
    tiles = tiles_of(n, tile) if step == 1 else [r for r in tiles_of(n, tile) if len(r) == tile][::step]
    ors, found = np.full(len(tiles), 9, np.uint64), np.full(6, 9, np.uint64)
    shift = bits - 1 - 7
    counts = np.full(128 if counted else 0, 9, np.int64)
    kernel.survey(x, tile, step, magnitude, shift, ors, found, counts)
    every, common, sizes, fields = 0, (1 << bits) - 1, [], [0] * 128
    want = []
    for r in tiles:
        want.append(0)
        for v in x[r.start : r.stop].tolist():
            want[-1] |= v
            every, common = every | v, common & v
            sizes.append(v & magnitude)
            fields[(v & magnitude) >> shift] += 1
    least = min(((v - 1) % (1 << bits) for v in sizes), default=(1 << bits) - 1)
    even, half = sum(v % 2 == 0 for v in want), sum(v % 8192 == 0 for v in want)
    assert ors.tolist() == want
    assert found.tolist() == [every, common, max(sizes, default=0), least, even, half]
    assert counts.tolist() == (fields if counted else [])


@njit
def tile_sums_of(x, tile, weights, plain, sums):  # type: ignore[no-untyped-def]
    kernel.tile_sums(x, tile, weights, plain, sums)


@njit
def choose(sums, limits, choice):  # type: ignore[no-untyped-def]
    kernel.choose(sums, limits, choice)


@given(SEEDS, SIZES, TILES, st.booleans())
def test_tile_sums(seed: int, n: int, tile: int, plain: bool) -> None:
    x = data_of(seed, n)
    weights = np.random.default_rng(seed).integers(0, 1000, 256)
    tiles = tiles_of(n, tile)
    sums = np.zeros(len(tiles), np.int64)
    tile_sums_of(x, tile, weights, plain, sums)
    of = range(256) if plain else weights.tolist()
    assert sums.tolist() == [sum(of[v] for v in x[r.start : r.stop]) * tile // len(r) for r in tiles]


@njit
def tile_weights_of(x, tile, way, sums):  # type: ignore[no-untyped-def]
    kernel.tile_weights(x, tile, way, sums)


@given(SEEDS, SIZES, TILES, st.integers(0, kernel.WAYS - 1))
def test_tile_weights(seed: int, n: int, tile: int, way: int) -> None:
    x = data_of(seed, n)
    tiles = tiles_of(n, tile)
    sums = np.zeros(len(tiles), np.int64)
    tile_weights_of(x, tile, way, sums)
    of = WEIGHTS[way].tolist()
    assert sums.tolist() == [sum(of[v] for v in x[r.start : r.stop]) * tile // len(r) for r in tiles]


@given(SEEDS, SIZES, st.integers(0, 3), st.integers(1, 3), st.integers(0, 255), st.integers(0, 256))
def test_present(seed: int, n: int, start: int, step: int, first: int, known: int) -> None:
    x, out = data_of(seed, n), np.zeros(256, np.uint8)
    before = {(first + k) % 256 for k in range(known)}
    out[list(before)] = 1
    kernel.present(x, start, step, out)
    assert set(np.flatnonzero(out).tolist()) == before | set(x[start::step].tolist())


@given(SEEDS, SIZES, st.integers(1, 9), st.integers(0, 8))
def test_count_cuts(seed: int, n: int, step: int, low: int) -> None:
    x, counts = np.random.default_rng(seed).integers(0, 1 << 8 + low, n).astype(np.uint16), np.full((3, 256), 9)
    kernel.count_cuts(x, step, low, counts)
    for row, values in zip(counts, (x & 255, x >> 8, x >> low), strict=True):
        assert row.tolist() == np.bincount(values[::step], minlength=256).tolist()


def recurring(x: np.ndarray) -> bool:
    return bool(kernel.recurring(x, np.zeros(1 << kernel.SEEN_BITS, np.uint64), np.zeros(256, np.int64)))


@pytest.mark.parametrize("zeros", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("n", [9000, 300_001])
def test_what_comes_again_is_told_from_chance(zeros: float, n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.binomial(60, 0.5, n).astype(np.uint8) * (rng.random(n) > zeros).astype(np.uint8)
    assert not recurring(x)
    assert recurring(np.resize(x[: n // 30 + 64], n))


@given(st.lists(st.integers(-50, 50), max_size=60), st.lists(st.integers(-40, 40), max_size=15))
def test_choose(sums: list[int], limits: list[int]) -> None:
    choice = np.zeros(len(sums), np.uint8)
    choose(np.array(sums, np.int64), np.array(sorted(limits), np.int64), choice)
    assert choice.tolist() == [sum(limit <= s for limit in limits) for s in sums]


def window(
    counts: list[int], times: int, elements: int, least: int, most: int, escape: int, table: int, exact: bool
) -> tuple[int, int, int]:
    """(first, last field inside, bits times 4096 or -1), as the docstring of _window_of tells it."""
    sampled = sum(counts)
    fields = [sum(counts[f * times : f * times + times]) for f in range(len(counts) // times)]
    worth = elements * 36 // 100_000 + table
    kept = [f for f, c in enumerate(fields) if f and c and c * (elements // sampled * escape) >= worth]
    low, high = max(1, least), most
    if kept:
        low, high = max(low, kept[0]), min(high, kept[-1])
        if not exact:
            low, high = max(1, least, low - 1), min(most, high + 1)
    low = max(low, high - 254)
    inside = {f: c for f, c in enumerate(fields) if c and (f == 0 or low <= f <= high)}
    lost = sampled - sum(inside.values())
    if lost * 64 > sampled:
        return low, high, -1
    logs = [(c, log2_of(c, tables.LOG2)) for c in inside.values()]
    total = sum(inside.values())
    bits = (total * log2_of(total, tables.LOG2) if total else 0) - sum(c * n for c, n in logs)
    alphabet = high - low + 2
    extra = table * alphabet + elements * alphabet * 18 // 100_000 + lost * elements // sampled * escape
    return low, high, bits * elements // sampled + extra * 4096


@given(SEEDS, st.sampled_from([0b101, 0b1110, 0b1000, 0b1]), st.integers(1, 300), st.booleans(), st.booleans())
def test_choose_symbol(seed: int, candidates: int, spread: int, exact: bool, zeros: bool) -> None:
    """An exponent of 6 bits and a mantissa of 10, of which up to 3 are in the symbol."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(512, np.int64)
    np.add.at(counts, np.clip(rng.normal(300, spread, 5000), 1, 511).astype(int), 1)
    counts[0] += int(rng.integers(0, 3))
    if zeros:
        counts[:] = 0
        counts[0] = 7
    used = np.nonzero(counts)[0]
    least = 0 if zeros else int(used[used > 0].min()) << 7
    most = 0 if zeros else int(used.max()) << 7 | int(rng.integers(0, 128))
    sampled = int(counts.sum())
    elements, varying = sampled * int(rng.integers(1, 50)), int(rng.integers(0, 1024))
    out = np.zeros(4, np.int64)
    chosen = int(kernel.choose_symbol(counts, 3, candidates, 10, elements, sampled, least, most, varying, exact, out))
    best: tuple[int, int, int, int] | None = None
    for k in (k for k in range(4) if candidates >> k & 1):
        if most >> (10 - k) == 0:
            best = (0, k, 1, 1)
            break
        at = (counts.tolist(), 1 << (3 - k), elements, least >> (10 - k), most >> (10 - k))
        low, high, bits = window(*at, kernel.ESCAPE_BITS, kernel.TABLE_BITS, exact)
        bits += ((varying & ((1 << (10 - k)) - 1)).bit_count() + 1) * elements * 4096 if bits >= 0 else 0
        if bits >= 0 and (best is None or bits < best[0]):
            best = (bits, k, low, high)
    assert chosen == (-1 if best is None else best[1])
    if best is not None:
        assert tuple(out[:2].tolist()) == best[2:]

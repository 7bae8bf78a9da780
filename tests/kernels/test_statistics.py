"""Statistics kernels against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import statistics as kernel
from codec.kernels import tables
from tests.naive import tiles_of

SEEDS = st.integers(0, 2**32)
SIZES = st.integers(0, 700)
TILES = st.sampled_from([1, 3, 64, 100, 1000])


def data_of(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, n, dtype=np.uint8) if seed % 2 else rng.binomial(20, 0.5, n).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@given(SEEDS, SIZES, TILES)
def test_masks(bits: int, seed: int, n: int, tile: int) -> None:
    rng = np.random.default_rng(seed)
    kind, magnitude = np.dtype(f"uint{bits}").type, (1 << (bits - seed % 3)) - 1
    x = rng.integers(0, 1 << bits, n, dtype=kind) & kind(int(rng.integers(0, 1 << bits, dtype=kind)))
    tiles = tiles_of(n, tile)
    rows = [np.zeros(len(tiles), kind) for _ in range(4)]
    kernel.masks(x, tile, kind(magnitude), *rows)
    for t, r in enumerate(tiles):
        values = [int(v) for v in x[r.start : r.stop]]
        ors, ands = 0, (1 << bits) - 1
        for v in values:
            ors, ands = ors | v, ands & v
        sizes = [v & magnitude for v in values]
        least = min((v - 1) % (1 << bits) for v in sizes)
        assert [int(row[t]) for row in rows] == [ors, ands, max(sizes), least]


@pytest.mark.parametrize("bits", [16, 32, 64])
@given(SEEDS, SIZES)
def test_field_counts(bits: int, seed: int, n: int) -> None:
    kind = np.dtype(f"uint{bits}").type
    x = np.random.default_rng(seed).integers(0, 1 << bits, n, dtype=kind)
    magnitude, shift = (1 << (bits - 1)) - 1, bits - 1 - 9
    counts = np.zeros(512, np.int64)
    counts[3] = 5
    kernel.field_counts(x, magnitude, shift, counts)
    want = [0] * 512
    want[3] = 5
    for v in x:
        want[(int(v) & magnitude) >> shift] += 1
    assert counts.tolist() == want


@given(SEEDS, SIZES)
def test_counts_of(seed: int, n: int) -> None:
    x = data_of(seed, n)
    counts = np.full((4, 256), 9, np.int64)
    kernel.counts_of(x, counts)
    assert counts.sum(axis=0).tolist() == [x.tolist().count(s) for s in range(256)]


@given(SEEDS, SIZES, TILES, st.booleans())
def test_tile_sums(seed: int, n: int, tile: int, plain: bool) -> None:
    x = data_of(seed, n)
    weights = np.random.default_rng(seed).integers(0, 1000, 256)
    tiles = tiles_of(n, tile)
    sums = np.zeros(len(tiles), np.int64)
    kernel.tile_sums(x, tile, weights, plain, sums)
    of = range(256) if plain else weights.tolist()
    assert sums.tolist() == [sum(of[v] for v in x[r.start : r.stop]) * tile // len(r) for r in tiles]


@given(SEEDS, SIZES, TILES)
def test_group_counts(seed: int, n: int, tile: int) -> None:
    x, tiles = data_of(seed, n), tiles_of(n, tile)
    group = np.random.default_rng(seed).integers(0, 3, len(tiles)).astype(np.uint8)
    counts = np.zeros((3, 256), np.int64)
    kernel.group_counts(x, tile, group, counts)
    want = [[0] * 256 for _ in range(3)]
    for r, g in zip(tiles, group, strict=True):
        for v in x[r.start : r.stop]:
            want[g][v] += 1
    assert counts.tolist() == want


@given(st.lists(st.integers(-50, 50), max_size=60), st.lists(st.integers(-40, 40), max_size=15))
def test_choose(sums: list[int], limits: list[int]) -> None:
    choice = np.zeros(len(sums), np.uint8)
    kernel.choose(np.array(sums, np.int64), np.array(sorted(limits), np.int64), choice)
    assert choice.tolist() == [sum(limit <= s for limit in limits) for s in sums]


def window(
    counts: list[int], times: int, elements: int, least: int, most: int, escape: int, table: int, exact: bool
) -> tuple[int, int, int]:
    """(first, last field inside, bits times 4096 or -1), as the docstring of window_of tells it."""
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
    logs = [(c, int(tables.log2_of(c))) for c in inside.values()]
    total = sum(inside.values())
    bits = (total * int(tables.log2_of(total)) if total else 0) - sum(c * n for c, n in logs)
    alphabet = high - low + 2
    extra = table * alphabet + elements * alphabet * 18 // 100_000 + lost * elements // sampled * escape
    return low, high, bits * elements // sampled + extra * 4096


@given(SEEDS, st.sampled_from([1, 2, 4]), st.integers(1, 400), st.booleans(), st.sampled_from([16, 48]))
def test_window_of(seed: int, times: int, spread: int, exact: bool, escape: int) -> None:
    rng = np.random.default_rng(seed)
    counts = np.zeros(512 * times, np.int64)
    at = np.clip(rng.normal(300, spread, 5000) * times, 0, counts.size - 1).astype(int)
    np.add.at(counts, at, 1)
    counts[:times] += int(rng.integers(0, 3))
    used = np.nonzero(counts.reshape(-1, times).sum(axis=1))[0]
    least, most = int(used[used > 0].min()), int(used.max())
    elements = int(counts.sum()) * int(rng.integers(1, 50))
    out = np.zeros(2, np.int64)
    bits = kernel.window_of(counts, times, elements, int(counts.sum()), least, most, escape, 3, exact, out)
    low, high, want = window(counts.tolist(), times, elements, least, most, escape, 3, exact)
    assert (out.tolist(), int(bits)) == ([low, high], want)


@given(SEEDS, st.integers(1, 9), st.integers(1, 2000), st.integers(1, 50))
def test_merge_groups(seed: int, groups: int, tiles: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    counts = np.array([np.bincount(rng.binomial(30, 0.1 + 0.08 * g, 400), minlength=256) for g in range(groups)])
    bits = np.zeros(1, np.int64)
    chosen = int(kernel.merge_groups(counts, tiles, scale, bits))

    def cost(step: int) -> int:
        rows = [counts[g : g + step].sum(axis=0) for g in range(0, groups, step)]
        each = 0 if len(rows) < 2 else 1 if len(rows) == 2 else 2 if len(rows) <= 4 else 4
        total = scale * tiles * each * 4096
        for row in rows:
            used = np.nonzero(row)[0]
            total += scale * int(tables.entropy(row)) + (28 + 3 * max(1, int(used[-1] - used[0]) + 1)) * 4096
        return total

    steps = [1]
    while steps[-1] < groups:
        steps.append(2 * steps[-1])
    costs = {step: cost(step) for step in steps}
    assert int(bits[0]) == min(costs.values())
    assert chosen == max(step for step in steps if costs[step] == min(costs.values()))

"""Groups of tiles against plain Python."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import groups as kernel
from codec.kernels import tables
from codec.planner.groups import WEIGHTS
from tests import naive

Rows = list[list[int]]


def bits_of(rows: Rows, tiles: int, scale: int) -> int:
    """Data, tables and choices, and log2(e) a symbol but one of what tables were not fitted to; times 4096."""
    choice = 0 if len(rows) < 2 else 1 if len(rows) == 2 else 2 if len(rows) <= 4 else 4
    total, learnt = scale * tiles * choice, 0
    for row in rows:
        used = [s for s in range(256) if row[s]]
        total += 28 + 3 * (used[-1] - used[0] + 1 if used else 1)
        learnt += (scale - 1) * max(0, len(used) - 1) * round(math.log2(math.e) * 4096)
    return total * 4096 + learnt + scale * sum(naive.entropy(row, tables.LOG2) for row in rows)


def grouped(
    data: list[int], tile: int, scale: int, most: int, weights: list[list[int]]
) -> tuple[int, int, list[int], Rows]:
    """(bits, the weights that take the fewest bits, limits, counts of the groups)."""
    tiles = naive.tiles_of(len(data), tile)
    best: tuple[int, int, list[int], Rows] | None = None
    for way, weight in enumerate(weights):
        sums = [sum(weight[data[i]] for i in r) * tile // len(r) for r in tiles]
        groups = min(most, len(tiles))
        limits = sorted({sorted(sums)[k * len(tiles) // groups] for k in range(1, groups)})
        rows = [[0] * 256 for _ in range(len(limits) + 1)]
        for r, total in zip(tiles, sums, strict=True):
            for i in r:
                rows[sum(limit <= total for limit in limits)][data[i]] += 1
        step = 1
        while True:
            merged = [[sum(c) for c in zip(*rows[k : k + step], strict=True)] for k in range(0, len(rows), step)]
            bits = bits_of(merged, len(tiles), scale)
            if best is None or bits < best[0] or (bits == best[0] and way == best[1]):
                best = (bits, way, limits[step - 1 :: step], merged)
            if len(merged) == 1:
                break
            step *= 2
    assert best is not None
    return best


@st.composite
def planes_of(draw: st.DrawFn) -> tuple[list[int], int, int, list[list[int]]]:
    """(widths, elements of a tile, elements, the bytes of each plane)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    widths = draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=3))
    tile, elements = draw(st.sampled_from([8, 20, 64, 208])), draw(st.integers(1, 900))
    planes = []
    for width in widths:
        whole, rest = divmod(elements, tile)
        sizes = [-(-tile * width // 8)] * whole + [-(-rest * width // 8)] * (rest > 0)
        kind, spread = rng.integers(4), rng.integers(1, 30)
        level = rng.normal(128 if kind == 2 else 0, spread, len(sizes))
        parts = [rng.normal(a, 1 + spread % 5, n).astype(np.int64) & 255 for a, n in zip(level, sizes, strict=True)]
        flat = np.concatenate(parts).tolist()
        planes.append(rng.integers(0, 256, len(flat)).tolist() if kind == 3 else [7] * len(flat) if not kind else flat)
    return widths, tile, elements, planes


@given(
    planes_of(), st.sampled_from([1, 3]), st.sampled_from([1, 4, 16]), st.booleans(), st.sampled_from([900, 1000, 2000])
)
def test_group_planes(
    case: tuple[list[int], int, int, list[list[int]]], scale: int, most: int, symbols: bool, below: int
) -> None:
    widths, tile, elements, planes = case
    count, tiles = len(widths), elements // tile + 1
    room, choice = np.zeros(3 * tiles + 260, np.int64), np.zeros(4 * tiles, np.uint8)
    report, limits = np.zeros((count, kernel.REPORT), np.int64), np.zeros((count + 4, kernel.GROUPS_MAX), np.int64)
    counts = np.full((kernel.GROUPS_MAX * count + kernel.SPARE_ROWS, 256), 9, np.int64)
    top, alphabet = (count - 1 if symbols else -1), 40
    data = np.array([b for plane in planes for b in plane], np.uint8)
    rows = kernel.group_planes(
        data, np.array(widths), tile, elements, scale, most, below, top, alphabet, room, report, limits, choice,
        counts,
    )  # fmt: skip
    at = 0
    for p, (plane, width) in enumerate(zip(planes, widths, strict=True)):
        full, seen = -(-tile * width // 8), [plane.count(s) for s in range(256)]
        bits = naive.entropy(seen, tables.LOG2)
        total = len(plane) * scale
        head = [len(plane), len(naive.tiles_of(len(plane), full)), len(plane), bits]
        if (bits * scale + 3 * 4096 * sum(c > 0 for c in seen)) * 1000 >= total * 8 * 4096 * below:
            assert report[p].tolist() == [*head, 0, 0, at, 0]
            continue
        ways = np.stack(WEIGHTS).tolist()
        taken, way, cuts, want = grouped(plane, full, scale, most, ways[:1] if p == top or most == 1 else ways)
        assert report[p].tolist() == [*head, len(want), way, at, taken]
        assert limits[p, : len(want) - 1].tolist() == cuts
        if scale > 1:
            want = [[64 * c + (p != top or s <= alphabet) for s, c in enumerate(row)] for row in want]
        assert counts[at : at + len(want)].tolist() == want
        at += len(want)
    assert rows == at

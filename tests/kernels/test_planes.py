"""Splitting and merging planes against the oracle: any layout, any bits, odd sizes, both ways through a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import planes
from tests import naive

NONE = np.zeros(0, np.uint8)
ROOM = np.zeros(16384, np.uint8)
LAYOUTS = {16: [(8, 8), (4, 2, 8)], 32: [(8, 8, 8, 8), (8, 8, 4, 2, 8), (8, 4, 1, 8, 8)], 64: [(8,) * 8]}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    bits = draw(st.sampled_from([16, 32, 64]))
    known = draw(st.booleans())
    widths = list(draw(st.sampled_from(LAYOUTS[bits]))) if known else []
    if not known:
        while sum(widths) < bits and (not widths or draw(st.integers(0, 7))):
            widths.append(draw(st.sampled_from([w for w in (1, 2, 4, 8) if sum(widths) + w <= bits])))
    window = draw(st.integers(0, 700)) if widths[-1] == 8 else 0
    n = draw(st.integers(0, 200) if draw(st.booleans()) else st.sampled_from([64, 128, 256, 320, 513]))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    narrow = draw(st.booleans())
    src = (
        rng.integers(0, 2**bits, n, dtype=f"uint{bits}")
        if not narrow
        else rng.integers(0, 99, n).astype(f"uint{bits}") << (bits - 9)
    )
    tile = draw(st.sampled_from([1, 7, 64, 100, 256]))
    tiles = -(-n // tile)
    drops = rng.integers(0, len(widths) + 1, tiles, dtype=np.uint8) if draw(st.booleans()) else NONE
    return {
        "bits": bits,
        "widths": widths,
        "window": window,
        "span": draw(st.sampled_from([255, 255, 7, 100])),
        "src": src,
        "tile": tile,
        "drops": drops,
        "fold": draw(st.integers(0, bits - 1)),
    }


def expected(c: dict[str, Any], shifts: list[int]) -> tuple[list[bytes], list[tuple[int, int]], list[int]]:
    """Plane bytes, escapes, and the elements that come back, by the oracle."""
    out: list[bytes] = [b""] * len(c["widths"])
    escapes, back = [], []
    last = len(c["widths"]) - 1
    for t, r in enumerate(naive.tiles_of(c["src"].size, c["tile"])):
        ys = [naive.fold(int(x), c["bits"], c["fold"]) for x in c["src"][r.start : r.stop]]
        kept = [0] * len(ys)
        for p, (shift, width) in enumerate(zip(shifts, c["widths"], strict=True)):
            if c["drops"].size and p < c["drops"][t]:
                continue
            values = [y >> shift for y in ys]
            if p == last and width == 8:
                symbols = [v - c["window"] if v and 0 < v - c["window"] <= c["span"] else 0 for v in values]
                for i, (v, s) in enumerate(zip(values, symbols, strict=True)):
                    kept[i] |= (s + c["window"] if s else 0) << shift
                    if v and not s:
                        escapes.append((r.start + i, v))
            else:
                symbols = [v & ((1 << width) - 1) for v in values]
                for i, s in enumerate(symbols):
                    kept[i] |= s << shift
            out[p] += naive.pack(symbols, width)
        back += [naive.unfold(k, c["bits"], c["fold"]) for k in kept]
    return out, escapes, back


@pytest.mark.parametrize("vector", [True, False])
@given(c=cases())
def test_same_planes_as_the_oracle(vector: bool, c: dict[str, Any]) -> None:
    widths = c["widths"]
    shifts = [sum(widths[:p]) for p in range(len(widths))]
    kernels = planes.kernels_for(tuple(widths)) if vector else planes._make(0)
    sizes = [sum(-(-len(r) * w // 8) for r in naive.tiles_of(c["src"].size, c["tile"])) for w in widths]
    starts = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
    out = np.zeros(sum(sizes), np.uint8)
    kind = c["src"].dtype.type
    at, value = np.zeros(600, np.uint32), np.zeros(600, np.uint64)
    ints = planes.numbers(c["tile"], c["fold"], c["window"], c["span"], 0)
    places = np.array([shifts, widths, starts, [p % 2 for p in range(len(widths))]], np.int64)
    moved = places.copy()
    found = kernels.split(c["src"], ints, c["drops"], moved, out, ROOM.copy(), at, value)
    cursor = moved[planes.CURSOR]
    want, escapes, back = expected(c, shifts)
    got = [out[a:b].tobytes() for a, b in zip(starts, cursor, strict=True)]
    assert got == want
    assert list(zip(at[:found].tolist(), value[:found].tolist(), strict=True)) == escapes

    dst = np.zeros(c["src"].size, kind)
    kernels.merge(dst, ints, c["drops"], places.copy(), out, out, ROOM)
    assert dst.tolist() == back


def test_too_many_escapes_are_reported() -> None:
    src = np.full(100, 0x8000 - 1, np.uint16)
    ints, places = planes.numbers(64, 15, 5, 255, 0), np.array([[0], [8], [0], [0]], np.int64)
    escapes = np.zeros(9, np.uint32), np.zeros(9, np.uint16)
    assert planes._make(0).split(src, ints, NONE, places, np.zeros(100, np.uint8), ROOM.copy(), *escapes) == -1

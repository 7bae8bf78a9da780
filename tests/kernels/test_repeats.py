"""Keys of blocks, and where they are looked for, against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import repeats as kernel

STEP, WINDOW, SLOTS = 64, 256, 1 << 6


def table(slots: int = SLOTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(slots, np.uint64), np.zeros(slots, np.int64), np.zeros(slots // 8, np.uint64)


def scanned(data: np.ndarray, base: int, held: tuple[np.ndarray, ...], count: int, quiet: int = 0) -> tuple[list, int]:
    """(offset, place) of all keys that are found, and how many the table then has."""
    found, at, out = np.zeros(4, np.int64), 0, []
    while kernel.scan(data, at, quiet, base, STEP, WINDOW, *held, count, found):
        out.append((int(found[kernel.OFFSET]), int(found[kernel.PLACE])))
        at, count = int(found[kernel.NEXT]), int(found[kernel.COUNT])
    return out, int(found[kernel.COUNT])


def naive(data: bytes, base: int, known: dict[bytes, int], most: int, quiet: int = 0) -> list[tuple[int, int]]:
    out = []
    for i in range(0, len(data) - 31, 4):
        if i % STEP and i % WINDOW >= STEP:
            continue
        key = data[i : i + 32]
        if key == key[:16] * 2:
            continue
        if key in known:
            if i >= quiet:
                out.append((i, known[key]))
        elif i % STEP == 0 and len(known) < most:
            known[key] = base + i
    return out


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=40), st.integers(0, 700))
def test_scan_is_a_dictionary(pieces: list[tuple[int, int]], quiet: int) -> None:
    """Of pieces of few kinds, so that many repeat, and shifted, so that few are aligned."""
    kinds = np.random.default_rng(3).integers(0, 256, (6, 100), np.uint8)
    kinds[5] = 7
    data = np.concatenate([kinds[kind][: 100 - 4 * cut] for kind, cut in pieces])
    held, known = table(), dict[bytes, int]()
    count = 0
    for base in (0, 100_000):
        found, count = scanned(data, base, held, count, quiet)
        assert found == naive(data.tobytes(), base, known, SLOTS // 2, quiet)
        assert count == len(known)


def test_a_full_table_takes_no_more() -> None:
    data = np.random.default_rng(1).integers(0, 256, 100 * STEP, np.uint8)
    held = table()
    _, count = scanned(data, 0, held, 0)
    assert count == SLOTS // 2
    assert np.count_nonzero(held[0]) == count


def test_growing_keeps_all() -> None:
    data = np.random.default_rng(1).integers(0, 256, 30 * STEP, np.uint8)
    held, larger = table(), table(SLOTS * 8)
    _, count = scanned(data, 0, held, 0)
    kernel.grow(held[0], held[1], *larger)
    found, again = scanned(data, 10_000, larger, count)
    assert again == count
    assert [place for offset, place in found if offset % STEP == 0] == [k * STEP for k in range(30)]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 63])
def test_short_data(size: int) -> None:
    found, count = scanned(np.arange(size, dtype=np.uint8), 0, table(), 0)
    assert found == [] and count == (size >= 32)

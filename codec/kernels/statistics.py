"""What the encoder wants to know of elements before it chooses how to code them. Integers only."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def masks(src, tile, magnitude, ors, ands, most, least):  # type: ignore[no-untyped-def]
    """For each tile: OR and AND of its elements, largest magnitude, and smallest magnitude less one (0 wraps to the top).

    src uintW[n]; magnitude uintW, the bits that make up the magnitude; the rest uintW[tiles].
    """
    kind = src.dtype.type
    for t in range(ors.size):
        x = src[t * tile : min(t * tile + tile, src.size)]
        o, a, hi, lo = kind(0), ~kind(0), kind(0), ~kind(0)
        for i in range(x.size):
            v = x[i]
            o |= v
            a &= v
            v = kind(v & magnitude)
            hi = max(hi, v)
            lo = min(lo, kind(v - kind(1)))
        ors[t], ands[t], most[t], least[t] = o, a, hi, lo


@njit(nogil=True, cache=True)
def field_counts(src, magnitude, shift, counts):  # type: ignore[no-untyped-def]
    """Count (x & magnitude) >> shift into counts (int64, long enough for every value of the field)."""
    mask, down = np.uint64(magnitude), np.uint64(shift)
    for i in range(src.size):
        counts[(np.uint64(src[i]) & mask) >> down] += 1


@njit(nogil=True, cache=True)
def counts_of(src, counts):  # type: ignore[no-untyped-def]
    """Count bytes into counts (int64[4, 256], zeroed here; four rows so that equal neighbours do not wait for each other)."""
    counts[:] = 0
    whole = src.size // 4 * 4
    for i in range(0, whole, 4):
        counts[0, src[i]] += 1
        counts[1, src[i + 1]] += 1
        counts[2, src[i + 2]] += 1
        counts[3, src[i + 3]] += 1
    for i in range(whole, src.size):
        counts[0, src[i]] += 1


@njit(nogil=True, cache=True)
def tile_sums(src, tile, weights, plain, sums):  # type: ignore[no-untyped-def]
    """For each tile the sum of weights[byte] (or of the bytes themselves if ``plain``), as if the tile were full.

    src uint8[n]; weights int64[256]; sums int64[tiles].
    """
    for t in range(sums.size):
        x = src[t * tile : min(t * tile + tile, src.size)]
        total = np.int64(0)
        if plain:
            for i in range(x.size):
                total += x[i]
        else:
            for i in range(x.size):
                total += weights[x[i]]
        sums[t] = total * tile // max(1, x.size)


@njit(nogil=True, cache=True)
def group_counts(src, tile, group, counts):  # type: ignore[no-untyped-def]
    """Add the bytes of each tile t to counts[group[t]] (int64[groups, 256])."""
    for t in range(group.size):
        row = counts[group[t]]
        x = src[t * tile : min(t * tile + tile, src.size)]
        for i in range(x.size):
            row[x[i]] += 1


@njit(nogil=True, cache=True)
def choose(sums, limits, choice):  # type: ignore[no-untyped-def]
    """choice[t] = how many of the ascending limits (int64) are <= sums[t]."""
    for t in range(sums.size):
        k = 0
        for j in range(limits.size):
            k += np.int64(limits[j] <= sums[t])
        choice[t] = k


@njit(nogil=True, cache=True)
def cheapest(src, tile, prices, choice):  # type: ignore[no-untyped-def]
    """choice[t] = the row of prices (int32[tables, 256]) that codes tile t for least; the first of equals."""
    tables = prices.shape[0]
    for t in range(choice.size):
        x = src[t * tile : min(t * tile + tile, src.size)]
        best, at = np.int64(1) << 62, 0
        for k in range(tables):
            row, total = prices[k], np.int64(0)
            for i in range(x.size):
                total += row[x[i]]
            if total < best:
                best, at = total, k
        choice[t] = at

"""Levels of the rows and columns of a plane, and what follows from their numbers (stage 7).

What describes a tile or a column is its mean weight (codec.planner.columns says which weights). Its *level* is the
logarithm of that, or where weights are logarithms already the mean itself, in units of 2^-POINT octaves, less that of
all. The level of an element is about that of its tile plus that of its column.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.numbers import shape as numbers_shape
from codec.kernels.numbers import size as numbers_size
from codec.kernels.statistics import choose, tile_distances, tile_sums
from codec.kernels.tables import INNER, LOG2, POINT, log2_of

#: The level of what has no weight at all; others are no lower than so many octaves.
LOW: Final = -(1 << 30)
_DEEP: Final = 12


@njit(**INNER)
def level_of(total, size, linear):  # type: ignore[no-untyped-def]
    """The level of ``size`` weights of that sum; ``linear``: weights to an octave, 0 if they are no logarithms."""
    if linear:
        return (total << POINT) // (size * linear)
    return log2_of(total) - log2_of(size) if total > 0 else np.int64(LOW)


@njit(**INNER)
def _distances(x, middle, sums):  # type: ignore[no-untyped-def]
    """Add the distance of each byte from ``middle`` (uint8), round the circle, to sums (uint32)."""
    for i in range(x.size):
        d = np.uint8(x[i] - middle)
        sums[i] = np.uint32(sums[i] + np.uint32(min(d, np.uint8(-d))))


@njit(**INNER)
def column_sums(x, tile, step, weights, middle, linear, parts, period, sums):  # type: ignore[no-untyped-def]
    """Add the weights of x, of which each tile stands for the ``step``-th, to those of their columns."""
    n, size = x.size, min(tile, period)
    for t in range((n + tile - 1) // tile):
        mine, at = x[t * tile : min(t * tile + tile, n)], (t * step % parts) * tile
        for start in range(0, mine.size, size):
            part = mine[start : min(start + size, mine.size)]
            if linear:
                for i in range(part.size):
                    sums[at + i] = np.uint32(sums[at + i] + np.uint32(weights[part[i]]))
            else:
                _distances(part, middle, sums[at : at + part.size])


@njit(**INNER)
def _sums(x, tile, weights, middle, linear, sums):  # type: ignore[no-untyped-def]
    """Sums of the weights in each tile, as the encoder takes them."""
    if linear:
        tile_sums(x, tile, weights, False, sums)
    else:
        tile_distances(x, tile, middle, sums)


@njit(**INNER)
def row_levels(x, tile, weights, middle, linear, rows):  # type: ignore[no-untyped-def]
    """rows[t] = the level of tile t, less that of all. The level of all."""
    _sums(x, tile, weights, middle, linear, rows)
    every = level_of(rows.sum(), tile * rows.size, linear)
    for t in range(rows.size):
        rows[t] = max(level_of(rows[t], tile, linear) - every, np.int64(-_DEEP << POINT))
    return every


@njit(**INNER)
def column_levels(sums, parts, seen, linear, columns):  # type: ignore[no-untyped-def]
    """columns[j] = the level of column j, less that of the tile that it lies in, which rows have already.

    ``seen``: how often each was. Returns the sum of the squares, in 2^(-2 * 8) octaves; -1 if a part has no weight.
    """
    width, squares = sums.size // parts, np.int64(0)
    for p in range(parts):
        total = np.int64(0)
        for j in range(p * width, p * width + width):
            total += sums[j]
        every = level_of(total, seen * width, linear)
        if every == LOW:
            return np.int64(-1)
        for j in range(p * width, p * width + width):
            columns[j] = max(level_of(np.int64(sums[j]), seen, linear) - every, np.int64(-_DEEP << POINT))
            squares += min(columns[j] * columns[j] >> (2 * (POINT - 8)), np.int64(1 << 20))
    return squares


@jit(nogil=True)
def rows_numbers(x, tile, weights, middle, linear, limits, least, sums, row):  # type: ignore[no-untyped-def]
    """Bytes that the numbers of these tiles take; row uint8[tiles] gets them, sums int64[tiles] is worked in."""
    _sums(x, tile, weights, np.uint8(middle), linear, sums)
    choose(sums, limits, row)
    row += np.uint8(least)
    shape = numbers_shape(row)
    return numbers_size(row, shape >> 3, shape & 7)


@njit(**INNER)
def _beyond(x, middle, most):  # type: ignore[no-untyped-def]
    """Whether a byte is further from ``middle`` (uint8), round the circle, than ``most`` (uint8) of its place."""
    found = np.uint8(0)
    for i in range(x.size):
        d = np.uint8(x[i] - middle)
        found |= np.uint8(min(d, np.uint8(-d)) > most[i])
    return found != 0


@jit(nogil=True)
def present(x, tile, row, beside, middle, linear, seen, most):  # type: ignore[no-untyped-def]
    """Mark in seen (uint8[tables, 256]) which bytes each table has to code, of rows and columns so numbered.

    Those that are marked already, since a sample has them, are mostly the ones near ``middle``: unless ``linear``, a
    row of columns is only looked at byte by byte if one lies beyond those. most uint8[period] is worked in.
    """
    period, last = beside.size, np.int64(seen.shape[0] - 1)
    size, flat, zero = min(tile, period), seen.reshape(seen.size), np.uint8(middle)
    near = np.zeros(seen.shape[0], np.uint8)  # up to this distance every byte is marked
    for k in range(seen.shape[0]):
        d = np.int64(0)
        while d < 128 and seen[k, (middle + d) & 255] and seen[k, (middle - d) & 255]:
            d += 1
        near[k] = max(d - 1, 0)
        if d == 0:
            seen[k, middle] = 1
    for number in range(row.min(), np.int64(row.max()) + 1):
        known = False
        for t in range(row.size):
            if row[t] != number:
                continue
            if not known:
                for j in range(period):
                    k = min(max(number + np.int64(beside[j]) - 64, np.int64(0)), last)
                    most[j] = near[k]
                known = True
            mine, at = x[t * tile : min(t * tile + tile, x.size)], t * tile % period if period > tile else 0
            for start in range(0, mine.size, size):
                part = mine[start : min(start + size, mine.size)]
                if not linear and not _beyond(part, zero, most[at : at + part.size]):
                    continue
                for i in range(part.size):
                    k = min(max(number + np.int64(beside[at + i]) - 64, np.int64(0)), last)
                    flat[k << 8 | np.int64(part[i])] = 1


@jit(nogil=True)
def coded_bits(counts, frequencies):  # type: ignore[no-untyped-def]
    """Bits, times 2^POINT, that symbols take by tables: both int64[tables, 256]."""
    bits = np.int64(0)
    for k in range(counts.shape[0]):
        for s in range(256):
            if counts[k, s] > 0:
                bits += counts[k, s] * ((12 << POINT) - LOG2[frequencies[k, s]])
    return bits

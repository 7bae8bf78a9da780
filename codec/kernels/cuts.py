"""How a float is cut into planes: the choices of codec.planner.span, for kernels, of elements of 2 and 4 bytes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.statistics import choose_symbol
from codec.kernels.tables import INNER

#: Columns of a job, int64: where a span's bytes lie and how many there are; its type's number on the wire, bytes,
#: exponent and mantissa bits; the mantissa bits to count, and those to choose from (a bit for each number); the number
#: that is tried beside them because rows may hold fp16, or -1; elements of a tile and of a chunk.
ADDRESS, SIZE, CODE, BYTES, EXPONENT, MANTISSA, FINEST, CANDIDATES, HALVES, TILE, CHUNK, JOB = range(12)

#: A cut: the bit the sign goes to; the window, and whether it is written; bits that all elements have; whether tiles
#: drop planes, and whether elements may escape; planes; the largest symbol.
FOLD, WINDOW, WINDOWED, CONSTANT, DROPS, ESCAPES, PLANES, SPAN, CUT = range(9)

#: Planes that an element of 4 bytes can have, at most: 8 + 8 + 4 + 2 + 1 bits, a symbol, and as many as 3 more where
#: dropping begins within them.
PLANES_MAX: Final = 12


@njit(**INNER)
def step_of(elements, tile, most):  # type: ignore[no-untyped-def]
    """(take every so-manieth tile, elements in those): whole tiles only, or all there is in steps of 1."""
    step, tiles = max(np.int64(1), elements // most), elements // tile
    if step == 1 or tiles < 2:
        return np.int64(1), elements
    return step, (tiles + step - 1) // step * tile


@njit(**INNER)
def _folded(x, fold, bits):  # type: ignore[no-untyped-def]
    """The top one of ``bits`` bits moved down to bit ``fold``."""
    one = np.int64(1)
    high = (x & ((one << (bits - 1)) - 1)) >> fold
    return (x & ((one << fold) - 1)) | ((x >> (bits - 1)) << fold) | (high << (fold + 1))


@njit(**INNER)
def _put_places(low, high, shifts, widths, count):  # type: ignore[no-untyped-def]
    """Add bits [low, high) as planes, wide ones first; how many planes there are then."""
    for k in range(4):
        width = 8 >> k
        while high - low >= width:
            shifts[count], widths[count] = low, width
            low += width
            count += 1
    return count


@njit(**INNER)
def _boundary(ors, fold, bits, low, high, tile, elements, ending):  # type: ignore[no-untyped-def]
    """The bit below which it pays best to drop planes in tiles that are zero there, or ``low`` if nowhere.

    ors uint64[tiles] get the trailing zeros of each, ``high`` at most. ending int64[>= high + 1] is worked in.
    """
    for k in range(high + 1):
        ending[k] = 0
    for t in range(ors.size):
        x = np.int64(ors[t])
        x = (x & ((np.int64(1) << fold) - 1)) | ((x >> (bits - 1)) << fold) | (np.int64(1) << (fold + 1))
        zeros = 0
        while zeros < high and (x >> zeros) & 1 == 0:
            zeros += 1
        ors[t] = zeros
        ending[zeros] += 1
    best, at = elements * high // 500, low
    for k in range(high - 1, -1, -1):
        ending[k] += ending[k + 1]
    for bit in range(low + 1, high + 1):
        saved = ending[bit] * tile * (bit - low)
        if saved > best:
            best, at = saved, bit
    return at


@njit(**INNER)
def cut(job, found, ors, counts, sampled, exact, ends, shifts, widths, ending, out):  # type: ignore[no-untyped-def]
    """Choose the symbol and the planes of a span from its survey. False if no window takes its elements in.

    ``found``, ``ors`` and ``counts`` as ``survey`` left them, over all elements if ``exact``; if tiles drop planes,
    ``ors`` get the trailing zeros of each. ``out`` (int64[CUT]), shifts and widths (int64[PLANES_MAX]) get the answer.
    ends int64[4] and ending int64[64] are worked in.
    """
    width, mantissa, tile = job[BYTES], job[MANTISSA], job[TILE]
    bits, elements = 8 * width, job[SIZE] // width
    every, common, most, least = np.int64(found[0]), np.int64(found[1]), np.int64(found[2]), np.int64(found[3])
    even, halves = np.int64(found[4]), np.int64(found[5])
    least = least + 1 if least < (np.int64(1) << (job[EXPONENT] + mantissa)) - 1 else np.int64(0)
    varying = (every ^ common) & ((np.int64(1) << mantissa) - 1)
    finest = job[FINEST]
    k = choose_symbol(
        counts, finest, job[CANDIDATES], mantissa, elements, sampled, least, most, varying, exact, ends
    )  # fmt: skip
    if k < 0:
        return False
    low, high = ends[0], ends[1]
    if job[HALVES] >= 0 and k != job[HALVES] and halves * 8 > ors.size:
        tried = np.int64(1) << job[HALVES]
        again = choose_symbol(counts, finest, tried, mantissa, elements, sampled, least, most, varying, exact, ends)
        if again >= 0:
            k, low, high = again, ends[0], ends[1]
    down = mantissa - k
    if most >> down == 0:
        out[WINDOW], out[SPAN], out[ESCAPES] = 0, 1, not exact
    else:
        outside = max(np.int64(1), least >> down) < low or most >> down > high
        out[WINDOW], out[SPAN], out[ESCAPES] = low - 1, high - low + 1, not exact or outside
    fold = down
    rest = (np.int64(2) << fold) - 1
    common = _folded(common, fold, bits) & rest
    varying = (_folded(every, fold, bits) & rest) ^ common
    low = high = fold + 1
    if varying:
        low = high = np.int64(0)
        while (varying >> low) & 1 == 0:
            low += 1
        while varying >> high:
            high += 1
    boundary = low
    if low == 0 and ors.size > 1 and even:
        boundary = _boundary(ors, fold, bits, low, high, tile, elements, ending)
    planes = _put_places(low, boundary, shifts, widths, np.int64(0))
    planes = _put_places(boundary, high, shifts, widths, planes)
    covered = np.int64(0)
    for p in range(planes):
        covered |= ((np.int64(1) << widths[p]) - 1) << shifts[p]
    shifts[planes], widths[planes] = fold + 1, 8
    out[FOLD], out[PLANES], out[DROPS], out[CONSTANT] = fold, planes + 1, boundary > low, common & ~covered
    out[WINDOWED] = out[WINDOW] != 0 or fold + 9 > bits
    return True

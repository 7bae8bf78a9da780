"""How a float is cut into planes: the choices of codec.planner.floats, for kernels, of elements of 2 and 4 bytes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.statistics import choose_symbol
from codec.kernels.tables import DRIVER

#: Columns of a job, int64: where a span's bytes lie and how many there are; its type's number on the wire, bytes,
#: exponent and mantissa bits; the mantissa bits to count, and those to choose from (a bit for each number); the number
#: that is tried beside them because rows may hold fp16, or -1; elements of a tile and of a chunk; of a row, if that
#: may have tables by columns, or 0.
ADDRESS, SIZE, CODE, BYTES, EXPONENT, MANTISSA, FINEST, CANDIDATES, HALVES, TILE, CHUNK, ROW_SIZE, JOB = range(13)

#: A cut, int64: the bit the sign goes to; the window, and whether it is written; bits that all elements have; whether
#: tiles drop planes, and whether elements may escape; planes; the largest symbol; the shifts of the planes, and their
#: widths behind the last of them. From WORK on there are 64 numbers to work in.
FOLD, WINDOW, WINDOWED, CONSTANT, DROPS, ESCAPES, PLANES, SPAN, PLACES = range(9)

#: Planes that an element of 4 bytes can have, at most: 8 + 8 + 4 + 2 + 1 bits, a symbol, and as many as 3 more where
#: dropping begins within them.
PLANES_MAX: Final = 12
WORK: Final = PLACES + 3 * PLANES_MAX
CUT: Final = WORK + 64


@njit(**DRIVER)
def step_of(elements, tile, most):  # type: ignore[no-untyped-def]
    """(take every so-manieth tile, elements in those): whole tiles only, or all there is in steps of 1."""
    step, tiles = max(np.int64(1), elements // most), elements // tile
    if step == 1 or tiles < 2:
        return np.int64(1), elements
    return step, (tiles + step - 1) // step * tile


@njit(**DRIVER)
def _folded(x, fold, bits):  # type: ignore[no-untyped-def]
    """The top one of ``bits`` bits moved down to bit ``fold``."""
    one = np.int64(1)
    high = (x & ((one << (bits - 1)) - 1)) >> fold
    return (x & ((one << fold) - 1)) | ((x >> (bits - 1)) << fold) | (high << (fold + 1))


@njit(**DRIVER)
def _boundary(ors, tiles, low, high, tile, elements, out):  # type: ignore[no-untyped-def]
    """The bit below which it pays best to drop planes in tiles that are zero there, or ``low`` if nowhere.

    ors uint64[tiles], folded, get the trailing zeros of each, ``high`` at most.
    """
    for k in range(WORK, WORK + high + 1):
        out[k] = 0
    for t in range(tiles):
        x, zeros = np.int64(ors[t]), np.int64(0)
        while zeros < high and (x >> zeros) & 1 == 0:
            zeros += 1
        ors[t] = zeros
        out[WORK + zeros] += 1
    best, at = elements * high // 500, low
    for k in range(WORK + high - 1, WORK - 1, -1):
        out[k] += out[k + 1]
    for bit in range(low + 1, high + 1):
        saved = out[WORK + bit] * tile * (bit - low)
        if saved > best:
            best, at = saved, bit
    return at


@njit(**DRIVER)
def cut(job, found, ors, tiles, counts, sampled, exact, ends, out):  # type: ignore[no-untyped-def]
    """Choose the symbol and the planes of a span from its survey. False if no window takes its elements in.

    ``found``, ``ors`` and ``counts`` as ``survey`` left them, over all elements if ``exact``; if tiles drop planes,
    ``ors`` get the trailing zeros of each. ``out`` (int64[CUT]) gets the answer; ends int64[4] is worked in.
    """
    mantissa, tile, one = job[MANTISSA], job[TILE], np.int64(1)
    bits, elements, finest = 8 * job[BYTES], job[SIZE] // job[BYTES], job[FINEST]
    every, common, most, least = np.int64(found[0]), np.int64(found[1]), np.int64(found[2]), np.int64(found[3])
    least = least + 1 if least < (one << (job[EXPONENT] + mantissa)) - 1 else np.int64(0)
    varying = (every ^ common) & ((one << mantissa) - 1)
    tried, k, low, high = job[CANDIDATES], np.int64(-1), one, one
    for again in range(2):
        chosen = choose_symbol(counts, finest, tried, mantissa, elements, sampled, least, most, varying, exact, ends)
        if chosen >= 0:
            k, low, high = chosen, ends[0], ends[1]
        if again or k < 0 or job[HALVES] < 0 or k == job[HALVES] or np.int64(found[5]) * 8 <= tiles:
            break
        tried = one << job[HALVES]
    if k < 0:
        return False
    fold = mantissa - k
    outside = max(one, least >> fold) < low or most >> fold > high
    if most >> fold == 0:
        low, high, outside = one, one, False
    out[WINDOW], out[SPAN], out[ESCAPES] = low - 1, high - low + 1, np.int64(outside or not exact)
    out[FOLD], out[WINDOWED] = fold, np.int64(low > 1 or fold + 9 > bits)
    rest = (one << (fold + 1)) - 1
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
    if low == 0 and tiles > 1 and found[4]:
        for t in range(tiles):
            ors[t] = (_folded(np.int64(ors[t]), fold, bits) & rest) | (one << (fold + 1))
        boundary = _boundary(ors, tiles, low, high, tile, elements, out)
    out[DROPS] = np.int64(boundary > low)
    planes, width = np.int64(0), np.int64(8)
    while low < high:  # planes of 8, 4, 2, 1 bits, up to the boundary and from it on
        stop = boundary if low < boundary else high
        while low + width > stop:
            width >>= 1
        out[PLACES + planes], out[PLACES + PLANES_MAX + planes] = low, width
        common &= ~(((one << width) - 1) << low)
        low += width
        planes += 1
        if low == boundary:
            width = np.int64(8)
    out[CONSTANT] = common
    out[PLACES + planes], out[PLACES + PLANES_MAX + planes] = fold + 1, 8
    out[PLANES] = planes + 1
    for p in range(planes + 1):
        out[PLACES + planes + 1 + p] = out[PLACES + PLANES_MAX + p]
    return True

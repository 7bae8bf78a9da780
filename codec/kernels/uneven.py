"""Whether the rows and columns of a matrix of floats differ in scale so much that stage 7 may pay for its symbols."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.tables import DRIVER, POINT, log2_of

#: Rows that are looked at, at most, and symbols from which the range of most is taken.
ROWS: Final = 64
_RANGE: Final = 1 << 11
#: What stage 7 is to be expected to save for it to be tried, which takes several times as long as all else: so many
#: thousandths of a span's stored bits, and one in so many bits of an element.
_WORTH, _LEAST = 8, 8
#: Bits of a symbol, about.
_SYMBOL: Final = 3
#: Bits that numbers of rows and columns take, each, and all tables.
_NUMBER, _TABLES = 3, 800
#: Numbers that the look works in, behind those of columns.
WORK: Final = 256


@jit(nogil=True)
def range_of(counts, low_high):  # type: ignore[no-untyped-def]
    """The symbols between which all but a 50th at either end lie, of counts int64[256]: what is outside is an outlier,
    as zeros are, which have no logarithm.
    """
    total, before, low, high = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for s in range(256):
        total += counts[s]
    for s in range(256):
        if before * 50 <= total:
            low = s
        if before * 50 < total * 49:
            high = s
        before += counts[s]
    low_high[0], low_high[1] = low, high


@njit(**DRIVER)
def _add(row, low, high, sums):  # type: ignore[no-untyped-def]
    """Add what each symbol of a row is above ``low``, to ``high`` at most, to sums (uint32). (Sum, sum of squares)."""
    total, squares = np.uint32(0), np.uint32(0)
    for j in range(row.size):
        v = np.uint8(min(max(row[j], low), high) - low)
        sums[j] = np.uint32(sums[j] + np.uint32(v))
        total = np.uint32(total + np.uint32(v))
        squares = np.uint32(squares + np.uint32(np.uint16(v) * np.uint16(v)))
    return np.int64(total), np.int64(squares)


@jit(nogil=True)
def uneven(x, tile, step, period, octave, rest, work):  # type: ignore[no-untyped-def]
    """Whether it may pay.

    x uint8: the symbols of whole tiles of ``tile``, every ``step``-th of the plane (1: all there are); ``period``:
    symbols of a row, up to 65,536; ``octave``: symbols to an octave; ``rest``: other bits of an element; work
    int64[>= WORK + period / 2].

    Scales that differ by a variance of v octaves cost about 0.6 v bits by tables that don't know them (normal numbers),
    or log2(1 + v / w) / 2 where the logarithms are normal with a variance of w.
    """
    stride, several, size = period, tile > period, x.size * step
    spent = (_NUMBER * (size // period + period) + _TABLES << POINT) // size if size else 0
    if step > 1 and tile % period:
        if period % tile:
            return False
        parts = period // tile  # only tiles of the first part of rows are looked at
        common, other = parts, step % parts
        while other:
            common, other = other, common % other
        stride, period = parts // common * tile, tile
    rows = (x.size - period) // stride + 1 if x.size >= period else 0
    if rows < 4 or period < 8:
        return False
    if rows > ROWS:
        stride *= rows // ROWS
        rows = ROWS
    counts, sums = work[:256], work[WORK : WORK + (period + 1) // 2].view(np.uint32)
    counts[:] = 0
    for k in range(_RANGE):
        counts[x[k * x.size // _RANGE]] += 1
    range_of(counts, work[WORK : WORK + 2])
    low, high = np.uint8(work[WORK]), np.uint8(work[WORK + 1])
    sums[:] = 0
    total, squares, by_row, by_column = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for k in range(rows):
        one, two = _add(x[k * stride : k * stride + period], low, high, sums)
        total, squares, by_row = total + one, squares + two, by_row + one * one
    for j in range(period):
        by_column += np.int64(sums[j]) * np.int64(sums[j])
    # analysis of variance: what rows and columns explain, less what chance would; each in 256ths
    n = rows * period
    mean = total * total // n
    by_row, by_column, squares = by_row // period - mean, by_column // rows - mean, squares - mean
    noise = (max(squares - by_row - by_column, np.int64(1)) << 8) // ((rows - 1) * (period - 1))
    explained = (by_column << 8) - (period - 1) * noise
    if several:  # rows that share a tile share a table otherwise
        explained += max((by_row << 8) - (rows - 1) * noise, np.int64(0))
    variance = explained // n
    if variance <= 0:
        return False
    noise = max(noise, np.int64(octave * octave * 16))  # of rounding there is a twelfth at least
    bits = max(
        variance * 3 * (1 << POINT) // (5 * 256 * octave * octave), (log2_of(variance + noise) - log2_of(noise)) // 2
    )
    return bits - spent >= max((1 << POINT) // _LEAST, ((rest + _SYMBOL) << POINT) * _WORTH // 1000)

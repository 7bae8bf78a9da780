"""Numbers for the rows and columns of a plane, such that elements of about one scale share a table (stage 7).

Levels (codec.kernels.column_levels) are cut into steps of some sixteenths of an octave; the number of an element's
table is that of its tile's step plus its column's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.column_levels import LOW, column_levels, column_sums, level_of, row_levels
from codec.kernels.statistics import TABLE_BITS
from codec.kernels.tables import INNER, POINT, log2_of

#: Most tables of a plane.
TABLES_MAX: Final = 16
#: Steps that are tried, in sixteenths of an octave.
STEPS = np.array([2, 3, 4, 5, 6, 8, 12], np.int64)
#: No row or column is further from the middle than so many steps.
FAR: Final = 24
#: Sums of a row's and a column's step.
CLASSES: Final = 4 * FAR + 1
#: Limits between the rows' numbers, at most.
LIMITS_MAX: Final = 2 * FAR
#: Results of ``number``: tables, limits, the least number of a row.
COUNT, LIMITS, LEAST, RESULTS = range(4)


@njit(**INNER)
def _rounded(level, unit):  # type: ignore[no-untyped-def]
    """level / unit, to nearest."""
    return (2 * level + unit) // (2 * unit)


@njit(**INNER)
def _bits(row):  # type: ignore[no-untyped-def]
    """Bits of so many of each symbol (times 2^POINT) at their own entropy; symbols that occur; how many in all."""
    total, own, kinds = np.int64(0), np.int64(0), np.int64(0)
    for s in range(256):
        c = row[s]
        if c > 0:
            total += c
            own -= c * log2_of(c)
            kinds += 1
    return (own + total * log2_of(total) if total > 0 else np.int64(0)), kinds, total


@njit(**INNER)
def _numbers_bits(levels, unit):  # type: ignore[no-untyped-def]
    """Bits that the numbers of these levels take: about their entropy."""
    count = np.zeros(256, np.int64)
    for i in range(levels.size):
        count[min(max(_rounded(levels[i], unit), -FAR), FAR) + FAR] += 1
    bits, _, _ = _bits(count)
    return bits + (np.int64(levels.size) << (POINT - 2))  # what Rice codes lose


@njit(**INNER)
def _trim(work, scale, spare):  # type: ignore[no-untyped-def]
    """Merge rows at either end of work (int64[count, 256]) into their neighbours, while that saves bits or there are
    too many tables. Returns how many at the low end and at the high end: the sums are in the rows that are left.
    """
    count = work.shape[0]
    cost = np.zeros(CLASSES, np.int64)
    for k in range(count):
        own, kinds, _ = _bits(work[k])
        cost[k] = scale * own + ((28 + TABLE_BITS * kinds) << POINT)
    low, high = 0, count - 1
    while low < high:
        best, side = np.int64(0), -1
        for end in range(2):
            a, b = (low, low + 1) if end == 0 else (high, high - 1)
            for s in range(256):
                spare[s] = work[a, s] + work[b, s]
            own, kinds, _ = _bits(spare)
            gain = cost[a] + cost[b] - scale * own - ((28 + TABLE_BITS * kinds) << POINT)
            if side < 0 or gain > best:
                best, side = gain, end
        if best <= 0 and high - low < TABLES_MAX:
            break
        a, b = (low, low + 1) if side == 0 else (high, high - 1)
        for s in range(256):
            work[b, s] += work[a, s]
        cost[b] += cost[a] - best
        low, high = low + (1 - side), high - side
    return low, count - 1 - high


@njit(**INNER)
def _spread(levels):  # type: ignore[no-untyped-def]
    """Mean square of what levels differ from their mean."""
    mean, squares = levels.sum() // levels.size, np.int64(0)
    for i in range(levels.size):
        d = min(max(levels[i] - mean, np.int64(-4 << POINT)), np.int64(4 << POINT))
        squares += d * d
    return squares // levels.size


@njit(**INNER)
def _step(rows, columns, n, scale, kinds):  # type: ignore[no-untyped-def]
    """The step by which rounding, numbers and tables cost least, in units of 2^-POINT octaves."""
    spread = _spread(rows) + _spread(columns)
    best, chosen = np.int64(-1), np.int64(STEPS[STEPS.size - 1] << (POINT - 4))
    for i in range(STEPS.size):
        unit = STEPS[i] << (POINT - 4)
        tables = np.int64(1)
        while tables * tables * unit * unit < 36 * spread:  # three standard deviations to either side
            tables += 1
        if tables > TABLES_MAX:
            continue
        # an element off by e octaves costs about e^2 / 2 bits, and two roundings e^2 = step^2 / 6
        bits = (n * scale * STEPS[i] * STEPS[i] // (12 * 256)) << POINT
        bits += scale * _numbers_bits(rows, unit) + _numbers_bits(columns, unit)
        bits += tables * (28 + TABLE_BITS * kinds) << POINT
        if best < 0 or bits < best:
            best, chosen = bits, unit
    return chosen


@njit(**INNER)
def _limit(level, size, linear, most):  # type: ignore[no-untyped-def]
    """The smallest sum of ``size`` weights (0 to ``most``) whose level is ``level`` or more."""
    low, high = np.int64(0), most + 1
    while low < high:
        middle = (low + high) // 2
        if level_of(middle, size, linear) >= level:
            high = middle
        else:
            low = middle + 1
    return low


@njit(**INNER)
def _count(x, tile, step, parts, rows, columns, counts):  # type: ignore[no-untyped-def]
    """Add each byte to those of its class, the sum of its row's number and its column's; counts as in ``number``."""
    n, period, flat = x.size, columns.size, counts.reshape(counts.size)
    size = min(tile, period)
    for t in range(rows.size):
        mine, at, row = x[t * tile : min(t * tile + tile, n)], (t * step % parts) * tile, (rows[t] + 2 * FAR) << 8
        if period == 1:
            own = flat[row : row + 256]
            for i in range(mine.size):
                own[mine[i]] += 1
            continue
        for start in range(0, mine.size, size):
            part = mine[start : min(start + size, mine.size)]
            beside = columns[at : at + part.size]
            for i in range(part.size):
                # unsigned, so that nothing looks whether it counts from the end
                flat[np.uint64(row + (beside[i] << 8)) + np.uint64(part[i])] += 1


@jit(nogil=True)
def number(  # type: ignore[no-untyped-def]
    x,
    tile,
    step,
    whole,
    apart,
    weights,
    middle,
    linear,
    kinds,
    given,
    sums,
    rows,
    columns,
    beside,
    counts,
    limits,
    results,
):
    """Choose the numbers of rows and columns. Returns 0, or -1 if columns, or rows that differ, do not pay.

    x uint8: whole tiles of ``tile`` bytes (only the last of all may be shorter), every ``step``-th of the plane, which
    stand for as many; whole uint8: as x, every ``apart``-th, for the columns; weights int64[256], below 256: with
    ``linear`` (see ``level_of``) any, else the distances from the byte ``middle``; ``kinds``: bytes that occur;
    ``given``: a step to take, in units of 2^-POINT octaves, whatever it costs, or 0.
    sums uint32[period], rows int64[tiles], columns int64[period] are worked in; beside uint8[period] gets the columns'
    numbers; counts int64[CLASSES + 1, 256] gets in its first rows the counts for each table; limits int64[LIMITS_MAX]:
    those between rows by the sum of their weights; results int64[RESULTS].
    """
    n, tiles, period = x.size, rows.size, columns.size
    parts = max(1, period // tile)
    all_level = row_levels(x, tile, weights, np.uint8(middle), linear, rows)
    if all_level == LOW:
        return -1
    columns[:] = 0
    if period > 1:
        sums[:] = 0
        column_sums(whole, tile, apart, weights, np.uint8(middle), linear, parts, period, sums)
        seen = max(np.int64(1), whole.size // period)
        squares = column_levels(sums, parts, seen, linear, columns)
        unit = np.int64(4 << (POINT - 4))  # a step as it is taken, about
        # levels of columns that do not differ are off by about sqrt(2 / seen) octaves
        if squares < 0 or (
            given == 0
            and (n * step // period * (squares - 2 * (period << 16) // seen) >> 17) << POINT
            < _numbers_bits(columns, unit)
        ):
            return -1
    unit = given if given else _step(rows, columns, n, step, kinds)
    low, high = np.int64(CLASSES), np.int64(0)
    for j in range(period):
        columns[j] = min(max(_rounded(columns[j], unit), -FAR), FAR)
    for t in range(tiles):
        rows[t] = min(max(_rounded(rows[t], unit), -FAR), FAR)
    counts[:] = 0
    _count(x, tile, step, parts, rows, columns, counts)
    for k in range(CLASSES):
        some = np.int64(0)
        for s in range(256):
            some |= counts[k, s]
        if some:
            low, high = min(low, np.int64(k)), np.int64(k)
    below, above = _trim(counts[low : high + 1], step, counts[CLASSES])
    low, high = low + below, high - above
    count = high - low + 1
    if count == 1:
        return -1
    for k in range(count):
        for s in range(256):
            counts[k, s] = counts[low + k, s]
    # a table's number is the row's step and the column's, less ``first``; what would be below 0 goes to the columns
    first, least, most = low - 2 * FAR, np.int64(CLASSES), np.int64(-CLASSES)
    far = np.int64(FAR if period > 1 else 0)  # alone, a row's number is its table's
    for t in range(tiles):
        rows[t] = min(max(rows[t], first - far), first + count - 1 + far)
        least, most = min(least, rows[t]), max(most, rows[t])
    below = max(np.int64(0), first - least)
    for j in range(period):
        beside[j] = columns[j] - below + 64
    results[COUNT], results[LIMITS], results[LEAST] = count, most - least, least - first + below
    ceiling = np.int64(0)
    for s in range(256):
        ceiling = max(ceiling, weights[s])
    for k in range(most - least):
        limits[k] = _limit(all_level + (2 * (least + k) + 1) * unit // 2, tile, linear, ceiling * tile)
    return 0

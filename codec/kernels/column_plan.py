"""Numbers for the rows and columns of a plane, such that elements of about one scale share a table (stage 7).

What describes a tile or a column is its mean weight (codec.planner.columns says which weights). Its *level* is the
logarithm of that, or where weights are logarithms already the mean itself, in units of 2^-POINT octaves, less that of
all. The level of an element is about that of its tile plus that of its column. Levels are cut into steps of some
sixteenths of an octave; the number of an element's table is that of its tile's step plus its column's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.numbers import shape as numbers_shape
from codec.kernels.numbers import size as numbers_size
from codec.kernels.statistics import TABLE_BITS, choose, tile_distances, tile_sums
from codec.kernels.tables import INNER, LOG2, POINT, log2_of

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
_LOW: Final = -(1 << 30)


@njit(**INNER)
def _level(total, size, linear):  # type: ignore[no-untyped-def]
    """The level of ``size`` weights of that sum; ``linear``: weights to an octave, 0 if they are no logarithms."""
    if linear:
        return (total << POINT) // (size * linear)
    return log2_of(total) - log2_of(size) if total > 0 else np.int64(_LOW)


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
def _distances(x, middle, sums):  # type: ignore[no-untyped-def]
    """Add the distance of each byte from ``middle`` (uint8), round the circle, to sums (uint32)."""
    for i in range(x.size):
        d = np.uint8(x[i] - middle)
        sums[i] = np.uint32(sums[i] + np.uint32(min(d, np.uint8(-d))))


@njit(**INNER)
def _column_sums(x, tile, step, weights, middle, linear, parts, period, sums):  # type: ignore[no-untyped-def]
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
def _row_levels(x, tile, weights, middle, linear, rows):  # type: ignore[no-untyped-def]
    """rows[t] = the level of tile t, less that of all. The level of all."""
    _sums(x, tile, weights, middle, linear, rows)
    every = _level(rows.sum(), tile * rows.size, linear)
    for t in range(rows.size):
        rows[t] = max(_level(rows[t], tile, linear) - every, np.int64(-FAR << (POINT - 1)))
    return every


@njit(**INNER)
def _column_levels(sums, parts, seen, linear, columns):  # type: ignore[no-untyped-def]
    """columns[j] = the level of column j, less that of the tile that it lies in, which rows have already.

    ``seen``: how often each was. Returns the sum of the squares, in 2^(-2 * 8) octaves; -1 if a part has no weight.
    """
    width, squares = sums.size // parts, np.int64(0)
    for p in range(parts):
        total = np.int64(0)
        for j in range(p * width, p * width + width):
            total += sums[j]
        every = _level(total, seen * width, linear)
        if every == _LOW:
            return np.int64(-1)
        for j in range(p * width, p * width + width):
            columns[j] = max(_level(np.int64(sums[j]), seen, linear) - every, np.int64(-FAR << (POINT - 1)))
            squares += min(columns[j] * columns[j] >> (2 * (POINT - 8)), np.int64(1 << 20))
    return squares


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
        if _level(middle, size, linear) >= level:
            high = middle
        else:
            low = middle + 1
    return low


@njit(nogil=True, cache=True)
def number(  # type: ignore[no-untyped-def]
    x, tile, step, whole, apart, weights, middle, linear, kinds, sums, rows, columns, beside, counts, limits, results
):
    """Choose the numbers of rows and columns. Returns 0, or -1 if columns, or rows that differ, do not pay.

    x uint8: whole tiles of ``tile`` bytes (only the last of all may be shorter), every ``step``-th of the plane, which
    stand for as many; whole uint8: as x, every ``apart``-th, for the columns; weights int64[256], below 256: with
    ``linear`` (see ``_level``) any, else the distances from the byte ``middle``; ``kinds``: bytes that occur.
    sums uint32[period], rows int64[tiles], columns int64[period] are worked in; beside uint8[period] gets the columns'
    numbers; counts int64[CLASSES + 1, 256] gets in its first rows the counts for each table; limits int64[LIMITS_MAX]:
    those between rows by the sum of their weights; results int64[RESULTS].
    """
    n, tiles, period = x.size, rows.size, columns.size
    parts = max(1, period // tile)
    all_level = _row_levels(x, tile, weights, np.uint8(middle), linear, rows)
    if all_level == _LOW:
        return -1
    columns[:] = 0
    if period > 1:
        sums[:] = 0
        _column_sums(whole, tile, apart, weights, np.uint8(middle), linear, parts, period, sums)
        seen = max(np.int64(1), whole.size // period)
        squares = _column_levels(sums, parts, seen, linear, columns)
        unit = np.int64(4 << (POINT - 4))  # a step as it is taken, about
        # levels of columns that do not differ are off by about sqrt(2 / seen) octaves
        if squares < 0 or (n * step // period * (squares - 2 * (period << 16) // seen) >> 17) << POINT < _numbers_bits(
            columns, unit
        ):
            return -1
    unit = _step(rows, columns, n, step, kinds)
    low, high = np.int64(CLASSES), np.int64(0)
    for j in range(period):
        columns[j] = min(max(_rounded(columns[j], unit), -FAR), FAR)
    for t in range(tiles):
        rows[t] = min(max(_rounded(rows[t], unit), -FAR), FAR)
    counts[:] = 0
    size = min(tile, period)
    for t in range(tiles):
        mine, at = x[t * tile : min(t * tile + tile, n)], (t * step % parts) * tile
        row = rows[t] + 2 * FAR
        if period == 1:
            own = counts[row]
            for i in range(mine.size):
                own[mine[i]] += 1
            continue
        for start in range(0, mine.size, size):
            part = mine[start : min(start + size, mine.size)]
            for i in range(part.size):
                counts[row + columns[at + i], part[i]] += 1
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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def coded_bits(counts, frequencies):  # type: ignore[no-untyped-def]
    """Bits, times 2^POINT, that symbols take by tables: both int64[tables, 256]."""
    bits = np.int64(0)
    for k in range(counts.shape[0]):
        for s in range(256):
            if counts[k, s] > 0:
                bits += counts[k, s] * ((12 << POINT) - LOG2[frequencies[k, s]])
    return bits

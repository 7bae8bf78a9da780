"""Frequency tables of stage 7, whose ranges go round and may be mirrored: fit, write and read (stages/7_columns.md).

As codec.kernels.tables, in integers. The frequencies that are written are a *line*: those of the range in order, or of
the distances from its middle.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.tables import INNER, LOG2, POINT, UNCOUNTED, at_least_two, behind, get_frequency, length_of, rounded

#: Bits in front of the frequencies, without those of the filler, which a mirrored table has not.
_HEAD = 21


@njit(**INNER)
def _share(count, target, total, sides):  # type: ignore[no-untyped-def]
    """The part of ``target`` slots that is due to a count, for each of its sides: rounded, at least 1 if it occurs."""
    whole = sides * total
    return max(np.int64(1), (count * target + whole // 2) // whole) if count > 0 else np.int64(0)


@njit(**INNER)
def _fit_line(line, n, filler, sides, scale, freq):  # type: ignore[no-untyped-def]
    """Fit frequencies to a line of counts (int64[>= n]) of which all but the filler's have ``sides`` symbols each.

    Every precision is tried, and that taken by which table and data take the fewest bits. Returns these (times
    2^POINT) and it; freq int64[>= n] gets the frequencies.
    """
    total = np.int64(0)
    for i in range(n):
        total += line[i]
    low = np.int64(4) if total * scale > 100_000 else np.int64(1)
    high = np.int64(8) if total * scale > 10_000 else np.int64(5)
    best, chosen, left = np.int64(-1), np.int64(0), np.int64(0)
    for precision in range(low, high + 1):
        target, rest, cost, bits = np.int64(4096), np.int64(0), np.int64(0), np.int64(0)
        while True:
            rest, cost, before = np.int64(4096), np.int64(0), np.int64(1)
            bits = np.int64(_HEAD + (8 if sides == 1 else 0))
            for i in range(n):
                if i == filler:
                    continue
                length, share = np.int64(0), _share(line[i], target, total, sides)
                if share > 0:
                    length = length_of(share)
                    f = rounded(share, length, precision)
                    length += f >> length
                    rest -= sides * f
                    cost += line[i] * ((12 << POINT) - LOG2[f])
                    bits += min(precision, length - 1)
                step = length - before
                bits += 2 * step if step > 0 else 1 - 2 * step
                before = length
            if rest > 0:
                break
            target -= 128
        cost += line[filler] * ((12 << POINT) - LOG2[rest])
        cost = scale * cost + ((bits + 7) // 8 * 8 << POINT)
        if best < 0 or cost < best:
            best, chosen, left = cost, precision, target
    freq[filler] = 4096
    for i in range(n):
        if i != filler:
            share = _share(line[i], left, total, sides)
            freq[i] = rounded(share, length_of(share), chosen) if share > 0 else 0
            freq[filler] -= sides * freq[i]
    return best, chosen


@njit(**INNER)
def _write_line(freq, n, filler, sides, first, precision, out, at):  # type: ignore[no-untyped-def]
    """Write a table to out[at:]; the offset behind it."""
    held = first | (n - 1) << 8 | precision << 16 | np.int64(sides - 1) << 20
    bits, before = np.int64(_HEAD), np.int64(1)
    if sides == 1:
        held |= np.int64(filler) << bits
        bits += 8
    for i in range(n):
        if i == filler:
            continue
        f = freq[i]
        length = length_of(f)
        step = length - before
        before = length
        ones = 2 * step - 1 if step > 0 else -2 * step
        held |= ((np.int64(1) << ones) - 1) << bits
        bits += ones + 1
        for k in range(length - 2, max(-1, length - 2 - precision), -1):
            held |= ((f >> k) & 1) << bits
            bits += 1
        while bits >= 8:  # so that held keeps below 2^(7 + 25 + 11), but for the head and one symbol
            out[at] = held & 255
            held >>= 8
            bits -= 8
            at += 1
    while bits > 0:
        out[at] = held & 255
        held >>= 8
        bits -= 8
        at += 1
    return at


@njit(**INNER)
def _turned(counts, line):  # type: ignore[no-untyped-def]
    """line[i] = counts[start + i mod 256], which end with the longest run of zeros; returns start."""
    run, best, start = 0, 0, np.int64(0)
    for i in range(512):
        if counts[i & 255] == 0:
            run += 1
            if run > best:
                best, start = run, np.int64((i + 1) & 255)
        else:
            run = 0
    for s in range(256):
        line[s] = counts[(s + start) & 255]
    return start


@njit(**INNER)
def _used(line):  # type: ignore[no-untyped-def]
    """One more than the last place that has something."""
    n = np.int64(line.size)
    while n > 0 and line[n - 1] == 0:
        n -= 1
    return n


@jit(nogil=True)
def fit(counts, middle, scale, freq, raw):  # type: ignore[no-untyped-def]
    """Fit a table to each row of counts (int64[rows, 256], see ``at_least_two``), written one behind the other.

    Mirrored round the byte ``middle`` where that takes fewer bits. The counts are a sample of 1 in ``scale``. freq
    int64[rows, 256] gets the frequencies; raw uint8[rows * RAW_MAX]. Returns the bytes written.
    """
    line, mirror, own, other = (
        np.empty(256, np.int64),
        np.empty(128, np.int64),
        np.empty(256, np.int64),
        np.empty(128, np.int64),
    )
    after = np.int64(0)
    for k in range(counts.shape[0]):
        row = counts[k]
        at_least_two(row)
        first = _turned(row, line)
        n, filler = _used(line), np.int64(0)
        for s in range(n):
            if line[s] > line[filler]:
                filler = s
        bits, precision = _fit_line(line, n, filler, 1, scale, own)
        mirror[0] = row[middle]
        for d in range(1, 128):
            mirror[d] = row[(middle + d) & 255] + row[(middle - d) & 255]
        far, both = _used(mirror), row[(middle + 128) & 255] == 0
        if both and far > 1:
            less, way = _fit_line(mirror, far, 0, 2, scale, other)
            both = less < bits
            if both:
                bits, precision = less, way
        freq[k, :] = 0
        if both and far > 1:
            for d in range(far):
                freq[k, (middle + d) & 255] = other[d]
                freq[k, (middle - d) & 255] = other[d]
            after = _write_line(other, far, 0, 2, middle, precision, raw, after)
        else:
            for s in range(n):
                freq[k, (first + s) & 255] = own[s]
            after = _write_line(own, n, filler, 1, first, precision, raw, after)
    return after


@njit(**UNCOUNTED)
def read(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read one table from src[at:end) into freq (int64[256]). Returns the offset behind it, or -1 if it is corrupt."""
    freq[:] = 0
    if end - at < 3:
        return -1
    first, span, third = np.int64(src[at]), np.int64(src[at + 1]), np.int64(src[at + 2])
    precision, sides, filler = third & 15, 1 + (third >> 4 & 1), np.int64(0)
    bit, before, rest = at * 8 + _HEAD, np.int64(1), np.int64(4096)
    if sides == 1:
        if end - at < 4:
            return -1
        filler = third >> 5 | (np.int64(src[at + 3]) & 31) << 3
        bit += 8
    if span < 1 or filler > span or (sides == 2 and span > 127):
        return -1
    for i in range(span + 1):
        if i == filler:
            continue
        x, before, bit = get_frequency(src, bit, end, before, precision)
        if bit < 0:
            return -1
        freq[(first + i) & 255] = x
        if sides == 2:
            freq[(first - i) & 255] = x
        rest -= sides * x
        if rest < 1:
            return -1
    if rest > 4095:
        return -1
    freq[(first + filler) & 255] = rest
    return behind(src, bit)


@jit(nogil=True)
def read_all(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read freq.shape[0] tables from src[at:end). Returns the offset behind the last, or -1 if one is corrupt."""
    for k in range(freq.shape[0]):
        at = read(src, at, end, freq[k])
        if at < 0:
            return -1
    return at

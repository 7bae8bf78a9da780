"""What the encoder wants to know of elements before it chooses how to code them. Integers only."""

from __future__ import annotations

import numpy as np
from numba import njit

from codec.kernels.tables import POINT, entropy, log2_of


@njit(nogil=True, cache=True)
def masks(src, tile, magnitude, ors, ands, most, least):  # type: ignore[no-untyped-def]
    """For each tile: OR and AND of its elements, largest magnitude, smallest magnitude less one (0 wraps to the top).

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
    """Count bytes into counts (int64[4, 256], zeroed here; four rows: equal neighbours don't wait for each other)."""
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
def window_of(counts, times, elements, sampled, least, most, escape_bits, table_bits, exact, out):  # type: ignore[no-untyped-def]
    """The window of a symbol with these field counts. Returns its bits times 2^POINT, or -1 if too much lies outside.

    ``counts`` are of a field ``times`` times finer; least and most are the smallest non-zero and the
    largest field that occur, as far as is known; ``out`` int64[2] gets the first and the last field inside.
    Fields at the ends that are so rare that their slots in the tables cost more than escapes are given up.
    """
    fields = counts.size // times
    worth, weight = elements * 36 // 100_000 + table_bits, elements // max(1, sampled) * escape_bits
    low, high = max(1, least), most
    first, last = 0, -1
    for f in range(1, fields):
        c = 0
        for j in range(times):
            c += counts[f * times + j]
        if c > 0 and c * weight >= worth:
            if first == 0:
                first = f
            last = f
    if last >= 0:
        low, high = max(low, first), min(high, last)
        if not exact:  # the sample may have missed a neighbour
            low, high = max(max(1, least), low - 1), min(most, high + 1)
    if high - low > 254:
        low = high - 254
    lost, inside, bits = 0, 0, 0
    for f in range(fields):
        c = 0
        for j in range(times):
            c += counts[f * times + j]
        if c == 0:
            continue
        if f == 0 or low <= f <= high:
            inside += c
            bits -= c * log2_of(c)
        else:
            lost += c
    out[0], out[1] = low, high
    if lost * 64 > sampled:
        return -1
    if inside > 0:
        bits += inside * log2_of(inside)
    alphabet = high - low + 2
    slots = elements * alphabet * 18 // 100_000  # what 12-bit frequencies lose on rare symbols, about half a slot each
    extra = table_bits * alphabet + slots + lost * elements // max(1, sampled) * escape_bits
    return bits * elements // max(1, sampled) + (extra << POINT)


@njit(nogil=True, cache=True)
def merge_groups(counts, tiles, scale, bits):  # type: ignore[no-untyped-def]
    """How many neighbouring groups to merge into one: 1, 2, 4, ...

    ``counts`` int64[groups, 256]; ``bits`` int64[1] gets the cost, which is of data, tables and choices, times
    2^POINT; of equals the more merged wins.
    """
    groups = counts.shape[0]
    best, chosen, step = np.int64(-1), 1, 1
    row = np.zeros(256, np.int64)
    while True:
        total, left = np.int64(0), 0
        for g in range(0, groups, step):
            row[:] = 0
            for j in range(g, min(g + step, groups)):
                for s in range(256):
                    row[s] += counts[j, s]
            total += scale * entropy(row)
            first, last = 256, 0
            for s in range(256):
                if row[s] > 0:
                    first, last = min(first, s), s
            total += (28 + 3 * max(1, last - first + 1)) << POINT
            left += 1
        choice = 0 if left < 2 else 1 if left == 2 else 2 if left <= 4 else 4
        total += scale * ((tiles * choice) << POINT)
        if best < 0 or total <= best:
            best, chosen = total, step
        if left == 1:
            break
        step *= 2
    bits[0] = best
    return chosen

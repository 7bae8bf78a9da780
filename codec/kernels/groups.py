"""Put the tiles of a plane into groups that get a table each, and count the bytes of each group.

A tile is described by one integer, the sum of a weight for each of its bytes (for the symbols of floats the symbol
itself, so the tile's mean exponent). Tiles are cut into groups of about equal number along that line, and neighbours
are merged, 2, 4, ... into one, where that takes fewer bits. On MiniLM in bf16, 16 groups by mean exponent take 10.491
bits a weight, k-means on the histograms 10.486, and one table 10.547; one sum for each tile costs next to nothing.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray, njit, types

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.statistics import TABLE_BITS, WAYS, choose, tile_weights
from codec.kernels.tables import INNER, POINT, entropy, log2_of

#: Most groups of a plane.
GROUPS_MAX = 16

#: Bytes that tell whether a plane is worth coding.
QUICK = 1 << 15

#: log2(e), times 2^POINT: the entropy of counts is half of it too low for each symbol but one, and coding anything else
#: by them takes the other half too much.
LEARNT = 5909

#: Bytes of a tile from which on they are counted by themselves first.
_FEW = 192

#: Rows that ``counts`` has beside those of the planes: of each way, of a merge, and of a tile or names of bytes.
SPARE_ROWS = (WAYS + 1) * GROUPS_MAX + 2

#: Columns of ``report``: bytes of the plane, its tiles, bytes looked at first, what they take at their own entropy
#: (times 2^POINT); groups, 0 if the plane is not worth coding, the weights they go by, the row of the first, and what
#: data, tables and choices are expected to take (times 2^POINT).
SIZE, TILES, LOOKED, BITS, COUNT, WAY, ROW, TAKEN, REPORT = range(9)


@njit(**INNER)
def _sorted(values, other, at):  # type: ignore[no-untyped-def]
    """The values (int64, 0 to 2^24) in ascending order, by their bytes. other int64[n], at int64[256] are worked in."""
    for shift in range(0, 24, 8):
        at[:] = 0
        for i in range(values.size):
            at[(values[i] >> shift) & 255] += 1
        below = np.int64(0)
        for b in range(256):
            n = at[b]
            at[b] = below
            below += n
        for i in range(values.size):
            b = (values[i] >> shift) & 255
            other[at[b]] = values[i]
            at[b] += 1
        values, other = other, values
    return values


@njit(inline="always", **INNER)
def _limits(sums, most, room, limits):  # type: ignore[no-untyped-def]
    """Ascending limits that cut the tiles into up to ``most`` groups of about equal number. Returns how many.

    sums int64[tiles]; room int64[>= 2 * tiles + 256]; limits int64[most].
    """
    n, count = sums.size, np.int64(0)
    values = room[:n]
    for t in range(n):
        values[t] = sums[t]
    ordered = _sorted(values, room[n : 2 * n], room[2 * n : 2 * n + 256])
    groups = most if most < n else n
    for k in range(1, groups):
        limit = ordered[k * n // groups]
        if count == 0 or limit > limits[count - 1]:
            limits[count] = limit
            count += 1
    return count


@njit(**INNER)
def _count(x, counts, other):  # type: ignore[no-untyped-def]
    """Add the bytes of x (uint8) to two rows, int64[256] each: equal neighbours don't wait for each other."""
    pairs = x.size // 2 * 2
    for i in range(0, pairs, 2):
        counts[x[i]] += 1
        other[x[i + 1]] += 1
    if pairs < x.size:
        counts[x[pairs]] += 1


@njit(**INNER)
def _count_ways(x, full, tiles, ways, choice, hist, counts):  # type: ignore[no-untyped-def]
    """Add the bytes of each tile (``full`` of them, the last may be shorter) to the row of its group, for each way.

    choice uint8[ways * tiles]; counts int64[>= ways * GROUPS_MAX, 256]. Bytes are counted once, whatever the number of
    ways, in hist int32[4, 256]: most neighbours that are equal don't wait for each other.
    """
    hist[:] = 0
    for t in range(tiles):
        part = x[t * full : min(t * full + full, x.size)]
        if part.size < _FEW:
            for way in range(ways):
                own = counts[GROUPS_MAX * way + choice[way * tiles + t]]
                for i in range(part.size):
                    own[part[i]] += 1
            continue
        quads = part.size // 4 * 4
        for i in range(0, quads, 4):
            hist[0, part[i]] += np.int32(1)
            hist[1, part[i + 1]] += np.int32(1)
            hist[2, part[i + 2]] += np.int32(1)
            hist[3, part[i + 3]] += np.int32(1)
        for i in range(quads, part.size):
            hist[0, part[i]] += np.int32(1)
        for s in range(256):
            hist[0, s] += hist[1, s] + hist[2, s] + hist[3, s]
        for way in range(ways):
            own = counts[GROUPS_MAX * way + choice[way * tiles + t]]
            for s in range(256):
                own[s] += np.int64(hist[0, s])
        hist[:] = 0


@njit(inline="always", **INNER)
def _merge(counts, groups, tiles, scale, rows, named):  # type: ignore[no-untyped-def]
    """How many neighbouring groups to merge into one, 1, 2, 4, ..., and the bits that takes, times 2^POINT.

    ``counts`` int64[>= groups, 256] of one byte in ``scale``: those of the merged groups are left in its first rows.
    The bits are those of data, tables and choices; of equals the more merged wins. ``rows`` as ``counts`` and ``named``
    int64[256] are worked in: of the bytes that occur, side by side, their counts and which they are.
    What was not counted fits a table worse than what was: by LEARNT bits for each symbol and as many bytes. Without
    that, 16 groups of weights that are all alike look better than one, and are 0.04 % larger.
    """
    kinds = np.int64(0)
    for s in range(256):
        n = np.int64(0)
        for k in range(groups):
            rows[k, kinds] = counts[k, s]
            n += counts[k, s]
        named[kinds] = s
        kinds += np.int64(n > 0)
    best, chosen, step, left = np.int64(-1), np.int64(1), np.int64(1), groups
    while True:
        total = np.int64(0)
        for k in range(left):
            n, own, first, last, used = np.int64(0), np.int64(0), np.int64(-1), np.int64(-1), np.int64(-1)
            for s in range(kinds):
                c = rows[k, s]
                if c > 0:
                    n += c
                    own -= c * log2_of(c)
                    used += 1
                    last = named[s]
                    if first < 0:
                        first = last
            if n > 0:
                own += n * log2_of(n)
            total += (
                scale * own + ((28 + TABLE_BITS * (last - first + 1)) << POINT) + (scale - 1) * max(0, used) * LEARNT
            )
        choice = 0 if left < 2 else 1 if left == 2 else 2 if left <= 4 else 4
        total += scale * ((tiles * choice) << POINT)
        if best < 0 or total <= best:
            best, chosen = total, step
        if left == 1:
            break
        for k in range((left + 1) // 2):
            odd = 2 * k + 1 < left
            for s in range(kinds):
                rows[k, s] = rows[2 * k, s] + (rows[2 * k + 1, s] if odd else 0)
        step, left = 2 * step, (left + 1) // 2
    for k in range((groups + chosen - 1) // chosen if chosen > 1 else 0):
        for s in range(256):
            n = np.int64(0)
            for j in range(k * chosen, min(k * chosen + chosen, groups)):
                n += counts[j, s]
            counts[k, s] = n
    return chosen, best


@jit(nogil=True)
def group_planes(  # type: ignore[no-untyped-def]
    data, widths, tile, elements, scale, most, below, top, alphabet, room, report, limits, choice, counts
):
    """For each plane whether it is worth coding, its groups, and their counts.

    data uint8: the planes of ``elements`` elements in tiles of ``tile``, one behind the other, 1 in ``scale`` of what
    will be coded; ``widths`` int64: the bits of each. A plane is worth coding below so many thousandths of its size. It
    gets at most ``most`` groups, by the weights (see ``tile_weights``) that take the fewest bits. Plane ``top`` (-1:
    none) is one of symbols: these are grouped by the first weights, and 0..alphabet occur though the sample may not
    show it; in the others any byte may.

    room int64[3 * tiles + 256 + WAYS] and choice uint8[WAYS * tiles] are worked in (tiles: elements // tile + 1).
    ``report`` int64[planes, REPORT]: see SIZE. ``limits`` int64[planes + WAYS, GROUPS_MAX]: those between the groups of
    a plane. ``counts`` int64[GROUPS_MAX * planes + SPARE_ROWS, 256] gets a row for each group of each plane. The last
    rows of these two are worked in. Returns how many rows it got.
    """
    planes, start, rows = widths.size, np.int64(0), np.int64(0)
    spare = counts[GROUPS_MAX * planes :]
    some, other, merged = spare[: WAYS * GROUPS_MAX], spare[GROUPS_MAX:], spare[WAYS * GROUPS_MAX :]
    found = room[3 * (elements // tile + 1) + 256 :]
    hist = spare[(WAYS + 1) * GROUPS_MAX :][:2].view(np.int32).reshape((4, 256))
    named = spare[(WAYS + 1) * GROUPS_MAX]
    for p in range(planes):
        full = (tile * widths[p] + 7) // 8
        tail = (elements % tile * widths[p] + 7) // 8
        size, tiles = elements // tile * full + tail, elements // tile + np.int64(tail > 0)
        x = data[start : start + size]
        start += size
        looked = size if size < QUICK else np.int64(QUICK)
        for s in range(256):
            some[0, s] = 0
            other[0, s] = 0
        _count(x[:looked], some[0], other[0])
        symbols = np.int64(0)
        for s in range(256):
            some[0, s] += other[0, s]
            symbols += np.int64(some[0, s] > 0)
        bits = entropy(some[0])
        report[p, SIZE], report[p, TILES], report[p, LOOKED], report[p, BITS] = size, tiles, looked, bits
        report[p, COUNT], report[p, WAY], report[p, ROW], report[p, TAKEN] = 0, 0, rows, 0
        if size == 0:
            continue
        total = size * scale
        coded = bits * total // looked + (TABLE_BITS * symbols << POINT)
        if coded * 1000 >= (total * 8 << POINT) * below:
            continue
        best, groups, several = np.int64(-1), np.int64(0), most > 1 and tiles > 1
        sums, ways = room[:tiles], WAYS if p != top and several else 1
        cut = limits[planes:]
        for way in range(ways):
            chosen, found[way] = choice[way * tiles : way * tiles + tiles], 0
            if several:
                tile_weights(x, full, way, sums)
                found[way] = _limits(sums, most, room[tiles:], cut[way])
            choose(sums, cut[way, : found[way]], chosen)
            for k in range(GROUPS_MAX * way, GROUPS_MAX * way + found[way] + 1):
                for s in range(256):
                    some[k, s] = 0
        if ways > 1:
            _count_ways(x, full, tiles, ways, choice, hist, some)
        else:
            for k in range(found[0] + 1):
                for s in range(256):
                    other[k, s] = 0
            for t in range(tiles):
                k = choice[t]
                _count(x[t * full : min(t * full + full, size)], some[k], other[k])
            for k in range(found[0] + 1):
                for s in range(256):
                    some[k, s] += other[k, s]
        for way in range(ways):
            mine, cuts = some[GROUPS_MAX * way :], found[way]
            step, bits = _merge(mine, cuts + 1, tiles, scale, merged, named)
            if best >= 0 and bits >= best:
                continue
            best, groups = bits, cuts // step + 1
            report[p, COUNT], report[p, WAY], report[p, TAKEN] = groups, way, bits
            for k in range(groups - 1):
                limits[p, k] = cut[way, k * step + step - 1]
            for k in range(groups):
                for s in range(256):
                    counts[rows + k, s] = mine[k, s]
        for k in range(rows, rows + groups):
            for s in range(256):
                if scale > 1:
                    counts[k, s] = counts[k, s] * 64 + np.int64(p != top or s <= alphabet)
        rows += groups
    return rows


_U8, _I64 = types.CPointer(types.uint8), types.CPointer(types.int64)


@cache
def address() -> int:
    """The address of ``group_planes`` for kernels that call it.

    int64 f(data, size, widths, planes, tile, elements, scale, most, below, top, alphabet, room, report, limits,
    choice, counts), each an int64.
    """
    i64 = types.int64
    signature = i64(_U8, i64, _I64, *[i64] * 8, *[_I64] * 3, _U8, _I64)

    def group_at(  # type: ignore[no-untyped-def]
        data, size, widths, planes, tile, elements, scale, most, below, top, alphabet, room, report, limits, choice,
        counts,
    ):  # fmt: skip
        tiles = elements // tile + 1
        return group_planes(
            carray(data, size), carray(widths, planes), tile, elements, scale, most, below, top, alphabet,
            carray(room, 3 * tiles + 256 + WAYS), carray(report, (planes, REPORT)),
            carray(limits, (planes + WAYS, GROUPS_MAX)), carray(choice, WAYS * tiles),
            carray(counts, (GROUPS_MAX * planes + SPARE_ROWS, 256)),
        )  # fmt: skip

    return address_of(group_at, signature)

"""What the encoder wants to know of elements before it chooses how to code them. Integers only."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numba import carray, njit, types

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.tables import INNER, POINT, log2_of

#: Bits of one escape in a chunk, about: two bytes for how far it is from the last, two for its value.
ESCAPE_BITS = 32

#: Bits a symbol of the table costs to write, about.
TABLE_BITS = 3

#: Words that ``repeats`` remembers.
SEEN_BITS: Final = 11
_HASH_LOW, _HASH_HIGH, _LOW = np.uint64(0x9E3779B1), np.uint64(0x85EBCA6B), np.uint64(0xFFFFFFFF)

#: Bytes that ``present`` looks at together.
BLOCK: Final = 256
#: Bytes that ``recurring`` looks at, and in how many windows; what it adds for each byte.
LOOK: Final = 1 << 14
WINDOWS: Final = 4


def _mixed() -> np.ndarray:
    """256 numbers of 64 bits without a pattern: those of splitmix64."""
    x = np.arange(1, 257, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for down, times in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ x >> np.uint64(down)) * np.uint64(times)
    return x ^ x >> np.uint64(31)


MIX: Final = _mixed()


@jit(nogil=True)
def survey(src, tile, step, magnitude, shift, ors, found, counts):  # type: ignore[no-untyped-def]
    """One pass over every so-manieth tile (``step``): bits that occur, the range of magnitudes, how many of each field.

    src uintW[n]; ``magnitude``: the bits that make up the magnitude; with a step above 1 a shorter last tile is left
    out. ``ors`` uint64[tiles looked at] gets the OR of each tile. ``counts`` int64, long enough for each field (x &
    magnitude) >> shift, gets how many there are, or is empty. ``found`` uint64[6] gets the OR and the AND of all; the
    largest magnitude; the smallest but 0, less one (the top if all are 0); and how many tiles end in one zero bit at
    least, and in 13.
    """
    kind = src.dtype.type
    mask, down = np.uint64(magnitude), np.uint64(shift)
    every, common, most, least = kind(0), kind(~kind(0)), kind(0), kind(~kind(0))
    even, half = np.int64(0), np.int64(0)
    counts[:] = 0
    for t in range(ors.size):
        x = src[t * step * tile : min(t * step * tile + tile, src.size)]
        o, a, hi, lo = kind(0), kind(~kind(0)), kind(0), kind(~kind(0))
        for i in range(x.size):
            v = x[i]
            o = kind(o | v)
            a = kind(a & v)
            v = kind(v & kind(magnitude))
            hi = max(hi, v)
            lo = min(lo, kind(v - kind(1)))
        if counts.size:
            for i in range(x.size):
                counts[(np.uint64(x[i]) & mask) >> down] += 1
        ors[t] = o
        even += np.int64(o & kind(1) == kind(0))
        half += np.int64(np.uint64(o) & np.uint64(8191) == np.uint64(0))
        every, common, most, least = kind(every | o), kind(common & a), max(most, hi), min(least, lo)
    found[0], found[1], found[2], found[3], found[4], found[5] = every, common, most, least, even, half


@njit(**INNER)
def _outside(x, first, span):  # type: ignore[no-untyped-def]
    """Whether a byte is none of the ``span`` + 1 from ``first`` on, round the circle (all uint8)."""
    found = np.uint8(0)
    for i in range(x.size):
        found |= np.uint8(np.uint8(x[i] - first) > span)
    return found != 0


@jit(nogil=True)
def present(x, start, step, out):  # type: ignore[no-untyped-def]
    """out[b] = 1 for each byte b among x[start], x[start + step], ...; x uint8[n]. out uint8[256] says beforehand which
    are known to be there: where all are among these, and next to one another, nothing is looked at twice.
    """
    first, length, run = np.int64(0), np.int64(0), np.int64(0)
    for s in range(512):
        run = run + 1 if out[s & 255] else 0
        if run > length:
            first, length = np.int64(s + 1 - run), run
    if length > 255:
        return
    if step > 1 or length == 0:
        for i in range(start, x.size, step):
            out[x[i]] = 1
        return
    for at in range(start, x.size, BLOCK):
        part = x[at : min(at + BLOCK, x.size)]
        if _outside(part, np.uint8(first & 255), np.uint8(length - 1)):
            for i in range(part.size):
                out[part[i]] = 1


@jit(nogil=True)
def count_cuts(x, step, low, counts):  # type: ignore[no-untyped-def]
    """How often each byte occurs in every ``step``-th of x (uint16[n]): counts int64[3, 256] of its lower byte, of its
    upper byte, and of x >> low, which is a byte, too.
    """
    counts[:] = 0
    for i in range(0, x.size, step):
        counts[0, x[i] & 255] += 1
        counts[1, x[i] >> 8] += 1
        counts[2, (x[i] >> low) & 255] += 1


@jit(nogil=True)
def repeats(symbols, seen, counts):  # type: ignore[no-untyped-def]
    """Whether words of symbols (uint8[n]) come again more often than by chance, so that zstd may gain on tables.

    A word is remembered at every fourth symbol, and looked for at each. It has 5 to 8 symbols, as many as it takes for
    one in 256 to be found by chance. Of the tensors of real models this finds all on which zstd gains 3 %, and takes a
    tenth of the time that zstd does. seen uint64[2^SEEN_BITS] and counts int64[256] are worked in.
    """
    seen[:] = 0
    counts[:256] = 0
    for i in range(symbols.size):
        counts[symbols[i]] += 1
    squares = np.int64(0)
    for s in range(256):
        squares += counts[s] * counts[s]
    alike = (squares << 16) // (np.int64(symbols.size) * symbols.size)  # how often two symbols are equal, of 2^16
    chance, length = np.int64(256 << SEEN_BITS), 0
    while length < 5 or (length < 8 and chance > 0):
        chance = (chance * alike) >> 16
        length += 1
    word, found, down = np.uint64(0), 0, np.uint64(64 - 8 * length)
    for i in range(symbols.size):
        word = (word >> np.uint64(8)) | (np.uint64(symbols[i]) << np.uint64(56))
        held = word >> down
        mixed = (held & _LOW) * _HASH_LOW ^ (held >> np.uint64(32)) * _HASH_HIGH
        at = (mixed & _LOW) >> np.uint64(32 - SEEN_BITS)
        found += np.int64(seen[at] == held)
        if i & 3 == 0:
            seen[at] = held
    return found * 128 >= symbols.size


@jit(nogil=True)
def recurring(x, seen, counts):  # type: ignore[no-untyped-def]
    """As ``repeats``, of bytes that may be anything, x (uint8[n]); of many some windows are looked at.

    A word has 5 to 64 bytes, as many as it takes: with few of them, half of the integers being zeros, 8 are found by
    chance. It is known by the XOR of what MIX has for its bytes, each shifted so far that the first is shifted out.
    """
    window, step = np.int64(LOOK // WINDOWS), max(np.int64(LOOK // WINDOWS), x.size // WINDOWS)
    seen[:] = 0
    counts[:256] = 0
    looked = np.int64(0)
    for start in range(0, x.size, step):
        part = x[start : min(start + window, x.size)]
        looked += part.size
        for i in range(part.size):
            counts[part[i]] += 1
    squares = np.int64(0)
    for s in range(256):
        squares += counts[s] * counts[s]
    alike = (squares << 24) // (looked * looked)
    chance, length = np.int64(256 << SEEN_BITS), np.int64(0)
    while length < 5 or (length < 64 and chance > 0):
        chance = (chance * alike) >> 24
        length += 1
    word, found, shift = np.uint64(0), np.int64(0), np.uint64(64 // length)
    for start in range(0, x.size, step):
        part = x[start : min(start + window, x.size)]
        for i in range(part.size):
            word = (word << shift) ^ MIX[part[i]]
            at = word >> np.uint64(64 - SEEN_BITS)
            found += np.int64(seen[at] == word)
            if i & 3 == 0:
                seen[at] = word
    return found * 128 >= looked


@njit(**INNER)
def tile_sums(src, tile, weights, plain, sums):  # type: ignore[no-untyped-def]
    """For each tile the sum of weights[byte] (or of the bytes themselves if ``plain``), as if the tile were full.

    src uint8[n]; weights int64[256]; sums int64[tiles]. The bytes of a tile must sum to less than 2^32: sums of 32 bits
    take half the time of 64.
    """
    for t in range(sums.size):
        x = src[t * tile : min(t * tile + tile, src.size)]
        total = np.int64(0)
        if plain:
            short = np.uint32(0)
            for i in range(x.size):
                short = np.uint32(short + np.uint32(x[i]))
            total = np.int64(short)
        else:
            for i in range(x.size):
                total += weights[x[i]]
        sums[t] = total * tile // max(1, x.size)


@njit(**INNER)
def tile_distances(src, tile, middle, sums):  # type: ignore[no-untyped-def]
    """As ``tile_sums``, of the distances of bytes from ``middle`` (uint8) on the circle of bytes: 16 times as fast."""
    for t in range(sums.size):
        x, total = src[t * tile : min(t * tile + tile, src.size)], np.uint32(0)
        for i in range(x.size):
            d = np.uint8(x[i] - middle)
            total = np.uint32(total + np.uint32(min(d, np.uint8(-d))))
        sums[t] = np.int64(total) * tile // max(1, x.size)


#: Ways to describe a tile, by weights of its bytes: codec.planner.groups.WEIGHTS has them as tables.
WAYS: Final = 4


@njit(**INNER)
def tile_weights(src, tile, way, sums):  # type: ignore[no-untyped-def]
    """As ``tile_sums``, by WEIGHTS[way] of codec.planner.groups, without its table: that is 16 times as fast."""
    if way == 1 or way == 2:
        tile_distances(src, tile, np.uint8((way - 1) * 128), sums)
        return
    mask = np.uint8(255 if way == 0 else 127)
    for t in range(sums.size):
        x, total = src[t * tile : min(t * tile + tile, src.size)], np.uint32(0)
        for i in range(x.size):
            total = np.uint32(total + np.uint32(x[i] & mask))
        sums[t] = np.int64(total) * tile // max(1, x.size)


@njit(**INNER)
def choose(sums, limits, choice):  # type: ignore[no-untyped-def]
    """choice[t] = how many of the ascending limits (int64) are <= sums[t]."""
    for t in range(sums.size):
        k = 0
        for j in range(limits.size):
            k += np.int64(limits[j] <= sums[t])
        choice[t] = k


@njit(**INNER)
def _window_of(counts, times, elements, sampled, least, most, exact, out):  # type: ignore[no-untyped-def]
    """The window of a symbol with these field counts. Returns its bits times 2^POINT, or -1 if too much lies outside.

    ``counts`` are of a field ``times`` times finer; least and most are the smallest non-zero and the largest field
    that occur, as far as is known, and none is counted that lies outside them but 0; ``out`` int64[2] gets the first
    and the last field inside. Fields at the ends that are so rare that their slots in the tables cost more than
    escapes are given up.
    """
    worth, weight = elements * 36 // 100_000 + TABLE_BITS, elements // max(1, sampled) * ESCAPE_BITS
    bottom = max(1, least)
    low, high, first, last = bottom, most, 0, -1
    for f in range(bottom, most + 1):
        c = 0
        for j in range(f * times, f * times + times):
            c += counts[j]
        if c > 0 and c * weight >= worth:
            if first == 0:
                first = f
            last = f
    if last >= 0:
        low, high = max(low, first), min(high, last)
        if not exact:  # the sample may have missed a neighbour
            low, high = max(bottom, low - 1), min(most, high + 1)
    if high - low > 254:
        low = high - 254
    lost, inside, bits = 0, 0, 0
    for f in range(bottom - 1, most + 1):
        at = f if f >= bottom else 0
        c = 0
        for j in range(at * times, at * times + times):
            c += counts[j]
        if c == 0:
            continue
        if at == 0 or low <= at <= high:
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
    extra = TABLE_BITS * alphabet + slots + lost * elements // max(1, sampled) * ESCAPE_BITS
    return bits * elements // max(1, sampled) + (extra << POINT)


@jit(nogil=True)
def choose_symbol(counts, finest, candidates, mantissa, elements, sampled, least, most, varying, exact, out):  # type: ignore[no-untyped-def]
    """Which number of mantissa bits in the symbol is cheapest, of those whose bits ``candidates`` has; -1 for none.

    ``counts`` are of the exponent and ``finest`` mantissa bits, as many as there are candidates for or more; least and
    most are magnitudes as in ``survey`` (0 and 0 if all are 0); ``varying`` has the mantissa bits that differ between
    elements: what is constant costs nothing outside the symbol. ``exact``: least and most are of all elements, not of
    those ``sampled``. ``out`` int64[4] gets the window's first and last field; the other half is worked in.
    """
    best, chosen = np.int64(-1), np.int64(-1)
    for k in range(finest + 1):
        if (candidates >> k) & 1 == 0:
            continue
        cut = mantissa - k
        if most >> cut == 0:
            out[0], out[1] = 1, 1
            return np.int64(k)
        bits = _window_of(counts, 1 << (finest - k), elements, sampled, least >> cut, most >> cut, exact, out[2:])
        rest = 1
        for b in range(cut):
            rest += (varying >> b) & 1
        if bits >= 0:
            bits += rest * elements << POINT
            if best < 0 or bits < best:
                best, chosen = bits, np.int64(k)
                out[0], out[1] = out[2], out[3]
    return chosen


@jit(nogil=True)
def patterned(symbols, shift, seen, counts):  # type: ignore[no-untyped-def]
    """Whether exponents come again in the same order more often than by chance, so that zstd may gain on them alone.

    An exponent is a symbol (uint8[n]) less its ``shift`` mantissa bits. Of them, modulo 16, a word has 12 to 16, as
    many as it takes for one in 256 to be found by chance; one is remembered at every fourth. Weights have few such
    words, the moments of an optimizer have, whose rows are alike but for a factor. seen uint64[2^SEEN_BITS] and counts
    int64[256] are worked in.
    """
    seen[:] = 0
    counts[:16] = 0
    down = np.uint8(shift)
    for i in range(symbols.size):
        counts[(symbols[i] >> down) & np.uint8(15)] += 1
    squares = np.int64(0)
    for s in range(16):
        squares += counts[s] * counts[s]
    alike = (squares << 16) // (np.int64(symbols.size) * symbols.size)
    chance, length = np.int64(256 << SEEN_BITS), 0
    while length < 12 or (length < 16 and chance > 0):
        chance = (chance * alike) >> 16
        length += 1
    word, found, cut = np.uint64(0), 0, np.uint64(64 - 4 * length)
    for i in range(symbols.size):
        word = (word >> np.uint64(4)) | (np.uint64((symbols[i] >> down) & np.uint8(15)) << np.uint64(60))
        held = word >> cut
        mixed = (held & _LOW) * _HASH_LOW ^ (held >> np.uint64(32)) * _HASH_HIGH
        at = (mixed & _LOW) >> np.uint64(32 - SEEN_BITS)
        found += np.int64(seen[at] == held)
        if i & 3 == 0:
            seen[at] = held
    return found * 64 >= symbols.size


_I64, _U64 = types.CPointer(types.int64), types.CPointer(types.uint64)


@cache
def survey_address(width: int) -> int:
    """The address of ``survey`` of elements of ``width`` bytes, for kernels that call it.

    int64 f(src, n, tile, step, magnitude, shift, ors, tiles, found, counts, size), each an int64: ``size`` is that of
    ``counts``.
    """
    element = types.CPointer(types.Integer.from_bitwidth(8 * width, signed=False))
    i64 = types.int64
    signature = i64(element, i64, i64, i64, i64, i64, _U64, i64, _U64, _I64, i64)

    def survey_at(src, n, tile, step, magnitude, shift, ors, tiles, found, counts, size):  # type: ignore[no-untyped-def]
        told = carray(found, 6)
        survey(carray(src, n), tile, step, magnitude, shift, carray(ors, tiles), told, carray(counts, size))
        return 0

    return address_of(survey_at, signature)

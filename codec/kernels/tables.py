"""Frequency tables: fit them to counts, write and read them, lay them out for coding (stages/2_rans.md, "Tables").

Everything is integers, so that every machine fits the same tables.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numba import carray, njit, types

from codec.kernels.cached import jit
from codec.kernels.native import address_of

#: Of functions that only kernels call: what it takes to call them from Python is not compiled (and they must not be).
INNER: Any = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: Of those that are called for each plane and allocate nothing: counting references to their arrays, one locked
#: instruction after another, took a tenth of the time in which small tensors decode.
UNCOUNTED: Any = INNER | {"_nrt": False}
DRIVER: Any = INNER | {"_nrt": False, "error_model": "numpy"}

#: Fractional bits of LOG2.
POINT = 12

#: No table takes more bytes. A frequency of b bits takes at most 4 b + 1 for differences up and down, and b below its
#: leading one; 255 that sum to 4096 have at most 5 bits each on average.
RAW_MAX = 1024


def _log2_table() -> np.ndarray:
    """round(log2(i) * 2^POINT) for i in 0..4096 (0 for 0), by repeated squaring of integers."""
    i = np.maximum(np.arange(4097, dtype=np.uint64), np.uint64(1))
    whole = np.zeros(4097, np.int64)
    for k in range(1, 13):
        whole += i >= np.uint64(1 << k)
    x = i << (30 - whole).astype(np.uint64)  # 1.0 is 2^30
    out = whole
    for _ in range(POINT + 1):
        x = (x * x) >> np.uint64(30)
        big = x >= np.uint64(1 << 31)
        out = out * 2 + big
        x = np.where(big, x >> np.uint64(1), x)
    return (out + 1) >> 1


LOG2 = _log2_table()


@njit(**INNER)
def length_of(x):  # type: ignore[no-untyped-def]
    """Bits of an integer from 0 to 2^53: the exponent of the float."""
    return (np.float64(x).view(np.int64) >> 52) - 1022 if x > 0 else np.int64(0)


@njit(**INNER)
def log2_of(x):  # type: ignore[no-untyped-def]
    """log2 of an integer from 1 to 2^53 with POINT fractional bits, off by less than 2^-10."""
    shift = max(0, length_of(x) - 12)
    return LOG2[x >> shift] + (shift << POINT)


@jit(nogil=True)
def entropy(counts):  # type: ignore[no-untyped-def]
    """Bits that ``counts`` symbols take at their own entropy, times 2^POINT."""
    total, bits = 0, 0
    for i in range(counts.size):
        c = np.int64(counts[i])
        if c > 0:
            total += c
            bits -= c * log2_of(c)
    return bits + total * log2_of(total) if total > 0 else 0


@njit(**INNER)
def _put(out, bit, value, count):  # type: ignore[no-untyped-def]
    """Write the low ``count`` bits of value, low first."""
    for k in range(count):
        if (value >> k) & 1:
            out[(bit + k) >> 3] |= np.uint8(1 << ((bit + k) & 7))
    return bit + count


@jit(nogil=True)
def put_step(out, bit, step):  # type: ignore[no-untyped-def]
    """Write a difference as ones closed by a zero: 0, +1, -1, +2, ... -> 0, 1, 2, 3 ... ones."""
    ones = 2 * step - 1 if step > 0 else -2 * step
    for k in range(ones):
        out[(bit + k) >> 3] |= np.uint8(1 << ((bit + k) & 7))
    return bit + ones + 1


@jit(nogil=True, _nrt=False)
def get_step(src, bit, end):  # type: ignore[no-untyped-def]
    """(difference, next bit); the bit is -1 past the end or after more than 24 ones. ``end`` is a byte offset."""
    ones = 0
    while True:
        if (bit >> 3) >= end or ones > 24:
            return 0, -1
        one = (src[bit >> 3] >> (bit & 7)) & 1
        bit += 1
        if one == 0:
            break
        ones += 1
    return ((ones + 1) >> 1 if ones & 1 else -(ones >> 1)), bit


@njit(**INNER)
def _write(freq, filler, precision, out, at):  # type: ignore[no-untyped-def]
    """Write one table to ``out`` (uint8) from ``at`` on, RAW_MAX bytes at most; the offset behind it."""
    first, last = np.int64(0), np.int64(255)
    while freq[first] == 0:
        first += 1
    while freq[last] == 0:
        last -= 1
    held = first | (last - first) << 8 | (filler - first) << 16 | precision << 24
    bits, before = np.int64(28), np.int64(1)
    for s in range(first, last + 1):
        if s == filler:
            continue
        f = np.int64(freq[s])
        length = length_of(f)
        step = length - before
        before = length
        ones = 2 * step - 1 if step > 0 else -2 * step
        held |= ((np.int64(1) << ones) - 1) << bits
        bits += ones + 1
        for k in range(length - 2, max(-1, length - 2 - precision), -1):
            held |= ((f >> k) & 1) << bits
            bits += 1
        while bits >= 8:  # so that held keeps below 2^(7 + 25 + 8), but for the head's 28 bits and one symbol
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


@njit(**UNCOUNTED, inline="always")  # as a function that LLVM may inline, a table takes 3 % longer to read
def get_frequency(src, bit, end, before, precision):  # type: ignore[no-untyped-def]
    """(frequency, its length, next bit); ``before``: the length of the last one. The bit is -1 if it is corrupt."""
    step, bit = get_step(src, bit, end)
    if bit < 0:
        return np.int64(0), before, np.int64(-1)
    before += step
    if before < 0 or before > 12:
        return np.int64(0), before, np.int64(-1)
    x = np.int64(0)
    if before > 0:
        x = np.int64(1)
        kept = min(precision, before - 1)
        for _ in range(kept):
            if (bit >> 3) >= end:
                return x, before, np.int64(-1)
            x = 2 * x + ((src[bit >> 3] >> (bit & 7)) & 1)
            bit += 1
        x <<= before - 1 - kept
    return x, before, bit


@njit(**UNCOUNTED)
def behind(src, bit):  # type: ignore[no-untyped-def]
    """The offset of the byte behind a table that ends before ``bit``; -1 if bits of its last byte are not 0."""
    if bit & 7 and src[bit >> 3] >> (bit & 7):
        return np.int64(-1)
    return np.int64((bit + 7) >> 3)


@jit(nogil=True, _nrt=False)
def read(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read one table from src[at:end) into freq (int64[256]). Returns the offset behind it, or -1 if it is corrupt."""
    freq[:] = 0
    if end - at < 4:
        return -1
    first, span, filler = np.int64(src[at]), np.int64(src[at + 1]), np.int64(src[at + 2])
    precision = np.int64(src[at + 3]) & 15
    if span < 1 or first + span > 255 or filler > span:
        return -1
    bit, before, rest = at * 8 + 28, np.int64(1), np.int64(4096)
    for s in range(first, first + span + 1):
        if s == first + filler:
            continue
        x, before, bit = get_frequency(src, bit, end, before, precision)
        if bit < 0:
            return -1
        freq[s] = x
        rest -= x
        if rest < 1:
            return -1
    if rest > 4095:
        return -1
    freq[first + filler] = rest
    return behind(src, bit)


@njit(**INNER)
def _shares(counts, first, last, total, target, share):  # type: ignore[no-untyped-def]
    """share[s] = the part of ``target`` slots that is due to s, rounded, at least 1 for what occurs."""
    for s in range(first, last + 1):
        c = counts[s]
        share[s] = max(np.int64(1), (c * target + total // 2) // total) if c > 0 else np.int64(0)


@njit(**INNER)
def rounded(x, length, precision):  # type: ignore[no-untyped-def]
    """x, which has ``length`` bits, rounded to ``precision`` bits below the leading one."""
    cut = max(np.int64(0), length - 1 - precision)
    return (x + ((np.int64(1) << cut) >> 1)) >> cut << cut


@njit(**INNER)
def _fit(counts, scale, share, freq, out, at):  # type: ignore[no-untyped-def]
    """``fit``, with int64[256] to work in (``share``), written to out[at:]; the offset behind it.

    Each precision is tried in one pass over the symbols that sums what table and data take; only the best is written.
    The symbol that occurs most is the filler: it takes what the others leave of 4096.
    """
    first, last, filler, total = np.int64(-1), np.int64(0), np.int64(0), np.int64(0)
    for s in range(256):
        c = counts[s]
        freq[s] = 0
        if c > 0:
            total += c
            last = s
            if first < 0:
                first = s
            if c > counts[filler]:
                filler = s
    low = np.int64(4) if total * scale > 100_000 else np.int64(1)
    high = np.int64(8) if total * scale > 10_000 else np.int64(5)
    best, chosen, left, held = np.int64(-1), np.int64(0), np.int64(0), np.int64(0)
    for precision in range(low, high + 1):
        target, rest = np.int64(4096), np.int64(0)
        while True:
            if held != target:
                _shares(counts, first, last, total, target, share)
                held = target
            rest, cost, bits, before = np.int64(4096), np.int64(0), np.int64(28), np.int64(1)
            for s in range(first, last + 1):
                if s == filler:
                    continue
                length = np.int64(0)
                if share[s] > 0:
                    length = length_of(share[s])
                    f = rounded(share[s], length, precision)
                    length += f >> length
                    rest -= f
                    cost += counts[s] * ((12 << POINT) - LOG2[f])
                    bits += min(precision, length - 1)
                step = length - before
                bits += 2 * step if step > 0 else 1 - 2 * step
                before = length
            if rest > 0:
                break
            target -= 128  # many rare symbols have taken all: leave them less
        cost += counts[filler] * ((12 << POINT) - LOG2[rest])
        cost = scale * cost + ((bits + 7) // 8 * 8 << POINT)
        if best < 0 or cost < best:
            best, chosen, left = cost, precision, target
    if held != left:
        _shares(counts, first, last, total, left, share)
    rest = np.int64(4096)
    for s in range(first, last + 1):
        if s != filler and share[s] > 0:
            freq[s] = rounded(share[s], length_of(share[s]), chosen)
            rest -= freq[s]
    freq[filler] = rest
    return _write(freq, filler, chosen, out, at)


@jit(nogil=True)
def fit(counts, scale, freq, out):  # type: ignore[no-untyped-def]
    """Fit a table to counts (int64[256], two or more not 0) and write it to ``out`` (uint8[>= RAW_MAX]); bytes written.

    The counts are a sample of 1 in ``scale`` symbols. Tries each precision and keeps the one whose table and data take
    the fewest bits. ``freq`` gets the frequencies.
    """
    return _fit(counts, scale, np.empty(256, np.int64), freq, out, np.int64(0))


@njit(**INNER)
def at_least_two(counts):  # type: ignore[no-untyped-def]
    """Count a neighbour in counts (int64[256]) if fewer than two symbols occur: a table needs two."""
    some, used = 0, 0
    for s in range(256):
        if counts[s] > 0:
            some, used = s, used + 1
    if used < 2:
        counts[some] += 1
        counts[some + 1 if some < 255 else 254] += 1


@jit(nogil=True)
def fit_all(counts, scale, encoder, raw, ends):  # type: ignore[no-untyped-def]
    """Fit a table to each row of counts (int64[rows, 256], see ``at_least_two``), written one behind the other.

    encoder uint32[rows * 256] as in ``lay_out``; raw uint8[rows * RAW_MAX]; ends int64[rows, 2]: the offset behind each
    table, its largest symbol.
    """
    share, freq = np.empty(256, np.int64), np.empty(256, np.int64)
    after = np.int64(0)
    for k in range(counts.shape[0]):
        at_least_two(counts[k])
        after = _fit(counts[k], scale, share, freq, raw, after)
        at = 0
        for s in range(256):
            encoder[k * 256 + s] = (at << 12) | freq[s]
            at += freq[s]
            if freq[s] > 0:
                ends[k, 1] = s
        ends[k, 0] = after


_U8, _I64, _U32 = types.CPointer(types.uint8), types.CPointer(types.int64), types.CPointer(types.uint32)
#: What the functions that fit tables are called with by other kernels: counts, rows, scale, encoder, raw, ends.
FIT_AT: Final = types.int64(_I64, types.int64, types.int64, _U32, _U8, _I64)


@cache
def fit_address() -> int:
    """The address of ``fit_all`` for kernels that call it: int64 f(counts, rows, scale, encoder, raw, ends)."""

    def fit_at(counts, rows, scale, encoder, raw, ends):  # type: ignore[no-untyped-def]
        entries, out = carray(encoder, rows * 256), carray(raw, rows * RAW_MAX)
        fit_all(carray(counts, (rows, 256)), scale, entries, out, carray(ends, (rows, 2)))
        return 0

    return address_of(fit_at, FIT_AT)


@jit(nogil=True)
def read_all(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read freq.shape[0] tables from src[at:end). Returns the offset behind the last, or -1 if one is corrupt."""
    for k in range(freq.shape[0]):
        at = read(src, at, end, freq[k])
        if at < 0:
            return -1
    return at


@njit(**INNER)
def _eight(decoder, at, entry):  # type: ignore[no-untyped-def]
    """Eight slots of a symbol from ``at`` (uint64) on, spelled out so that they become one store."""
    decoder[at] = entry
    decoder[at + np.uint64(1)] = entry + np.uint32(1 << 8)
    decoder[at + np.uint64(2)] = entry + np.uint32(2 << 8)
    decoder[at + np.uint64(3)] = entry + np.uint32(3 << 8)
    decoder[at + np.uint64(4)] = entry + np.uint32(4 << 8)
    decoder[at + np.uint64(5)] = entry + np.uint32(5 << 8)
    decoder[at + np.uint64(6)] = entry + np.uint32(6 << 8)
    decoder[at + np.uint64(7)] = entry + np.uint32(7 << 8)


@jit(nogil=True)
def lay_out(freq, decoder, encoder):  # type: ignore[no-untyped-def]
    """Lay out tables (int64[count, 256], each with the sum 4096). Returns the largest symbol that has a frequency.

    decoder uint32[count * 4096]: freq << 20 | slot - start << 8 | symbol;
    encoder uint32[count * 256]: start << 12 | freq.
    """
    top = 0
    for k in range(freq.shape[0]):
        at = 0
        for s in range(256):
            f = freq[k, s]
            encoder[k * 256 + s] = (at << 12) | f
            # eight at a time where that stays within the table: those too many are written again by who owns them
            entry, whole = np.uint32((f << 20) | s), f if at + f <= 4088 else 0
            for slot in range(0, whole, 8):
                _eight(decoder, np.uint64(k * 4096 + at + slot), np.uint32(entry + np.uint32(slot << 8)))
            for slot in range(whole, f):
                decoder[k * 4096 + at + slot] = entry + np.uint32(slot << 8)
            at += f
            if f > 0:
                top = max(top, s)
    return top


@jit(nogil=True)
def write_lengths(lengths, out):  # type: ignore[no-untyped-def]
    """Write code lengths (uint8[256]; stages/3_huffman.md) to ``out`` (uint8[>= 1024], zeros); bytes written."""
    first, last = 0, 255
    while lengths[first] == 0:
        first += 1
    while lengths[last] == 0:
        last -= 1
    bit = _put(out, 0, first, 8)
    bit = _put(out, bit, last - first, 8)
    before = 5
    for s in range(first, last + 1):
        bit = put_step(out, bit, np.int64(lengths[s]) - before)
        before = np.int64(lengths[s])
    return (bit + 7) >> 3


@jit(nogil=True, _nrt=False)
def read_lengths(src, at, end, lengths):  # type: ignore[no-untyped-def]
    """Read code lengths into uint8[256]. Returns the offset behind them, or -1 if they are corrupt or not complete."""
    lengths[:] = 0
    if end - at < 2:
        return -1
    first, span = np.int64(src[at]), np.int64(src[at + 1])
    if span < 1 or first + span > 255:
        return -1
    bit, before, whole = at * 8 + 16, 5, 0
    for s in range(first, first + span + 1):
        step, bit = get_step(src, bit, end)
        if bit < 0:
            return -1
        before += step
        if before < 0 or before > 11:
            return -1
        lengths[s] = before
        if before > 0:
            whole += 1 << (11 - before)
    return behind(src, bit) if whole == 2048 else -1


@jit(nogil=True)
def pack_choice(choice, bits, out):  # type: ignore[no-untyped-def]
    """Pack choices (uint8, each below 2^bits), low bits first, into ``out`` (uint8[ceil(n * bits / 8)], zeros)."""
    for i in range(choice.size):
        out[(i * bits) >> 3] |= choice[i] << ((i * bits) & 7)
    return (choice.size * bits + 7) >> 3


@jit(nogil=True)
def unpack_choice(src, at, bits, tables, choice):  # type: ignore[no-untyped-def]
    """Unpack choices from src[at:]; 0, or -1 if one is not below ``tables`` or unused bits are not 0.

    The caller has checked that src has ceil(n * bits / 8) bytes there.
    """
    bad, mask, n = 0, (1 << bits) - 1, choice.size
    for i in range(n):
        c = (np.int64(src[at + ((i * bits) >> 3)]) >> ((i * bits) & 7)) & mask
        bad |= np.int64(c >= tables)
        choice[i] = c
    used = (n * bits) & 7
    if used:
        bad |= np.int64(src[at + ((n * bits) >> 3)]) >> used
    return -1 if bad else 0

"""Frequency tables: fit them to counts, write and read them, lay them out for coding (stages/2_rans.md, "Tables").

Everything is integers, so that every machine fits the same tables.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Fractional bits of LOG2.
POINT = 12


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


@njit(nogil=True)
def _length_of(x):  # type: ignore[no-untyped-def]
    n = 0
    while x > 0:
        x >>= 1
        n += 1
    return n


@njit(nogil=True, cache=True)
def log2_of(x):  # type: ignore[no-untyped-def]
    """log2 of a positive integer with POINT fractional bits, off by less than 2^-10."""
    shift = max(0, _length_of(x) - 12)
    return LOG2[x >> shift] + (shift << POINT)


@njit(nogil=True, cache=True)
def entropy(counts):  # type: ignore[no-untyped-def]
    """Bits that ``counts`` symbols take at their own entropy, times 2^POINT."""
    total, bits = 0, 0
    for i in range(counts.size):
        c = np.int64(counts[i])
        if c > 0:
            total += c
            bits -= c * log2_of(c)
    return bits + total * log2_of(total) if total > 0 else 0


@njit(nogil=True)
def _quantise(counts, precision, target, freq):  # type: ignore[no-untyped-def]
    """Frequencies with ``precision`` bits below the leading one; the filler takes what is left of 4096. Returns it."""
    total, filler, rest = 0, 0, 4096
    for s in range(256):
        total += counts[s]
        if counts[s] > counts[filler]:
            filler = s
    for s in range(256):
        freq[s] = 0
        if counts[s] > 0 and s != filler:
            x = max(1, (counts[s] * target + total // 2) // total)
            cut = _length_of(x) - 1 - precision
            if cut > 0:
                x = ((x + (1 << (cut - 1))) >> cut) << cut
            freq[s] = x
            rest -= x
    freq[filler] = rest
    return filler


@njit(nogil=True)
def _put(out, bit, value, count):  # type: ignore[no-untyped-def]
    """Write the low ``count`` bits of value, low first."""
    for k in range(count):
        if (value >> k) & 1:
            out[(bit + k) >> 3] |= np.uint8(1 << ((bit + k) & 7))
    return bit + count


@njit(nogil=True, cache=True)
def put_step(out, bit, step):  # type: ignore[no-untyped-def]
    """Write a difference as ones closed by a zero: 0, +1, -1, +2, ... -> 0, 1, 2, 3 ... ones."""
    ones = 2 * step - 1 if step > 0 else -2 * step
    for k in range(ones):
        out[(bit + k) >> 3] |= np.uint8(1 << ((bit + k) & 7))
    return bit + ones + 1


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def write(freq, filler, precision, out):  # type: ignore[no-untyped-def]
    """Write one table to ``out`` (uint8[>= 1024], zeros); bytes written."""
    first, last = 0, 255
    while freq[first] == 0:
        first += 1
    while freq[last] == 0:
        last -= 1
    bit = _put(out, 0, first, 8)
    bit = _put(out, bit, last - first, 8)
    bit = _put(out, bit, filler - first, 8)
    bit = _put(out, bit, precision, 4)
    before = 1
    for s in range(first, last + 1):
        if s == filler:
            continue
        length = _length_of(freq[s])
        bit = put_step(out, bit, length - before)
        before = length
        for k in range(min(precision, length - 1)):
            bit = _put(out, bit, freq[s] >> (length - 2 - k), 1)
    return (bit + 7) >> 3


@njit(nogil=True, cache=True)
def read(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read one table from src[at:end) into freq (int64[256]). Returns the offset behind it, or -1 if it is corrupt."""
    freq[:] = 0
    if end - at < 4:
        return -1
    first, span, filler = np.int64(src[at]), np.int64(src[at + 1]), np.int64(src[at + 2])
    precision = np.int64(src[at + 3]) & 15
    if span < 1 or first + span > 255 or filler > span:
        return -1
    bit, before, rest = at * 8 + 28, 1, 4096
    for s in range(first, first + span + 1):
        if s == first + filler:
            continue
        step, bit = get_step(src, bit, end)
        if bit < 0:
            return -1
        before += step
        if before < 0 or before > 12:
            return -1
        x = np.int64(0)
        if before > 0:
            x = np.int64(1)
            kept = min(precision, before - 1)
            for _ in range(kept):
                if (bit >> 3) >= end:
                    return -1
                x = 2 * x + ((src[bit >> 3] >> (bit & 7)) & 1)
                bit += 1
            x <<= before - 1 - kept
        freq[s] = x
        rest -= x
        if rest < 1:
            return -1
    if rest > 4095:
        return -1
    freq[first + filler] = rest
    return (bit + 7) >> 3


@njit(nogil=True, cache=True)
def cost(counts, freq):  # type: ignore[no-untyped-def]
    """Bits that ``counts`` symbols take with the table ``freq``, times 2^POINT."""
    bits = 0
    for s in range(256):
        if counts[s] > 0:
            bits += counts[s] * ((12 << POINT) - LOG2[freq[s]])
    return bits


@njit(nogil=True)
def _fit_at(counts, precision, freq, out):  # type: ignore[no-untyped-def]
    """Frequencies with so many bits, written to ``out``; bytes written."""
    target = np.int64(4096)
    filler = _quantise(counts, precision, target, freq)
    while freq[filler] < 1:  # many rare symbols have taken all: leave them less
        target -= 128
        filler = _quantise(counts, precision, target, freq)
    out[:] = 0
    return write(freq, filler, precision, out)


@njit(nogil=True, cache=True)
def fit(counts, scale, freq, out):  # type: ignore[no-untyped-def]
    """Fit a table to counts (int64[256], at least two not 0) and write it to ``out`` (uint8[>= 1024]); bytes written.

    The counts are a sample of 1 in ``scale`` symbols. Tries each precision and keeps the one whose table and data take
    the fewest bits. ``freq`` gets the frequencies.
    """
    best, total, chosen, tried = np.int64(-1), np.int64(0), np.int64(0), np.int64(-1)
    for s in range(256):
        total += counts[s] * scale
    first, last = (np.int64(4) if total > 100_000 else np.int64(1)), (np.int64(8) if total > 10_000 else np.int64(5))
    for precision in range(first, last + 2):
        tried = precision if precision <= last else chosen  # at last what was best, once more
        size = _fit_at(counts, tried, freq, out)
        bits = scale * cost(counts, freq) + (np.int64(size * 8) << POINT)
        if best < 0 or bits < best:
            best, chosen = bits, precision
    return size


@njit(nogil=True, cache=True)
def read_all(src, at, end, freq):  # type: ignore[no-untyped-def]
    """Read freq.shape[0] tables from src[at:end). Returns the offset behind the last, or -1 if one is corrupt."""
    for k in range(freq.shape[0]):
        at = read(src, at, end, freq[k])
        if at < 0:
            return -1
    return at


@njit(nogil=True, cache=True)
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
            for slot in range(f):
                decoder[k * 4096 + at + slot] = (f << 20) | (slot << 8) | s
            at += f
            if f > 0:
                top = max(top, s)
    return top


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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
    return (bit + 7) >> 3 if whole == 2048 else -1


@njit(nogil=True, cache=True)
def pack_choice(choice, bits, out):  # type: ignore[no-untyped-def]
    """Pack choices (uint8, each below 2^bits), low bits first, into ``out`` (uint8[ceil(n * bits / 8)], zeros)."""
    for i in range(choice.size):
        out[(i * bits) >> 3] |= choice[i] << ((i * bits) & 7)
    return (choice.size * bits + 7) >> 3


@njit(nogil=True, cache=True)
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

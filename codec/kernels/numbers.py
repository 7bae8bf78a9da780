"""Small numbers of rows and columns, written and read (format_spec/stages/7_columns.md, "Numbers")."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.tables import INNER

#: Numbers are 0 to MOST; the low bits of a difference are at most LOW_MAX.
MOST: Final = 127
LOW_MAX: Final = 6


@njit(**INNER)
def _difference(number, middle):  # type: ignore[no-untyped-def]
    d = np.int64(number) - middle
    return 2 * d - 1 if d > 0 else -2 * d


@jit(nogil=True)
def size(numbers, middle, low):  # type: ignore[no-untyped-def]
    """Bytes that numbers (uint8, each at most MOST) take as differences from ``middle`` with ``low`` low bits."""
    bits = np.int64(0)
    for i in range(numbers.size):
        bits += (_difference(numbers[i], middle) >> low) + 1 + low
    return 2 + ((bits + 7) >> 3)


@jit(nogil=True)
def shape(numbers):  # type: ignore[no-untyped-def]
    """middle << 3 | low: those by which numbers (uint8[>= 1]) take the fewest bytes, or nearly. The median is in the
    middle.
    """
    count = np.zeros(MOST + 1, np.int64)
    for i in range(numbers.size):
        count[numbers[i]] += 1
    middle, below = np.int64(0), count[0]
    while 2 * below < numbers.size:
        middle += 1
        below += count[middle]
    best, chosen = np.int64(-1), np.int64(0)
    for low in range(LOW_MAX + 1):
        bits = np.int64(0)
        for v in range(MOST + 1):
            bits += count[v] * ((_difference(v, middle) >> low) + 1 + low)
        if best < 0 or bits < best:
            best, chosen = bits, np.int64(low)
    return middle << 3 | chosen


@jit(nogil=True)
def write(numbers, middle, low, out, at):  # type: ignore[no-untyped-def]
    """Write numbers to out[at:] (uint8, with room for ``size`` bytes); the position behind them."""
    out[at], out[at + 1] = middle, low
    at += 2
    held, bits = np.uint64(0), 0
    for i in range(numbers.size):
        u = _difference(numbers[i], middle)
        ones = u >> low
        while ones >= 32:
            held |= np.uint64(0xFFFFFFFF) << np.uint64(bits)
            ones -= 32
            bits += 32
            while bits >= 8:
                out[at] = held & np.uint64(255)
                held >>= np.uint64(8)
                bits -= 8
                at += 1
        word = ((np.int64(1) << ones) - 1) | (u & ((1 << low) - 1)) << (ones + 1)
        held |= np.uint64(word) << np.uint64(bits)  # below 2^(7 + 31 + 1 + 6)
        bits += ones + 1 + low
        while bits >= 8:
            out[at] = held & np.uint64(255)
            held >>= np.uint64(8)
            bits -= 8
            at += 1
    if bits > 0:
        out[at] = held & np.uint64(255)
        at += 1
    return at


@jit(nogil=True)
def read(src, at, end, numbers):  # type: ignore[no-untyped-def]
    """Read numbers (uint8[n]) from src[at:end). The position behind them, or -1 if they are corrupt."""
    if end - at < 2 or src[at] > MOST or src[at + 1] > LOW_MAX:
        return -1
    middle, low = np.int64(src[at]), np.int64(src[at + 1])
    bit, stop = (at + 2) * 8, end * 8
    for i in range(numbers.size):
        ones = np.int64(0)
        while True:
            if bit >= stop:
                return -1
            one = (src[bit >> 3] >> (bit & 7)) & 1
            bit += 1
            if one == 0:
                break
            ones += 1
            if ones > 2 * MOST:
                return -1
        if stop - bit < low:
            return -1
        u = ones << low
        for k in range(low):
            u |= np.int64((src[bit >> 3] >> (bit & 7)) & 1) << k
            bit += 1
        number = middle + ((u + 1) >> 1 if u & 1 else -(u >> 1))
        if number < 0 or number > MOST:
            return -1
        numbers[i] = number
    if bit & 7 and src[bit >> 3] >> (bit & 7):  # unused bits
        return -1
    return (bit + 7) >> 3

"""Huffman codes: lengths from counts, and from lengths the entries of the encoder and the decoder.

Codes have at most 11 bits and are canonical (format_spec/stages/3_huffman.md); a code's first bit is its low bit.

The encoder's entry, uint32: the length in the low 6 bits, the code from bit 8. So a sum of entries is a shift count as
it stands.

The decoder looks 11 bits up and gets up to six symbols. Its entry, uint64, from the low end: 6 bits, how many bits
these symbols use; 2 unused; 48 bits, the symbols in order; 4 bits, the length of the first; 1 unused; 3 bits, how many.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numba import carray

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.tables import FIT_AT, RAW_MAX, at_least_two, write_lengths

#: Longest code; a decoding table has 2^LIMIT entries.
LIMIT: Final = 11

#: The encoder's entry of a byte without a code: a bit that no sum of four other entries reaches.
ABSENT: Final = 1 << 30

#: Most symbols in an entry of the decoder, and where in it the length of the first and the number of symbols are.
MOST: Final = 6
FIRST: Final = np.uint64(56)
COUNT: Final = np.uint64(61)

_U = np.uint64
_B8, _B63, _B255 = np.uint64(8), np.uint64(63), np.uint64(255)


@jit(nogil=True)
def lengths(counts, out):  # type: ignore[no-untyped-def]
    """Code lengths of least total for these counts, at most LIMIT: package-merge. Returns that total, in bits.

    counts int64[256], 0 to 2^50; out uint8[256]. The code is complete: a lone symbol gets a neighbour. Without any
    symbol there is none, and all lengths are 0. Equal counts are ordered by symbol. Work arrays (18 KB) are local.
    """
    key, leaf = np.empty(256, np.int64), np.empty(256, np.int64)
    n = 0
    for s in range(256):
        out[s] = 0
        if counts[s] > 0:
            key[n] = counts[s] << 8 | s
            n += 1
    if n == 0:
        return 0
    if n == 1:
        s = key[0] & 255
        out[s] = 1
        out[s + 1 if s < 255 else s - 1] = 1
        return key[0] >> 8
    key = key[:n]
    key.sort()
    for i in range(n):
        leaf[i] = key[i] >> 8
    # A list holds, by weight, the leaves and the pairs of the list before; is_leaf remembers which is which.
    is_leaf = np.empty((LIMIT, 512), np.uint8)
    weight, other = np.empty(512, np.int64), np.empty(512, np.int64)
    size = n
    for i in range(n):
        weight[i] = leaf[i]
        is_leaf[0, i] = 1
    for level in range(1, LIMIT):
        pairs = size >> 1
        size = n + pairs
        i = j = 0
        pair = weight[0] + weight[1]
        for k in range(size):
            if i < n and (j >= pairs or leaf[i] <= pair):
                other[k] = leaf[i]
                is_leaf[level, k] = 1
                i += 1
            else:
                other[k] = pair
                is_leaf[level, k] = 0
                j += 1
                if j < pairs:
                    pair = weight[2 * j] + weight[2 * j + 1]
        weight, other = other, weight
    # The first 2n - 2 of the last list; a pair among them takes two from the list before. A leaf is one bit.
    take, total = 2 * n - 2, 0
    for level in range(LIMIT - 1, -1, -1):
        leaves = 0
        for k in range(take):
            leaves += np.int64(is_leaf[level, k])
        for i in range(leaves):
            out[key[i] & 255] += 1
            total += leaf[i]
        take = 2 * (take - leaves)
    return total


@jit(nogil=True)
def codes(lengths, out):  # type: ignore[no-untyped-def]
    """The encoder's entries for code lengths 0..LIMIT, uint8[256]: out uint32[256], ABSENT for absent symbols."""
    code = 0
    out[:256] = ABSENT
    for length in range(1, LIMIT + 1):
        for s in range(256):
            if lengths[s] == length:
                turned = 0
                for bit in range(length):
                    turned |= (code >> bit & 1) << (length - 1 - bit)
                out[s] = turned << 8 | length
                code += 1
        code <<= 1


@jit(nogil=True)
def fit_all(counts, encoder, raw, ends):  # type: ignore[no-untyped-def]
    """Fit a code to each row of counts (int64[rows, 256], see ``at_least_two``), written one behind the other.

    encoder uint32[rows * 256] as in ``codes``; raw uint8[rows * RAW_MAX]; ends int64[rows, 2]: the offset behind each
    table, and 255, as if that were its largest symbol.
    """
    row, after = np.empty(256, np.uint8), np.int64(0)
    for k in range(counts.shape[0]):
        at_least_two(counts[k])
        lengths(counts[k], row)
        raw[after : after + RAW_MAX] = 0
        after += write_lengths(row, raw[after : after + RAW_MAX])
        codes(row, encoder[k * 256 : k * 256 + 256])
        ends[k, 0], ends[k, 1] = after, 255


@cache
def fit_address() -> int:
    """The address of ``fit_all`` for kernels that call it, as in codec.kernels.tables; ``scale`` does not matter."""

    def fit_at(counts, rows, scale, encoder, raw, ends):  # type: ignore[no-untyped-def]
        fit_all(
            carray(counts, (rows, 256)),
            carray(encoder, rows * 256),
            carray(raw, rows * RAW_MAX),
            carray(ends, (rows, 2)),
        )
        return 0

    return address_of(fit_at, FIT_AT)


@jit(nogil=True, _nrt=True)  # it allocates, whoever calls it
def table(lengths, out):  # type: ignore[no-untyped-def]
    """The decoder's entries for code lengths, uint8[256]: out uint64[2048]. Returns 0; -1 if the code is not complete.

    The table for w bits is each code of l bits put before each entry of the table for w - l bits. ``part`` holds that
    for w bits, w < LIMIT, from 2^w on (16 KB, local).
    """
    total = np.int64(0)
    for s in range(256):
        if lengths[s] > LIMIT:
            return -1
        if lengths[s] > 0:
            total += np.int64(1) << (LIMIT - np.int64(lengths[s]))
    if total != 1 << LIMIT:
        return -1
    entry = np.empty(256, np.uint32)
    codes(lengths, entry)
    order = np.empty(256, np.int64)
    n = 0
    for length in range(1, LIMIT + 1):
        for s in range(256):
            if lengths[s] == length:
                order[n] = s
                n += 1
    part = np.zeros(1 << LIMIT, np.uint64)
    keep, later = _B63 | _U(7) << COUNT, _U(((1 << 40) - 1) << 16)
    for w in range(1, LIMIT + 1):
        target = part[1 << w : 2 << w] if w < LIMIT else out
        for i in range(n):
            s = order[i]
            bits = np.int64(lengths[s])
            if bits > w:
                break
            size = _U(1) << _U(w - bits)
            at, step = _U(entry[s] >> 8), _U(1) << _U(bits)
            first = _U(s) << _B8 | _U(bits) << FIRST
            grow = _U(bits) | _U(1) << COUNT
            for r in range(size):
                e = part[size + _U(r)]
                if e >> COUNT == _U(MOST):  # no room: the last one goes
                    e -= _U(lengths[e >> _U(48) & _B255]) | _U(1) << COUNT
                target[at] = (e << _B8 & later) | ((e & keep) + grow) | first
                at += step
    return 0

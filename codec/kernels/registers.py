"""rANS tables laid out for vector registers, as codec.kernels.permute looks things up in them.

A slot has 12 bits. Its upper 7 name one of 128 buckets of 32 slots, the lower 5 a place in it. Most buckets hold
slots of one symbol, or of two: a *base* (the first one's rank among the symbols that occur) and a *limit* (where the
second begins) tell which. Up to eight buckets may be *dense*, with more symbols: these have their 32 ranks written
out. The rank then leads to symbol, frequency and start. Each of these is a byte permute of two registers, for 64 lanes
at once, where a table of 4096 entries takes a gather for 16. Tables of weights nearly always fit (all of MiniLM in bf16
and fp16, 97 % in fp32); those of more than 128 symbols, or of more than eight dense buckets, go the way of
codec.kernels.rans.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.tables import INNER

#: Offsets of the parts of a table, and its size in bytes. Base and limit are by bucket, direct by 32 * dense + place,
#: the others by rank. The limit is the place where the second begins, less one;
#: 31 is none, 255 marks a dense bucket, whose base is 32 * dense.
BASE, LIMIT, DIRECT, SYMBOL, FREQ_LOW, FREQ_HIGH, START_LOW, START_HIGH, SIZE = (
    0, 128, 256, 512, 640, 768, 896, 1024, 1152,
)  # fmt: skip
_DENSE: Final = 255


@njit(**INNER)
def build(freq, table, at):  # type: ignore[no-untyped-def]
    """Lay out table[at:at + SIZE) (uint8) for frequencies (int64[256], of sum 4096). 0, or -1 if it does not fit."""
    for k in range(SIZE):
        table[at + k] = 0
    slot, rank, dense = np.int64(0), np.int64(0), np.int64(0)
    for s in range(256):
        f = freq[s]
        if f == 0:
            continue
        if rank == 128:
            return -1
        table[at + SYMBOL + rank] = s
        table[at + FREQ_LOW + rank], table[at + FREQ_HIGH + rank] = f & 255, f >> 8
        table[at + START_LOW + rank], table[at + START_HIGH + rank] = slot & 255, slot >> 8
        first, stop = (slot + 31) >> 5, (slot + f + 31) >> 5
        if slot & 31:
            b = slot >> 5
            place = at + LIMIT + b
            if table[place] == 31:
                table[place] = (slot & 31) - 1
            elif table[place] != _DENSE:
                if dense == 8:
                    return -1
                here = at + DIRECT + 32 * dense
                base, limit = np.int64(table[at + BASE + b]), np.int64(table[place])
                for j in range(32):
                    table[here + j] = base + np.int64(j > limit)
                table[at + BASE + b], table[place] = 32 * dense, _DENSE
                dense += 1
            if table[place] == _DENSE:
                here = at + DIRECT + np.int64(table[at + BASE + b])
                for j in range(slot & 31, 32):
                    table[here + j] = rank
        for b in range(first, stop):
            table[at + BASE + b], table[at + LIMIT + b] = rank, 31
        slot += f
        rank += 1
    return 0


@njit(**INNER)
def spell_out(table, at, out):  # type: ignore[no-untyped-def]
    """The 4096 entries of a table as codec.kernels.tables.lay_out makes them, into ``out`` (uint32[4096])."""
    for rank in range(128):
        f = np.int64(table[at + FREQ_LOW + rank]) | np.int64(table[at + FREQ_HIGH + rank]) << 8
        start = np.int64(table[at + START_LOW + rank]) | np.int64(table[at + START_HIGH + rank]) << 8
        head = f << 20 | np.int64(table[at + SYMBOL + rank])
        for j in range(f):
            out[start + j] = head | j << 8

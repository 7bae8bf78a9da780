"""Bytes of made spans to and from their parts (FORMAT.md, section 4a)."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Slots of the table in which distinct values are found: twice as many as there may be, and a power of two.
SLOTS = 1 << 17
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def spread(part, offset, size, block, out):  # type: ignore[no-untyped-def]
    """Field to blocks: ``size`` bytes of the part go to ``offset`` of each block. part uint8[blocks * size]; out
    uint8[blocks * block]. The caller sees to it that offset + size <= block.
    """
    for i in range(out.size // block):
        to, at = i * block + offset, i * size
        for j in range(size):
            out[to + j] = part[at + j]


@njit(nogil=True, cache=True)
def collect(data, offset, size, block, out):  # type: ignore[no-untyped-def]
    """Blocks to field: the inverse of spread. data uint8[blocks * block]; out uint8[blocks * size]."""
    for i in range(data.size // block):
        at, to = i * block + offset, i * size
        for j in range(size):
            out[to + j] = data[at + j]


@njit(nogil=True, cache=True)
def look_up(values, numbers, out):  # type: ignore[no-untyped-def]
    """out[i] = values[numbers[i]]. values and out uintW; numbers uint8 or uint16, as many as out has elements.

    Returns 0, or -1 if a number is none of a value: then out is incomplete.
    """
    for i in range(out.size):
        k = np.int64(numbers[i])
        if k >= values.size:
            return -1
        out[i] = values[k]
    return 0


@njit(nogil=True, cache=True)
def glance(data, width, sample, found):  # type: ignore[no-untyped-def]
    """A look at up to 256 elements of ``width`` bytes, in four runs spread over data uint8[n], n >= width.

    found int64[3] gets how many it looked at, how many of those are 0, and how many are distinct within their run: rows
    that were integers once have a scale each, so what is far apart differs in any case. ``sample`` uint64[256] works.

    One function for all widths: each more would be a second of compiling, for a look of a microsecond.
    """
    elements = data.size // width
    run = min(np.int64(64), (np.int64(elements) + 3) // 4)
    looked, zeros, kinds = np.int64(0), np.int64(0), np.int64(0)
    for r in range(4):
        first = (elements - run) * r // 3
        sample[:] = 0  # open addressing; 0, which is none of its values, is counted by itself
        none = np.int64(0)
        for i in range(first, first + run):
            at, v = i * width, np.uint64(0)
            for k in range(width):
                v |= np.uint64(data[at + k]) << np.uint64(8 * k)
            if v == np.uint64(0):
                none += 1
                continue
            h = np.int64((v * _SCRAMBLE) >> np.uint64(56))
            while sample[h] != np.uint64(0) and sample[h] != v:
                h = (h + 1) & 255
            if sample[h] == np.uint64(0):
                sample[h] = v
                kinds += 1
        looked += run
        zeros += none
        kinds += np.int64(none > 0)
    found[0], found[1], found[2] = looked, zeros, kinds


@njit(nogil=True, cache=True)
def distinct(x, most, slots, values):  # type: ignore[no-untyped-def]
    """The distinct elements of x uintW[n], n >= 1, into ``values`` uintW[most], in the order in which they come.
    Returns how many there are, or -1 if there are more than ``most``, which is at most SLOTS / 2.

    ``slots`` int32[SLOTS] gets, by open addressing, the number of each value + 1.
    """
    slots[:] = 0
    count = np.int64(0)
    for i in range(x.size):
        v = x[i]
        if i and v == x[i - 1]:
            continue
        h = np.int64((np.uint64(v) * _SCRAMBLE) >> np.uint64(47))
        while slots[h] != 0 and values[slots[h] - 1] != v:
            h = (h + 1) & (SLOTS - 1)
        if slots[h] == 0:
            if count == most:
                return np.int64(-1)
            values[count] = v
            count += 1
            slots[h] = np.int32(count)
    return count


@njit(nogil=True, cache=True)
def number_of(x, values, rank, slots, out):  # type: ignore[no-untyped-def]
    """out[i] = the rank of x[i], which is one of ``values`` as distinct left them, with its slots. rank int64[values];
    out uint8 or uint16[x.size].
    """
    kind = out.dtype.type
    for i in range(x.size):
        v = x[i]
        h = np.int64((np.uint64(v) * _SCRAMBLE) >> np.uint64(47))
        while values[slots[h] - 1] != v:
            h = (h + 1) & (SLOTS - 1)
        out[i] = kind(rank[slots[h] - 1])


@njit(nogil=True, cache=True)
def fill_in(mask, others, out):  # type: ignore[no-untyped-def]
    """out[i] = the next of ``others`` where bit i of the mask is set, else 0. mask uint8[ceil(n / 8)]; others and out
    uintW.

    Returns 0; -1 if the mask has more or fewer bits than there are others, or bits behind the last element; -2 if one
    of the others is 0.
    """
    zero = out.dtype.type(0)
    used, bad = np.int64(0), np.int64(0)
    for i in range(out.size):
        if mask[i >> 3] >> (i & 7) & 1:
            if used == others.size:
                return np.int64(-1)
            v = others[used]
            bad |= np.int64(v == zero)
            out[i] = v
            used += 1
        else:
            out[i] = zero
    if used != others.size or (out.size & 7 and mask[mask.size - 1] >> (out.size & 7)):
        return np.int64(-1)
    return -2 * bad

"""Bytes of made spans to and from their parts (FORMAT.md, section 4a)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray, njit, types

from codec.kernels.cached import jit
from codec.kernels.native import address_of, move
from codec.kernels.tables import INNER

#: Numbers of the transforms (a ramp has no kernel), and where a row of numbers says what ``make_address`` takes: how
#: many parts, the first and the second parameter behind the width, the bytes of each field, where each part lies; of
#: packed codes how many fields and the bytes of a block, and for each field its part, bits, shift and run.
FIELDS_NUMBER, PALETTE_NUMBER, SPARSE_NUMBER, OFFSET_NUMBER, CODES_NUMBER = 1, 2, 4, 5, 9
COUNT, FIRST, SECOND, FIELDS, PLACES, PART, BITS, SHIFT, RUN, ROW = 0, 1, 2, 3, 19, 35, 51, 67, 83, 99

#: Slots of the table in which distinct values are found: twice as many as there may be, and a power of two.
SLOTS = 1 << 17
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)


@njit(**INNER)
def strided(out, to, step_to, src, at, step_at, size, count):  # type: ignore[no-untyped-def]
    """``count`` times ``size`` bytes, from src[at], src[at + step_at], ... to out[to], out[to + step_to], ...

    A copy of as many bytes as are known here is one or two instructions; memcpy takes several times as long.
    """
    if size == 1:
        for i in range(count):
            out[to + i * step_to] = src[at + i * step_at]
    elif size == 2:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 2)
    elif size == 4:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 4)
    elif size == 12:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 12)
    elif size == 16:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 16)
    elif size == 32:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 32)
    elif size == 64:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, 64)
    else:
        for i in range(count):
            move(out, to + i * step_to, src, at + i * step_at, size)


@jit(nogil=True)
def collect(data, offset, size, block, out):  # type: ignore[no-untyped-def]
    """Blocks to field: ``size`` bytes at ``offset`` of each block. data uint8[blocks * block]; out uint8[blocks *
    size]. The caller sees to it that offset + size <= block.
    """
    strided(out, 0, size, data, offset, block, size, data.size // block)


@njit(**INNER)
def _spread(room, row, out):  # type: ignore[no-untyped-def]
    """Fields to blocks: each from its place in the room."""
    block, offset = np.int64(0), np.int64(0)
    for f in range(row[COUNT]):
        block += row[FIELDS + f]
    for f in range(row[COUNT]):
        size = row[FIELDS + f]
        strided(out, offset, block, room, row[PLACES + f], size, size, out.size // block)
        offset += size


@njit(**INNER)
def _look_up(values, numbers, out):  # type: ignore[no-untyped-def]
    """out[i] = values[numbers[i]]. Returns 0, -1 if a number is none of a value, or -2 if values do not ascend."""
    for k in range(1, values.size):
        if values[k] <= values[k - 1]:
            return -2
    top = numbers[0]
    for i in range(out.size):
        top = max(top, numbers[i])
    if np.int64(top) >= values.size:
        return -1
    for i in range(out.size):
        out[i] = values[numbers[i]]
    return 0


@njit(**INNER)
def _fill_in(mask, others, out):  # type: ignore[no-untyped-def]
    """out[i] = the next of ``others`` where bit i of the mask is set, else 0. Returns 0; -1 if the mask has more or
    fewer bits than there are others, or bits behind the last element; -2 if one of the others is 0.

    Which elements are zero is not predictable, so there is no branch.
    """
    kind, total, bad = out.dtype.type, np.int64(0), np.int64(0)
    for i in range(mask.size):
        v = np.int64(mask[i])
        v -= (v >> 1) & 0x55
        v = (v & 0x33) + ((v >> 2) & 0x33)
        total += (v + (v >> 4)) & 15
    if total != others.size or (out.size & 7 and mask[mask.size - 1] >> (out.size & 7)):
        return -1
    for i in range(others.size):
        bad |= np.int64(others[i] == kind(0))
    if bad:
        return -2
    used, last = np.int64(0), others.size - 1
    for i in range(out.size):
        bit = np.int64(mask[i >> 3] >> (i & 7)) & 1
        out[i] = others[min(used, last)] * kind(bit)
        used += bit
    return 0


_I64, _U8, _U16 = types.CPointer(types.int64), types.CPointer(types.uint8), types.CPointer(types.uint16)


@cache
def make_address(number: int, code: int) -> int:
    """The address of what makes a span by transform ``number``, of elements of 2^code bytes (0 for fields).

    int64 f(row, first, second, again, out, n), each an int64: row int64[ROW], as codec.kernels.made fills it; where the
    parts lie, aligned to 8 bytes, the second given twice (of fields only ``first``, and the others from there on, at
    PLACES); n elements, bytes for fields, n >= 1, of ``out``. Returns 0, -1 or -2: parts that break a rule.
    """
    element = types.CPointer(types.Integer.from_bitwidth(8 << code, signed=False))

    def fields_at(row, first, second, again, out, n):  # type: ignore[no-untyped-def]
        held = carray(row, ROW)
        end = held[PLACES + held[COUNT] - 1] + n
        _spread(carray(first, end), held, carray(out, n))
        return 0

    def palette_at(row, first, second, again, out, n):  # type: ignore[no-untyped-def]
        values = carray(row, ROW)[FIRST]
        if values <= 256:
            return _look_up(carray(first, values), carray(second, n), carray(out, n))
        return _look_up(carray(first, values), carray(again, n), carray(out, n))

    def sparse_at(row, first, second, again, out, n):  # type: ignore[no-untyped-def]
        return _fill_in(carray(first, (n + 7) >> 3), carray(second, carray(row, ROW)[FIRST]), carray(out, n))

    def offset_at(row, first, second, again, out, n):  # type: ignore[no-untyped-def]
        held, x = carray(row, ROW), carray(out, n)
        start = x.dtype.type(held[FIRST])
        if held[SECOND] == 0:
            np.add(carray(first, n), start, x)
        else:
            np.add(carray(again, n), start, x)
        return 0

    found = {
        FIELDS_NUMBER: (fields_at, (_U8, _U8, _U8)),
        PALETTE_NUMBER: (palette_at, (element, _U8, _U16)),
        SPARSE_NUMBER: (sparse_at, (_U8, element, element)),
        OFFSET_NUMBER: (offset_at, (_U8, _U16, _U16)),
    }
    function, parts = found[number]
    return address_of(function, types.int64(_I64, *parts, element, types.int64))


@jit(nogil=True)
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


@jit(nogil=True)
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


@jit(nogil=True)
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


@jit(nogil=True)
def few(x, most, seen):  # type: ignore[no-untyped-def]
    """Which numbers of 16 bits occur in x (uint16[n]): seen uint8[65536] gets 1 for each. Returns how many there are,
    or -1 if there are more than ``most``, which mostly shows soon.
    """
    seen[:] = 0
    done, upto, count = 0, 4096, np.int64(0)
    while done < x.size:
        upto = min(upto, x.size)
        for i in range(done, upto):
            seen[x[i]] = 1
        count = np.int64(0)
        for v in range(65536):
            count += np.int64(seen[v])
        if count > most:
            return np.int64(-1)
        done, upto = upto, 4 * upto
    return count


@jit(nogil=True)
def look_up(x, table, out):  # type: ignore[no-untyped-def]
    """out[i] = table[x[i]]: x uint16[n], table uint8[65536], out uint8[n]."""
    for i in range(x.size):
        out[i] = table[x[i]]

"""Read made spans: how their bytes are made, and where their parts lie (FORMAT.md, section 4a).

The fields and bounds are those of codec.stages.transforms, which says what is wrong with a record where this only says
that something is. A ramp, an offset whose part has elements of more than two bytes, codes in words, and the transforms
that are not named here are for the careful way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.heads import varint
from codec.kernels.tables import UNCOUNTED
from codec.kernels.transforms import (
    BITS,
    CODES_NUMBER,
    COUNT,
    FIELDS,
    FIELDS_NUMBER,
    FIRST,
    OFFSET_NUMBER,
    PALETTE_NUMBER,
    PART,
    PLACES,
    ROW,
    RUN,
    SECOND,
    SHIFT,
    SPARSE_NUMBER,
)

#: What is known of a made span, int64[MADE]: first what its transform takes (codec.kernels.transforms); its number and
#: log2 of the bytes of its elements; the parts that are still to be decoded; where its output begins and ends, and the
#: hash; then for each part its bytes, and where its record's body begins and ends.
NUMBER, CODE, LEFT, BEGIN, STOP, HASH = range(ROW, ROW + 6)
BYTES: Final = ROW + 6
AT: Final = BYTES + 16
END: Final = AT + 16
MADE: Final = END + 16
#: Bytes of the parts of a span, at most, each at a multiple of 8: as many as it has itself and a palette's values.
PARTS: Final = (1 << 20) + 16 * 8


@njit(**UNCOUNTED)
def whole(data, at, size):  # type: ignore[no-untyped-def]
    """A number of up to eight bytes, low first."""
    found = np.int64(0)
    for j in range(size):
        found |= np.int64(data[at + j]) << (8 * j)
    return found


@njit(**UNCOUNTED)
def _fields(data, at, end, length, row):  # type: ignore[no-untyped-def]
    """Read the parameters of fields; the position behind them, or -1."""
    if at >= end or data[at] < 2 or data[at] > 16:
        return -1
    row[COUNT], block = data[at], np.int64(0)
    at += 1
    for f in range(row[COUNT]):
        size, at = varint(data, at, end, 1 << 16)
        if at < 0 or size < 1:
            return -1
        row[FIELDS + f] = size
        block += size
    if length % block:
        return -1
    for f in range(row[COUNT]):
        row[BYTES + f] = length // block * row[FIELDS + f]
    return at


@njit(**UNCOUNTED)
def _field_of_codes(data, at, end, f, row):  # type: ignore[no-untyped-def]
    """Read how field ``f`` has codes; the position behind it, or -1."""
    size, at = varint(data, at, end, 1 << 16)
    if at < 0 or size < 1 or at >= end or data[at] > 63:
        return -1
    part, bits, shift, run = np.int64(data[at]) & 15, 1 << (np.int64(data[at]) >> 4), np.int64(0), np.int64(1)
    at += 1
    if bits < 8:
        if at >= end:
            return -1
        shift = np.int64(data[at])
        run, at = varint(data, at + 1, end, size)
        if at < 0 or run < 1 or size % run or shift + bits > 8:
            return -1
    row[FIELDS + f], row[PART + f], row[BITS + f], row[SHIFT + f], row[RUN + f] = size, part, bits, shift, run
    return at


@njit(**UNCOUNTED)
def _codes(data, at, end, length, row):  # type: ignore[no-untyped-def]
    """Read the parameters of packed codes; the position behind them, or -1. PLACES has the bits of parts meanwhile."""
    if at >= end or data[at] < 1 or data[at] > 16:
        return -1
    row[FIRST], row[SECOND], row[COUNT] = data[at], 0, 0
    at, packed = at + 1, False
    for f in range(row[FIRST]):
        at = _field_of_codes(data, at, end, f, row)
        if at < 0 or row[PART + f] > row[COUNT]:
            return -1
        part, count = row[PART + f], row[FIELDS + f] * 8 // row[BITS + f]
        if part == row[COUNT]:
            row[COUNT], row[PLACES + part], row[BYTES + part] = part + 1, 0, count
        bits = ((1 << row[BITS + f]) - 1) << row[SHIFT + f]
        if row[BYTES + part] != count or row[PLACES + part] & bits:
            return -1
        row[PLACES + part] |= bits
        row[SECOND] += row[FIELDS + f]
        packed = packed or row[BITS + f] < 8
    if not packed or length % row[SECOND]:
        return -1
    for p in range(row[COUNT]):
        row[BYTES + p] *= length // row[SECOND]
        if row[PLACES + p] & (row[PLACES + p] + 1) or row[BYTES + p] > 1 << 19:
            return -1
    return at


@njit(**UNCOUNTED)
def _parameters(data, at, end, length, row):  # type: ignore[no-untyped-def]
    """Read the parameters of a transform, and how many bytes its parts have; the position behind them, or -1."""
    number = row[NUMBER]
    row[CODE] = 0
    if number == FIELDS_NUMBER:
        return _fields(data, at, end, length, row)
    if number == CODES_NUMBER:
        return _codes(data, at, end, length, row)
    if end - at < 2 or data[at] > 3:
        return -1
    code = np.int64(data[at])
    at += 1
    elements = length >> code
    if elements << code != length:
        return -1
    row[CODE], row[COUNT], row[FIRST], row[SECOND] = code, 2, 0, 0
    if number == PALETTE_NUMBER:
        row[FIRST], at = varint(data, at, end, 1 << 16)
        row[BYTES], row[BYTES + 1] = row[FIRST] << code, elements * (1 if row[FIRST] <= 256 else 2)
    elif number == SPARSE_NUMBER:
        row[FIRST], at = varint(data, at, end, elements)
        row[BYTES], row[BYTES + 1] = (elements + 7) >> 3, row[FIRST] << code
    elif number == OFFSET_NUMBER:
        row[COUNT], row[SECOND] = 1, data[at]
        if row[SECOND] > min(code, 1) or end - at < 1 + (1 << code):
            return -1
        row[FIRST], row[BYTES] = whole(data, at + 1, 1 << code), elements << row[SECOND]
        return at + 1 + (1 << code)
    else:
        return -1
    return at if row[FIRST] > 0 else -1


@njit(**UNCOUNTED)
def is_made(data, at, end):  # type: ignore[no-untyped-def]
    """Whether a span record's body is that of a made span."""
    _, at = varint(data, at, end, 1 << 23)
    return at >= 0 and end - at > 2 and data[at + 1] & 128 != 0


@njit(**UNCOUNTED)
def read(data, at, end, row):  # type: ignore[no-untyped-def]
    """Read the body data[at:end) of a made span's record into row int64[MADE]; its length, or -1."""
    length, at = varint(data, at, end, 1 << 19)
    if at < 0 or length < 1 or end - at < 2 or data[at] > 22:
        return -1
    row[NUMBER] = np.int64(data[at + 1]) & 127
    at = _parameters(data, at + 2, end, length, row)
    place = np.int64(0)
    for p in range(row[COUNT] if at >= 0 else 0):
        size, at = varint(data, at, end, end - at)
        if at < 0 or end - at < size:
            return -1
        row[AT + p], row[END + p], row[PLACES + p] = at, at + size, place
        at += size
        place += (row[BYTES + p] + 7) & ~7
    if at < 0 or end - at != 8 or place > PARTS:
        return -1
    row[LEFT], row[HASH] = row[COUNT], whole(data, at, 8)
    return length

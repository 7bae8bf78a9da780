"""Read span records: what a span's chunks are decoded by, into plain numbers and laid-out tables.

The fields and bounds are those of codec.stages.layout, which says what is wrong with a record where this only says that
something is. State of a span, int64[STATE]: the fields below, then FIELDS numbers for each plane.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.huffman_codes import table as huffman_table
from codec.kernels.numbers import read as read_numbers
from codec.kernels.planes import VECTOR_CODES
from codec.kernels.registers import SIZE as HELD
from codec.kernels.registers import build
from codec.kernels.round_tables import read as read_round
from codec.kernels.tables import UNCOUNTED, lay_out, read, read_lengths

#: Fields of a span's state.
LENGTH: Final = 0
WIDTH: Final = 1
FLAGS: Final = 2
FOLD: Final = 3
WINDOW: Final = 4
CONSTANT: Final = 5
TILE: Final = 6
CHUNK: Final = 7
PLANES: Final = 8
LAYOUT: Final = 9
ROWS: Final = 10
HEAD: Final = 16
FIELDS: Final = 7
#: The last two: whether the plane's tables are laid out for registers (codec.kernels.permute), end to end from its row
#: on; and of stage 7, whose numbers of columns (uint8) lie behind the tables, how many: those of a tile at least.
SHIFT, BITS, TABLES, STAGE, ROW, IN_REGISTERS, PERIOD = range(FIELDS)
#: Planes and tables of a span that are decoded here; what has more goes the careful way.
MOST_PLANES: Final = 15
MOST_TABLES: Final = 48
STATE: Final = HEAD + FIELDS * MOST_PLANES
#: Words (uint64) of the tables of a span: a rANS table is 4096 uint32, a Huffman table 2048 uint64.
TABLE_WORDS: Final = 2048
#: Words of the tables of one plane, where those for registers are spelled out for a chunk of few lanes.
FULL_WORDS: Final = 16 * TABLE_WORDS

#: Flags of a layout.
FOLDED, WINDOWED, CONSTANTS, DROPS, ESCAPES = 4, 8, 16, 32, 64


@njit(**UNCOUNTED)
def varint(data, at, end, most):  # type: ignore[no-untyped-def]
    """(value, position behind it); the position is -1 if it does not end, is misspelt or is more than ``most``."""
    value, shift = np.int64(0), 0
    while at < end and shift < 56:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if (byte == 0 and shift > 0) or value > most:
                return 0, -1
            return value, at
        shift += 7
    return 0, -1


@njit(**UNCOUNTED)
def _held(data, at, end, count, tables, freq):  # type: ignore[no-untyped-def]
    """Read rANS tables from data[at:end) and lay them out for registers; the position behind them, or -1 if one does
    not fit, or is corrupt.
    """
    room = tables.view(np.uint8)
    for k in range(count):
        at = read(data, at, end, freq[0])
        if at < 0 or build(freq[0], room, k * HELD) < 0:
            return -1
    return at


@njit(**UNCOUNTED)
def _tables(data, at, end, count, stage, tables, freq, lengths, encoder):  # type: ignore[no-untyped-def]
    """Read and lay out the tables of a plane from data[at:end); the position behind them, or -1."""
    for k in range(count):
        out = tables[k * 2048 : k * 2048 + 2048]
        if stage != 3:
            at = read(data, at, end, freq[0]) if stage == 2 else read_round(data, at, end, freq[0])
            if at < 0:
                return -1
            lay_out(freq, out.view(np.uint32), encoder)
        else:
            at = read_lengths(data, at, end, lengths)
            if at < 0 or huffman_table(lengths, out) < 0:
                return -1
    return at


@njit(**UNCOUNTED)
def _columns(data, at, end, count, tile, room):  # type: ignore[no-untyped-def]
    """Read the numbers of columns into ``room`` (uint8), again and again for a whole tile. How many, and the position
    behind them; or -1 for that.
    """
    period, at = varint(data, at, end, room.size if count > 1 else 1)
    if at < 0 or period < 1 or (tile % period and period % tile) or max(tile, period) > room.size:
        return 0, -1
    room[0] = 64
    if period > 1:
        at = read_numbers(data, at, end, room[:period])
    for j in range(period, tile):
        room[j] = room[j - period]
    return period, at


@njit(**UNCOUNTED)
def span(data, at, end, state, tables, permutes, room):  # type: ignore[no-untyped-def]
    """Read a span record's body up to its chunk's body, into state and tables; the position behind, or -1.

    ``permutes``: whether tables may be laid out for registers. room uint64[>= 416] is worked in.
    """
    length, at = varint(data, at, end, 1 << 23)
    if at < 0 or end - at < 2 or length < 1:
        return -1
    dtype, flags = np.int64(data[at]), np.int64(data[at + 1])
    at += 2
    if dtype > 22 or flags & 128:
        return -1
    width = np.int64(1) << (flags & 3)
    state[LENGTH], state[WIDTH], state[FLAGS] = length, width, flags
    state[FOLD], state[WINDOW], state[CONSTANT] = 8 * width - 1, 0, 0
    if flags & FOLDED:
        if at >= end or data[at] >= 8 * width:
            return -1
        state[FOLD] = data[at]
        at += 1
    if flags & WINDOWED:
        state[WINDOW], at = varint(data, at, end, 65535)
        if at < 0:
            return -1
    if flags & CONSTANTS:
        if end - at < width:
            return -1
        for k in range(width):
            state[CONSTANT] |= np.int64(data[at + k]) << (8 * k)
        at += width
    tile, at = varint(data, at, end, 1 << 14)
    if at < 0:
        return -1
    chunk, at = varint(data, at, end, (1 << 19) // width)
    if at < 0 or at >= end:
        return -1
    planes = np.int64(data[at])
    at += 1
    if tile < min(8, max(1, length // width)) or chunk < 1 or chunk % tile or planes > MOST_PLANES:
        return -1
    if planes == 0 and flags & (WINDOWED | ESCAPES):
        return -1
    state[TILE], state[CHUNK], state[PLANES] = tile, chunk, planes
    freq, encoder = room[:256].view(np.int64).reshape((1, 256)), room[256:384].view(np.uint32)
    lengths = room[384:416].view(np.uint8)
    low, rows, layout = np.int64(0), 0, np.int64(0)
    for p in range(planes):
        if end - at < 2:
            return -1
        shift, bits = np.int64(data[at]) & 63, np.int64(1) << (data[at] >> 6)
        count, stage = np.int64(data[at + 1]) & 31, np.int64(data[at + 1]) >> 5
        at += 2
        top = p == planes - 1 and flags & WINDOWED
        if shift < low or shift >= 8 * width or (top and bits != 8) or (not top and shift + bits > 8 * width):
            return -1
        low = shift + bits
        if count > 16 or rows + count > MOST_TABLES or (count > 0 and stage != 2 and stage != 3 and stage != 7):
            return -1
        if count == 0 and stage:
            return -1
        place = HEAD + FIELDS * p
        state[place + SHIFT], state[place + BITS], state[place + TABLES] = shift, bits, count
        state[place + STAGE], state[place + ROW] = stage, rows
        behind, mine = np.int64(-1), tables[rows * TABLE_WORDS :]
        if permutes and stage == 2 and min(chunk, length // width) * bits >= 8 << 16:
            behind = _held(data, at, end, count, mine, freq)
        state[place + IN_REGISTERS] = np.int64(behind >= 0)
        at = behind if behind >= 0 else _tables(data, at, end, count, stage, mine, freq, lengths, encoder)
        if at < 0:
            return -1
        rows += count
        if stage == 7:
            room = tables[rows * TABLE_WORDS : min(rows + 4, MOST_TABLES) * TABLE_WORDS].view(np.uint8)
            period, at = _columns(data, at, end, count, tile, room)
            if at < 0 or bits != 8 or flags & DROPS or (chunk % period and length // width > chunk):
                return -1
            state[place + PERIOD] = max(tile, period)
            rows += (state[place + PERIOD] + 8 * TABLE_WORDS - 1) // (8 * TABLE_WORDS)
        layout |= bits << (4 * p)
    state[LAYOUT], state[ROWS] = 0, rows
    for k in range(VECTOR_CODES.size):
        if VECTOR_CODES[k] == layout:
            state[LAYOUT] = layout
    return at


@jit(nogil=True)
def read_span(data, at, end, state, tables, permutes):  # type: ignore[no-untyped-def]
    """Read the body data[at:end) of a span record without chunk. Returns 0, or -1 if the careful way must.

    state int64[STATE]; tables uint64[MOST_TABLES * TABLE_WORDS]; permutes: whether there is an address of
    codec.kernels.permute to decode with.
    """
    room = np.empty(416, np.uint64)
    return 0 if span(data, at, end, state, tables, permutes, room) == end else -1

"""Interleaved rANS with a table for each element: decode and encode (format_spec/stages/7_columns.md).

As codec.kernels.rans, whose tables and words these are; but a lane's entry is looked up in the table that the numbers
of its row and column add up to. What is done with it, both have from codec.kernels.lanes. A tile's columns lie in a row
of bytes, so that a group's are one load. The decoder's tables, 16 KB each, lie in the second cache, the encoder's are
1 KB each: registers cannot hold 16 of them.

Measured (2^19 symbols of 3 bits, 16 tables, one core of an AMD EPYC with AVX-512) in G symbols/s: decodes 1.8 with 32
lanes, 2.8 with 64, 1.0 with 16; encodes 2.3, 2.4 and 1.5. With scalar loads 1.6, without AVX-512 1.6; encodes 1.5.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, literally, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from codec.kernels import cpu
from codec.kernels.lanes import COMPRESS, EXPAND, I1, I8, I32, MODES, PLAIN, WIDE, WIDE_GATHER, Lanes, give, take
from codec.kernels.native import address_of
from codec.kernels.tables import INNER

#: The number that, added to a row's, is no change.
ZERO: Final = 64


def _tables_of(v: Lanes, columns: Any, row: Any, last: Any) -> Any:
    """The table of each lane: the number of its column (bytes at ``columns``) and ``row``, within 0..last."""
    b = v.b
    number = b.add(b.zext(v.load(columns, I8), v.vec(I32)), row)
    number = b.select(b.icmp_signed("<", number, v.const(0)), v.const(0), number)
    return b.select(b.icmp_signed(">", number, last), last, number)


def _splat(v: Lanes, number: Any) -> Any:
    """An i64 as the same i32 in every lane."""
    b, one = v.b, ir.Constant(v.vec(I32), ir.Undefined)
    one = b.insert_element(one, b.trunc(number, I32), ir.Constant(I32, 0))
    return b.shuffle_vector(one, one, ir.Constant(v.vec(I32), [0] * v.w))


@intrinsic(prefer_literal=True)
def _decode_groups(typing, mode, lanes, words, table, states, dst, n, order, columns, row, last):  # type: ignore[no-untyped-def]
    """Decode n whole groups of ``lanes`` symbols; ``mode`` and ``lanes`` are literals. Returns the read address.

    As that of codec.kernels.rans, but for the table: column numbers lie at ``columns``, ``row`` is added to each, and
    ``last`` is the number of the last table, so that no place is beyond 4096 * (last + 1), whatever the numbers.
    """
    wide, gather = mode.literal_value >= WIDE, mode.literal_value == WIDE_GATHER
    w = 16 if wide else 8
    vectors = lanes.literal_value // w

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        words, table, states, dst, n, order, columns, row, last = args[2:]
        if mode.literal_value == PLAIN:
            return words
        v = Lanes(b, w)
        xs = v.states(states, vectors)
        at = cgutils.alloca_once_value(b, words)
        added, most = _splat(v, row), _splat(v, last)
        rooms = [cgutils.alloca_once(b, v.vec(I32)) for _ in range(vectors)]
        with cgutils.for_range(b, n) as loop:
            group = b.mul(loop.index, v.i64(w * vectors))
            out, beside = b.add(dst, group), b.add(columns, group)
            p = b.load(at)
            old, entries = [b.load(x) for x in xs], []
            for j, (x, room) in enumerate(zip(old, rooms, strict=True)):
                number = _tables_of(v, v.plus(beside, w * j), added, most)
                place = b.or_(b.shl(number, v.const(12)), b.and_(x, v.const(4095)))
                entries.append(v.look_up(gather, table, place, room))
            for j, slot in enumerate(xs):
                x, entry = old[j], entries[j]()
                v.store(b.trunc(entry, v.vec(I8)), v.plus(out, w * j))
                x, p = v.take(x, entry, p, order)
                b.store(x, slot)
            b.store(p, at)
        v.keep_states(xs, states)
        return b.load(at)

    return types.int64(mode, lanes, *[types.int64] * 9), codegen


@intrinsic(prefer_literal=True)
def _encode_groups(typing, mode, lanes, src, table, states, end, n, order, columns, row, last):  # type: ignore[no-untyped-def]
    """Encode n whole groups, last first; words go down from the address ``end``. Returns the write address, or 0 if a
    symbol has no frequency.

    As that of codec.kernels.rans, with tables of 256 entries, one for each number up to ``last``.
    """
    wide, gather = mode.literal_value >= WIDE, mode.literal_value == WIDE_GATHER
    w = 16 if wide else 8
    vectors = lanes.literal_value // w

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        src, table, states, end, n, order, columns, row, last = args[2:]
        if mode.literal_value == PLAIN:
            return end
        v = Lanes(b, w)
        xs = v.states(states, vectors)
        at = cgutils.alloca_once_value(b, end)
        added, most = _splat(v, row), _splat(v, last)
        absent = cgutils.alloca_once_value(b, ir.Constant(v.vec(I1), [0] * w))
        rooms = [cgutils.alloca_once(b, v.vec(I32)) for _ in range(vectors)]
        with cgutils.for_range(b, n) as loop:
            group = b.mul(b.sub(b.sub(n, loop.index), v.i64(1)), v.i64(w * vectors))
            here, beside = b.add(src, group), b.add(columns, group)
            p = b.load(at)
            entries = []
            for j, room in enumerate(rooms):
                number = _tables_of(v, v.plus(beside, w * j), added, most)
                symbols = b.zext(v.load(v.plus(here, w * j), I8), v.vec(I32))
                entries.append(v.look_up(gather, table, b.or_(b.shl(number, v.const(8)), symbols), room))
            for j in reversed(range(vectors)):
                entry = entries[j]()
                missing = b.icmp_unsigned("==", b.and_(entry, v.const(4095)), v.const(0))
                b.store(b.or_(b.load(absent), missing), absent)
                x, p = v.give(b.load(xs[j]), entry, p, order)
                b.store(x, xs[j])
            b.store(p, at)
        v.keep_states(xs, states)
        return b.select(b.icmp_unsigned("==", v.bits_of(b.load(absent)), v.i64(0)), b.load(at), v.i64(0))

    return types.int64(mode, lanes, *[types.int64] * 9), codegen


@njit(**INNER)
def _number(column, row, last):  # type: ignore[no-untyped-def]
    """The table of an element: ``row`` is the number of its row, less ZERO."""
    return min(max(np.int64(column) + row, np.int64(0)), last)


@njit(**INNER)
def _symbols(src, at, end, lanes, first, stop, table, columns, row, last, states, dst, base):  # type: ignore[no-untyped-def]
    """Decode bytes first..stop of a tile that begins at dst[base]. The new read position, or -1 past the end."""
    for i in range(first, stop):
        lane = i % lanes
        x = np.int64(states[lane])
        entry = np.int64(table[_number(columns[i], row, last) << 12 | (x & 4095)])
        dst[base + i] = entry & 255
        x, at = take(x, entry, src, at, end)
        if at < 0:
            return -1
        states[lane] = x
    return at


@njit(**INNER)
def _tile_back(src, start, stop, lanes, table, columns, row, last, states, out, at):  # type: ignore[no-untyped-def]
    """Encode bytes start..stop of a tile (src), last byte first. The new write position, or -1."""
    for i in range(stop - 1, start - 1, -1):
        lane = i % lanes
        entry = np.int64(table[_number(columns[i], row, last) << 8 | np.int64(src[i])])
        states[lane], at = give(np.int64(states[lane]), entry, out, at)
        if at < 0:
            return -1
    return at


@njit(**INNER)
def _decode(mode, src, at, end, lanes, table, tables, rows, columns, tile, states, dst, n, order):  # type: ignore[no-untyped-def]
    literally(mode)
    base, last = 0, tables - 1
    for t in range(rows.size):
        q = min(tile, n - base)
        mine = columns[t * tile % columns.size :]
        row, done = np.int64(rows[t]) - ZERO, 0
        if mode != PLAIN and lanes >= 16:
            while True:
                g = min((q - done) // lanes, (end - at) // (2 * lanes))
                if g <= 0:
                    break
                word, entry, beside = src.ctypes.data + at, table.ctypes.data, mine.ctypes.data + done
                put, keep, pick = dst.ctypes.data + base + done, states.ctypes.data, order.ctypes.data
                if lanes == 32:
                    at += _decode_groups(mode, 32, word, entry, keep, put, g, pick, beside, row, last) - word
                else:
                    at += _decode_groups(mode, 16, word, entry, keep, put, g, pick, beside, row, last) - word
                done += g * lanes
        at = _symbols(src, at, end, lanes, done, q, table, mine, row, last, states, dst, base)
        if at < 0:
            return -1
        base += q
    return at


@njit(**INNER)
def _encode(mode, src, n, tile, rows, columns, table, tables, lanes, states, out, order):  # type: ignore[no-untyped-def]
    literally(mode)
    at, last = np.int64(out.size), tables - 1
    for t in range(rows.size - 1, -1, -1):
        base = t * tile
        q = min(tile, n - base)
        mine, row = columns[base % columns.size :], np.int64(rows[t]) - ZERO
        whole = 0
        if mode != PLAIN and lanes >= 16:
            whole = q // lanes
        at = _tile_back(src[base:], whole * lanes, q, lanes, table, mine, row, last, states, out, at)
        if at < 0:
            return -1
        if mode != PLAIN and whole > 0:
            put, entry, beside = out.ctypes.data + at, table.ctypes.data, mine.ctypes.data
            read, keep, pick = src.ctypes.data + base, states.ctypes.data, order.ctypes.data
            if lanes == 32:
                wrote = _encode_groups(mode, 32, read, entry, keep, put, whole, pick, beside, row, last)
            else:
                wrote = _encode_groups(mode, 16, read, entry, keep, put, whole, pick, beside, row, last)
            if wrote == 0:
                return -1
            at += wrote - put
    return at


_U8, _U32 = types.CPointer(types.uint8), types.CPointer(types.uint32)
_I64: Final = types.int64
_DECODE_AT: Final = _I64(_U8, *[_I64] * 3, _U32, _I64, _U8, _I64, _U8, *[_I64] * 2, _U32, _U8, _I64)


@cache
def decode_address() -> int:
    """The address of the decoder of n bytes from the words src[at:end); it returns the read position, or -1.

    int64 f(src, at, end, lanes, table, tables, rows, tiles, columns, period, tile, states, dst, n), each an int64.
    src uint8[>= end]; table uint32[tables * 4096] as ``lay_out`` of codec.kernels.tables makes it; rows uint8[tiles];
    columns uint8[period], the period a multiple of ``tile``; states uint32[lanes], updated; dst uint8[>= n].
    """
    mode = MODES[cpu.path()]

    def decode_at(src, at, end, lanes, table, tables, rows, tiles, columns, period, tile, states, dst, n):  # type: ignore[no-untyped-def]
        words, entries, out = carray(src, end), carray(table, tables * 4096), carray(dst, n)
        numbers, beside, lane = carray(rows, tiles), carray(columns, period), carray(states, lanes)
        return _decode(mode, words, at, end, lanes, entries, tables, numbers, beside, tile, lane, out, n, EXPAND)

    return address_of(decode_at, _DECODE_AT)


_ENCODE_AT: Final = _I64(_U8, _I64, _I64, _U8, _I64, _U8, _I64, _U32, _I64, _I64, _U32, _U8, _I64)


@cache
def encode_address() -> int:
    """The address of the encoder of n bytes; words go down from the end of ``out``. It returns the offset of the first,
    or -1 if a byte occurs that its table does not have.

    int64 f(src, n, tile, rows, tiles, columns, period, table, tables, lanes, states, out, size), each an int64. As
    ``decode_address``; table uint32[tables * 256]; out uint8[size], 2 * n + 16 or more.
    """
    mode = MODES[cpu.path()]

    def encode_at(src, n, tile, rows, tiles, columns, period, table, tables, lanes, states, out, size):  # type: ignore[no-untyped-def]
        data, words, entries = carray(src, n), carray(out, size), carray(table, tables * 256)
        numbers, beside, lane = carray(rows, tiles), carray(columns, period), carray(states, lanes)
        return _encode(mode, data, n, tile, numbers, beside, entries, tables, lanes, lane, words, COMPRESS)

    return address_of(encode_at, _ENCODE_AT)

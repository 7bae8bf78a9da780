"""Interleaved rANS with a table for each element: decode and encode (format_spec/stages/7_columns.md).

As codec.kernels.rans, whose tables and words these are; but a lane's entry is looked up in the table that the numbers
of its row and column add up to. A tile's columns lie in a row of bytes, so that a group's are one load. The decoder's
tables, 16 KB each, lie in the second cache, the encoder's are 1 KB each: registers cannot hold 16 of them.

Measured (2^19 symbols of 3 bits, 16 tables, one core of an AMD EPYC with AVX-512) in G symbols/s: decodes 1.8 with 32
lanes, 2.8 with 64, 1.0 with 16; encodes 2.3, 2.4 and 1.5. With scalar loads 1.6, without AVX-512 1.6; encodes 1.5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, literally, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from codec.kernels import cpu
from codec.kernels.native import address_of
from codec.kernels.rans import (
    COMPRESS,
    EXPAND,
    F32,
    I1,
    I8,
    I16,
    I32,
    I64,
    NARROW,
    PLAIN,
    PTR,
    WIDE,
    WIDE_GATHER,
    Lanes,
)
from codec.kernels.tables import INNER

#: The number that, added to a row's, is no change.
ZERO: Final = 64


def _look_up(v: Lanes, gather: bool, table: Any, places: Any, room: Any) -> Callable[[], Any]:
    """Entries of a table (of 32 bits) at the places that each lane names. Scalar loads put them into ``room``,
    from where they had better not be taken at once.
    """
    b, w = v.b, v.w
    if gather:
        every = ir.Constant(v.vec(I1), [1] * w)
        name = "llvm.x86.avx512.mask.gather.dpi.512"
        found = v.call(name, v.vec(I32), [v.const(0), b.inttoptr(table, PTR), places, every, ir.Constant(I32, 4)])
        return lambda: found
    pairs, address = b.bitcast(places, v.vec(I64, w // 2)), b.ptrtoint(room, I64)
    for k in range(w):
        pair = b.extract_element(pairs, ir.Constant(I32, k // 2))
        place = b.lshr(pair, v.i64(32)) if k % 2 else b.and_(pair, v.i64(0xFFFFFFFF))
        entry = b.inttoptr(b.add(table, b.shl(place, v.i64(2))), I32.as_pointer())
        b.store(b.load(entry, align=4), b.inttoptr(v.plus(address, 4 * k), I32.as_pointer()), align=4)
    return lambda: b.load(room)


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
                entries.append(_look_up(v, gather, table, place, room))
            for j, slot in enumerate(xs):
                x, entry = old[j], entries[j]()
                v.store(b.trunc(entry, v.vec(I8)), v.plus(out, w * j))
                x = b.mul(b.lshr(entry, v.const(20)), b.lshr(x, v.const(12)))
                x = b.add(x, b.and_(b.lshr(entry, v.const(8)), v.const(4095)))
                low = b.icmp_unsigned("<", x, v.const(65536))
                bits = v.bits_of(low)
                new = b.zext(v.load(p, I16), v.vec(I32))
                if wide:
                    new = v.call("llvm.x86.avx512.mask.expand.v16i32", v.vec(I32), [new, v.const(0), low])
                    x = b.or_(b.select(low, b.shl(x, v.const(16)), x), new)
                else:
                    x = b.select(low, b.or_(b.shl(x, v.const(16)), v.pick(new, order, bits)), x)
                b.store(x, slot)
                p = b.add(p, b.shl(v.count(bits), v.i64(1)))
            b.store(p, at)
        v.keep_states(xs, states)
        return b.load(at)

    return types.int64(mode, lanes, *[types.int64] * 9), codegen


@intrinsic(prefer_literal=True)
def _encode_groups(typing, mode, lanes, src, table, states, end, n, order, columns, row, last):  # type: ignore[no-untyped-def]
    """Encode n whole groups, last first; words go down from the address ``end``. Returns the write address, or 0 if a
    symbol has no frequency.

    As that of codec.kernels.rans (which says why the quotient is right), with tables of 256 entries, one for each
    number up to ``last``.
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
                entries.append(_look_up(v, gather, table, b.or_(b.shl(number, v.const(8)), symbols), room))
            for j in reversed(range(vectors)):
                entry, x = entries[j](), b.load(xs[j])
                f, start = b.and_(entry, v.const(4095)), b.lshr(entry, v.const(12))
                b.store(b.or_(b.load(absent), b.icmp_unsigned("==", f, v.const(0))), absent)
                full = b.icmp_signed(">=", b.lshr(x, v.const(20)), f)
                bits = v.bits_of(full)
                count = v.count(bits)
                p = b.sub(p, b.shl(count, v.i64(1)))
                if wide:
                    name = "llvm.x86.avx512.mask.compress.v16i32"
                    words = b.trunc(v.call(name, v.vec(I32), [x, v.const(0), full]), v.vec(I16))
                    low = b.trunc(b.sub(b.shl(v.i64(1), count), v.i64(1)), I16)
                    v.call(
                        "llvm.masked.store.v16i16.p0",
                        ir.VoidType(),
                        [words, b.inttoptr(p, PTR), ir.Constant(I32, 1), b.bitcast(low, v.vec(I1))],
                    )
                else:
                    words = b.trunc(v.pick(x, order, bits), v.vec(I16))
                    v.store(words, b.sub(b.add(p, b.shl(count, v.i64(1))), v.i64(16)))
                x = b.select(full, b.lshr(x, v.const(16)), x)
                quotient = b.fdiv(b.uitofp(x, v.vec(F32)), b.sitofp(f, v.vec(F32)))
                q = b.fptosi(b.fsub(quotient, v.const(0.125, F32)), v.vec(I32))
                r = b.sub(x, b.mul(q, f))
                short = b.icmp_signed(">=", r, f)
                x = b.add(b.add(b.shl(q, v.const(12)), r), start)
                b.store(b.select(short, b.add(x, b.sub(v.const(4096), f)), x), xs[j])
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
        x = (entry >> 20) * (x >> 12) + ((entry >> 8) & 4095)
        if x < 65536:
            if at + 2 > end:
                return -1
            x = (x << 16) | np.int64(src[at]) | (np.int64(src[at + 1]) << 8)
            at += 2
        states[lane] = x
    return at


@njit(**INNER)
def _tile_back(src, start, stop, lanes, table, columns, row, last, states, out, at):  # type: ignore[no-untyped-def]
    """Encode bytes start..stop of a tile (src), last byte first. The new write position, or -1."""
    for i in range(stop - 1, start - 1, -1):
        lane = i % lanes
        entry = np.int64(table[_number(columns[i], row, last) << 8 | np.int64(src[i])])
        f = entry & 4095
        if f == 0:
            return -1
        x = np.int64(states[lane])
        if (x >> 20) >= f:
            at -= 2
            out[at] = x & 255
            out[at + 1] = (x >> 8) & 255
            x >>= 16
        q = x // f
        states[lane] = (q << 12) + (x - q * f) + (entry >> 12)
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


_MODES: Final = {cpu.GATHER: WIDE_GATHER, cpu.AVX512: WIDE, cpu.AVX2: NARROW, cpu.SCALAR: PLAIN}
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
    mode = _MODES[cpu.path()]

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
    mode = _MODES[cpu.path()]

    def encode_at(src, n, tile, rows, tiles, columns, period, table, tables, lanes, states, out, size):  # type: ignore[no-untyped-def]
        data, words, entries = carray(src, n), carray(out, size), carray(table, tables * 256)
        numbers, beside, lane = carray(rows, tiles), carray(columns, period), carray(states, lanes)
        return _encode(mode, data, n, tile, numbers, beside, entries, tables, lanes, lane, words, COMPRESS)

    return address_of(encode_at, _ENCODE_AT)

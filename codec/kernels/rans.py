"""Interleaved rANS: decode and encode the bytes of a plane, tile by tile (format_spec/stages/2_rans.md).

Three paths write and read the same bytes: LLVM vector IR for AVX-512 and for AVX2, and plain scalar loops. What each
does with a symbol is in codec.kernels.lanes.

Words are passed as bytes, since a payload may start at an odd address.

Measured (python -m bench.kernels, 2^18 symbols of 4.4 bits, one core) in G symbols/s: Sapphire Rapids decodes 3.8 with
one table, 3.1 with 16 (256 KB, more than the first cache) in tiles of 384, and encodes 2.6; without AVX-512 2.6, 2.2
and 2.1. A 3 GHz Cascade Lake decodes 1.5 and encodes 1.8. What decides the decoder's speed is looking up 16 table
entries: a gather takes 33 cycles there (since the microcode that closes "gather data sampling"), so 16 scalar loads
through the stack are faster (1.5 against 1.2); all of a group's loads come before anything that depends on one.
Processors without that flaw use the gather, and those with VBMI hold most tables in registers
(codec.kernels.permute). The encoder looks its table up with permutes of registers, 2.4 times
faster than with gathers; a reciprocal and a step of Newton's instead of its division gain nothing.
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
from codec.kernels.cached import jit
from codec.kernels.lanes import (
    COMPRESS,
    EXPAND,
    I1,
    I8,
    I32,
    I64,
    MODES,
    NARROW,
    PLAIN,
    WIDE,
    WIDE_GATHER,
    Lanes,
    give,
    take,
)
from codec.kernels.native import address_of, will_write
from codec.kernels.tables import INNER


@intrinsic(prefer_literal=True)
def _decode_groups(typing, mode, lanes, words, table, states, dst, n, order):  # type: ignore[no-untyped-def]
    """Decode n whole groups of ``lanes`` symbols; ``mode`` and ``lanes`` are literals. Returns the read address.

    Entry of the table: frequency << 20 | (slot - start) << 8 | symbol; 4096 entries. Every address formed from a
    state is masked to the table. Each vector reads w words at p whatever its mask, and p moves by at most w: the
    caller makes sure that as many words as lanes are there for each group, so a read cannot pass the end.
    """
    wide, gather = mode.literal_value >= WIDE, mode.literal_value == WIDE_GATHER
    w = 16 if wide else 8
    vectors = lanes.literal_value // w

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        words, table, states, dst, n, order = args[2:]
        if mode.literal_value == PLAIN:
            return words
        v = Lanes(b, w)
        xs = v.states(states, vectors)
        at = cgutils.alloca_once_value(b, words)
        half = 64 // w if vectors * w > 64 else vectors
        rooms = [cgutils.alloca_once(b, v.vec(I32)) for _ in range(half)]

        with cgutils.for_range(b, n) as loop:
            out = b.add(dst, b.mul(loop.index, v.i64(w * vectors)))
            p = b.load(at)
            for j, slot in enumerate(xs):
                if j % half == 0:
                    old, entries = [b.load(x) for x in xs[j : j + half]], []
                    for x, room in zip(old, rooms, strict=True):
                        entries.append(v.look_up(gather, table, b.and_(x, v.const(4095)), room))
                x, entry = old[j % half], entries[j % half]()
                v.store(b.trunc(entry, v.vec(I8)), v.plus(out, w * j))
                x, p = v.take(x, entry, p, order)
                b.store(x, slot)
            b.store(p, at)
        v.keep_states(xs, states)
        return b.load(at)

    return types.int64(mode, lanes, *[types.int64] * 6), codegen


@intrinsic(prefer_literal=True)
def _encode_groups(typing, mode, lanes, rows, src, table, states, end, n, order):  # type: ignore[no-untyped-def]
    """Encode n whole groups, last first; words go down from the address ``end``. Returns the write address,
    or 0 if a symbol has no frequency.

    Entry of the table: start << 12 | frequency; 256 entries (AVX-512: the first 16 x ``rows``, which are held in
    registers).
    """
    wide = mode.literal_value == WIDE
    w = 16 if wide else 8
    vectors = lanes.literal_value // w
    registers = rows.literal_value

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        src, table, states, end, n, order = args[3:]
        if mode.literal_value == PLAIN or (wide and registers < 16 and vectors == 1):
            return end  # never called: 16 lanes use the larger table, which saves compiling one more of these
        if wide and registers == 16 and vectors == 8:
            return end  # never called: only what has the smaller table has 128 lanes
        v = Lanes(b, w)
        held = [v.load(v.plus(table, 64 * i), I32) for i in range(registers)] if wide else []
        xs = v.states(states, vectors)
        at = cgutils.alloca_once_value(b, end)
        absent = cgutils.alloca_once_value(b, ir.Constant(v.vec(I1), [0] * w))

        def permuted(symbols: Any) -> Any:
            name = "llvm.x86.avx512.vpermi2var.d.512"
            found = [v.call(name, v.vec(I32), [held[i], symbols, held[i + 1]]) for i in range(0, registers, 2)]
            bit = 32
            while len(found) > 1:
                high = b.icmp_unsigned("!=", b.and_(symbols, v.const(bit)), v.const(0))
                found = [b.select(high, found[i + 1], found[i]) for i in range(0, len(found), 2)]
                bit *= 2
            return found[0]

        def loaded(address: Any) -> Any:
            eight = b.load(b.inttoptr(address, I64.as_pointer()), align=1)
            found = ir.Constant(v.vec(I32), ir.Undefined)
            for j in range(8):
                symbol = b.and_(b.lshr(eight, v.i64(8 * j)), v.i64(255))
                place = b.add(table, b.shl(symbol, v.i64(2)))
                entry = b.load(b.inttoptr(place, I32.as_pointer()), align=4)
                found = b.insert_element(found, entry, ir.Constant(I32, j))
            return found

        with cgutils.for_range(b, n) as loop:
            last = b.sub(b.sub(n, loop.index), v.i64(1))
            group = b.add(src, b.mul(last, v.i64(w * vectors)))
            p = b.load(at)
            for j in reversed(range(vectors)):
                here = v.plus(group, w * j)
                entry = permuted(b.zext(v.load(here, I8), v.vec(I32))) if wide else loaded(here)
                missing = b.icmp_unsigned("==", b.and_(entry, v.const(4095)), v.const(0))
                if wide and registers < 16:
                    beyond = b.icmp_unsigned(">=", v.load(here, I8), ir.Constant(v.vec(I8), [16 * registers] * w))
                    missing = b.or_(missing, beyond)
                b.store(b.or_(b.load(absent), missing), absent)
                x, p = v.give(b.load(xs[j]), entry, p, order)
                b.store(x, xs[j])
            b.store(p, at)
        v.keep_states(xs, states)
        return b.select(b.icmp_unsigned("==", v.bits_of(b.load(absent)), v.i64(0)), b.load(at), v.i64(0))

    return types.int64(mode, lanes, rows, *[types.int64] * 6), codegen


@njit(**INNER)
def _tile_back(src, start, stop, lanes, table, row, states, out, at):  # type: ignore[no-untyped-def]
    """Encode src[start:stop), last byte first; the tile starts at lane 0. Returns the new write position."""
    for i in range(stop - 1, start - 1, -1):
        lane = (i - start) % lanes
        entry = np.int64(table[row + np.int64(src[i])])
        states[lane], at = give(np.int64(states[lane]), entry, out, at)
        if at < 0:
            return -1
    return at


@njit(**INNER)
def _next(x, table, row, src, at):  # type: ignore[no-untyped-def]
    """(the symbol of state x, uint64; the state behind it; the read position behind that: there are two bytes at it).

    Whether a state takes a word is not predictable, so there is no branch.
    """
    entry = np.uint64(table[row + (x & np.uint64(4095))])
    x = (entry >> np.uint64(20)) * (x >> np.uint64(12)) + ((entry >> np.uint64(8)) & np.uint64(4095))
    take = np.uint64(x < np.uint64(65536))
    word = np.uint64(src[at]) | (np.uint64(src[at + np.uint64(1)]) << np.uint64(8))
    return np.uint8(entry & np.uint64(255)), (x << (take << np.uint64(4))) | (word * take), at + (take << np.uint64(1))


@njit(**INNER)
def _fours(src, at, end, stop, table, row, states, dst, base):  # type: ignore[no-untyped-def]
    """Decode whole groups of 4 lanes of a tile that begins at dst[base], while there are words for another. Returns
    (symbols decoded, the new read position).
    """
    a, b, c, d = np.uint64(states[0]), np.uint64(states[1]), np.uint64(states[2]), np.uint64(states[3])
    done, row, p = np.int64(0), np.uint64(row), np.uint64(at)
    while stop - done >= 4 and end - np.int64(p) >= 8:
        dst[base + done], a, p = _next(a, table, row, src, p)
        dst[base + done + 1], b, p = _next(b, table, row, src, p)
        dst[base + done + 2], c, p = _next(c, table, row, src, p)
        dst[base + done + 3], d, p = _next(d, table, row, src, p)
        done += 4
    states[0], states[1], states[2], states[3] = a, b, c, d
    return done, np.int64(p)


@njit(**INNER)
def _symbols(src, at, end, lanes, first, stop, table, row, states, dst, base):  # type: ignore[no-untyped-def]
    """Decode bytes first..stop of a tile that begins at dst[base]. The new read position, or -1 past the end."""
    if lanes == 4 and first == 0:
        first, at = _fours(src, at, end, stop, table, row, states, dst, base)
    for i in range(first, stop):
        lane = i % lanes
        x = np.int64(states[lane])
        entry = np.int64(table[row + (x & 4095)])
        dst[base + i] = entry & 255
        x, at = take(x, entry, src, at, end)
        if at < 0:
            return -1
        states[lane] = x
    return at


@njit(**INNER)
def _decode(mode, src, at, end, lanes, table, choice, tile, states, dst, n, order, ahead, step):  # type: ignore[no-untyped-def]
    literally(mode)
    base = 0
    for t in range(choice.size):
        q = min(tile, n - base)
        if mode != PLAIN and step > 0:
            for line in range(base * step, (base + q) * step, 64):
                will_write(ahead + line)
        row = np.int64(choice[t]) * 4096
        done = 0
        if mode != PLAIN and lanes >= 16:
            while True:
                g = min((q - done) // lanes, (end - at) // (2 * lanes))
                if g <= 0:
                    break
                word, entry = src.ctypes.data + at, table.ctypes.data + 4 * row
                put, keep, pick = dst.ctypes.data + base + done, states.ctypes.data, order.ctypes.data
                if lanes == 128:
                    at += _decode_groups(mode, 128, word, entry, keep, put, g, pick) - word
                elif lanes == 64:
                    at += _decode_groups(mode, 64, word, entry, keep, put, g, pick) - word
                else:
                    at += _decode_groups(mode, 16, word, entry, keep, put, g, pick) - word
                done += g * lanes
        at = _symbols(src, at, end, lanes, done, q, table, row, states, dst, base)
        if at < 0:
            return -1
        base += q
    return at


@njit(**INNER)
def _encode(mode, rows, src, n, tile, choice, table, lanes, states, out, order):  # type: ignore[no-untyped-def]
    literally(mode)
    literally(rows)
    at = np.int64(out.size)
    for t in range(choice.size - 1, -1, -1):
        base = t * tile
        q = min(tile, n - base)
        row = np.int64(choice[t]) * 256
        whole = 0
        if mode != PLAIN and lanes >= 16 and (lanes < 128 or rows < 16):
            whole = q // lanes
        at = _tile_back(src, base + whole * lanes, base + q, lanes, table, row, states, out, at)
        if at < 0:
            return -1
        if mode != PLAIN and whole > 0:
            put, entry = out.ctypes.data + at, table.ctypes.data + 4 * row
            read, keep, pick = src.ctypes.data + base, states.ctypes.data, order.ctypes.data
            if lanes == 128:
                wrote = _encode_groups(mode, 128, rows, read, entry, keep, put, whole, pick)
            elif lanes == 64:
                wrote = _encode_groups(mode, 64, rows, read, entry, keep, put, whole, pick)
            else:
                wrote = _encode_groups(mode, 16, rows, read, entry, keep, put, whole, pick)
            if wrote == 0:
                return -1
            at += wrote - put
    return at


# The path is part of a function's name, not of its closure or globals, so that each has its own place in the cache.


@jit(nogil=True)
def _decode_avx512(src, at, end, lanes, table, choice, tile, states, dst, n):  # type: ignore[no-untyped-def]
    return _decode(WIDE, src, at, end, lanes, table, choice, tile, states, dst, n, EXPAND, 0, 0)


@jit(nogil=True)
def _decode_gather(src, at, end, lanes, table, choice, tile, states, dst, n):  # type: ignore[no-untyped-def]
    return _decode(WIDE_GATHER, src, at, end, lanes, table, choice, tile, states, dst, n, EXPAND, 0, 0)


@jit(nogil=True)
def _decode_avx2(src, at, end, lanes, table, choice, tile, states, dst, n):  # type: ignore[no-untyped-def]
    return _decode(NARROW, src, at, end, lanes, table, choice, tile, states, dst, n, EXPAND, 0, 0)


@jit(nogil=True)
def _decode_scalar(src, at, end, lanes, table, choice, tile, states, dst, n):  # type: ignore[no-untyped-def]
    return _decode(PLAIN, src, at, end, lanes, table, choice, tile, states, dst, n, EXPAND, 0, 0)


@jit(nogil=True)
def _encode_avx512(src, n, tile, choice, table, lanes, states, out, top):  # type: ignore[no-untyped-def]
    if top < 128 and lanes != 16:
        return _encode(WIDE, 8, src, n, tile, choice, table, lanes, states, out, COMPRESS)
    return _encode(WIDE, 16, src, n, tile, choice, table, lanes, states, out, COMPRESS)


@jit(nogil=True)
def _encode_avx2(src, n, tile, choice, table, lanes, states, out, top):  # type: ignore[no-untyped-def]
    return _encode(NARROW, 0, src, n, tile, choice, table, lanes, states, out, COMPRESS)


@jit(nogil=True)
def _encode_scalar(src, n, tile, choice, table, lanes, states, out, top):  # type: ignore[no-untyped-def]
    return _encode(PLAIN, 0, src, n, tile, choice, table, lanes, states, out, COMPRESS)


DECODERS: Final = {
    cpu.GATHER: _decode_gather,
    cpu.AVX512: _decode_avx512,
    cpu.AVX2: _decode_avx2,
    cpu.SCALAR: _decode_scalar,
}
ENCODERS: Final = {
    cpu.GATHER: _encode_avx512,
    cpu.AVX512: _encode_avx512,
    cpu.AVX2: _encode_avx2,
    cpu.SCALAR: _encode_scalar,
}

#: decode(src, at, end, lanes, table, choice, tile, states, dst, n): decode n bytes in tiles of ``tile`` from the
#: words src[at:end); the read position, or -1 if the words run out.
#: src uint8[>= end]; table uint32[tables * 4096]; choice uint8[tiles], each below the number of tables; states
#: uint32[lanes], updated; dst uint8[>= n]. Whole groups run only while as many words remain as they could take.
decode = DECODERS[cpu.path()]

#: encode(src, n, tile, choice, table, lanes, states, out, top): encode n bytes; words go down from the end of
#: ``out``; the offset of the first, or -1 if a byte occurs that has no frequency. src uint8[>= n]; table
#: uint32[tables * 256]; top the largest byte that has a frequency; states uint32[lanes], updated; out uint8[>=
#: 2 * n + 16]: a symbol emits at most one word.
encode = ENCODERS[cpu.path()]


_U8, _U32 = types.CPointer(types.uint8), types.CPointer(types.uint32)
_DECODE_AT: Final = types.int64(_U8, *[types.int64] * 3, _U32, _U8, *[types.int64] * 2, _U32, _U8, *[types.int64] * 3)


@cache
def decode_address() -> int:
    """The address of ``decode`` for kernels that call it: its arrays as addresses, the number of tiles behind choice.

    int64 f(src, at, end, lanes, table, choice, tiles, tile, states, dst, n, ahead, step), each an int64. Memory at
    ``ahead``, ``step`` bytes for each byte decoded (0: none), is fetched meanwhile, since the caller will write there.
    """
    mode = MODES[cpu.path()]

    def decode_at(src, at, end, lanes, table, choice, tiles, tile, states, dst, n, ahead, step):  # type: ignore[no-untyped-def]
        words, entries, out = carray(src, end), carray(table, 16 * 4096), carray(dst, n)
        rows, lane = carray(choice, tiles), carray(states, lanes)
        return _decode(mode, words, at, end, lanes, entries, rows, tile, lane, out, n, EXPAND, ahead, step)

    return address_of(decode_at, _DECODE_AT)


_ENCODE_AT: Final = types.int64(
    _U8, *[types.int64] * 2, _U8, types.int64, _U32, types.int64, _U32, _U8, *[types.int64] * 2
)


@cache
def encode_address() -> int:
    """The address of ``encode``, as ``decode_address``.

    int64 f(src, n, tile, choice, tiles, table, lanes, states, out, size, top), each an int64; size is that of ``out``.
    """
    mode = MODES[cpu.path()]
    if mode >= WIDE:

        def encode_at(src, n, tile, choice, tiles, table, lanes, states, out, size, top):  # type: ignore[no-untyped-def]
            data, entries, words = carray(src, n), carray(table, 16 * 256), carray(out, size)
            rows, lane = carray(choice, tiles), carray(states, lanes)
            if top < 128 and lanes != 16:
                return _encode(WIDE, 8, data, n, tile, rows, entries, lanes, lane, words, COMPRESS)
            return _encode(WIDE, 16, data, n, tile, rows, entries, lanes, lane, words, COMPRESS)

        return address_of(encode_at, _ENCODE_AT)

    def encode_narrow(src, n, tile, choice, tiles, table, lanes, states, out, size, top):  # type: ignore[no-untyped-def]
        data, entries, words = carray(src, n), carray(table, 16 * 256), carray(out, size)
        rows, lane = carray(choice, tiles), carray(states, lanes)
        return _encode(mode, 0, data, n, tile, rows, entries, lanes, lane, words, COMPRESS)

    return address_of(encode_narrow, _ENCODE_AT)

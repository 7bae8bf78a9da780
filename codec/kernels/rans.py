"""Interleaved rANS: decode and encode the bytes of a plane, tile by tile (format_spec/stages/2_rans.md).

Three paths write and read the same bytes: LLVM vector IR for AVX-512 and for AVX2, and plain scalar loops.
The vector IR and the jitted functions that use it share this file, because numba's cache is keyed on
the file of the function alone.

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
from codec.kernels.native import address_of, will_write
from codec.kernels.tables import INNER

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32 = ir.FloatType()
PTR = ir.PointerType()

#: Modes: the literal that tells the intrinsics which instructions to use.
PLAIN: Final = 0
NARROW: Final = 1
WIDE: Final = 2
WIDE_GATHER: Final = 3

#: Word offsets of the lanes of an 8-lane vector, for each mask of lanes that take a word; and, for the encoder,
#: the lanes that give one, packed towards the top.
EXPAND = np.array([[(m & ((1 << j) - 1)).bit_count() & 7 for j in range(8)] for m in range(256)], np.uint8)
COMPRESS = np.array([([0] * 8 + [j for j in range(8) if m >> j & 1])[-8:] for m in range(256)], np.uint8)


class Lanes:
    """The few vector idioms that the IR below needs; w lanes of 32 bits."""

    def __init__(self, builder: Any, w: int) -> None:
        self.b, self.w = builder, w

    def vec(self, t: Any, w: int | None = None) -> Any:
        """A vector type."""
        return ir.VectorType(t, w or self.w)

    def const(self, v: int | float, t: Any = I32) -> Any:
        """A number in every lane."""
        return ir.Constant(self.vec(t), [v] * self.w)

    def i64(self, v: int) -> Any:
        """A number of 64 bits."""
        return ir.Constant(I64, v)

    def call(self, name: str, ret: Any, args: list[Any]) -> Any:
        """Call a function of LLVM."""
        kind = ir.FunctionType(ret, [a.type for a in args])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, name), args)

    def load(self, address: Any, t: Any, w: int | None = None) -> Any:
        """A vector at an address."""
        return self.b.load(self.b.inttoptr(address, self.vec(t, w).as_pointer()), align=1)

    def store(self, value: Any, address: Any) -> None:
        """Put a vector at an address."""
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer()), align=1)

    def plus(self, address: Any, n: int) -> Any:
        """An address, n bytes on."""
        return self.b.add(address, self.i64(n)) if n else address

    def states(self, address: Any, count: int) -> list[Any]:
        """The states at an address, each vector in a slot of the stack."""
        slots = [cgutils.alloca_once(self.b, self.vec(I32)) for _ in range(count)]
        for j, slot in enumerate(slots):
            self.b.store(self.load(self.plus(address, 4 * self.w * j), I32), slot)
        return slots

    def keep_states(self, slots: list[Any], address: Any) -> None:
        """Put them back."""
        for j, slot in enumerate(slots):
            self.store(self.b.load(slot), self.plus(address, 4 * self.w * j))

    def bits_of(self, mask: Any) -> Any:
        """The lanes of a mask as an i64."""
        return self.b.zext(self.b.bitcast(mask, ir.IntType(self.w)), I64)

    def count(self, bits: Any) -> Any:
        """Bits that are set."""
        return self.call("llvm.ctpop.i64", I64, [bits])

    def pick(self, data: Any, order_table: Any, bits: Any) -> Any:
        """AVX2: data permuted by the row of an 8-byte-a-row table that a mask selects."""
        row = self.load(self.b.add(order_table, self.b.shl(bits, self.i64(3))), I8, 8)
        return self.call("llvm.x86.avx2.permd", self.vec(I32), [data, self.b.zext(row, self.vec(I32))])


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
        base = b.inttoptr(table, PTR)

        half = 64 // w if vectors * w > 64 else vectors
        found = [cgutils.alloca_once(b, v.vec(I32)) for _ in range(half)]

        def gathered(x: Any) -> Any:
            slot = b.and_(x, v.const(4095))
            every = ir.Constant(v.vec(I1), [1] * w)
            name = "llvm.x86.avx512.mask.gather.dpi.512"
            return v.call(name, v.vec(I32), [v.const(0), base, slot, every, ir.Constant(I32, 4)])

        def look_up(x: Any, place: Any) -> None:
            """Entries of x's slots into memory, one scalar load and store for each."""
            pairs = b.bitcast(b.and_(x, v.const(4095)), v.vec(I64, w // 2))
            address = b.ptrtoint(place, I64)
            for k in range(w):
                pair = b.extract_element(pairs, ir.Constant(I32, k // 2))
                slot = b.lshr(pair, v.i64(32)) if k % 2 else b.and_(pair, v.i64(0xFFFFFFFF))
                entry = b.inttoptr(b.add(table, b.shl(slot, v.i64(2))), I32.as_pointer())
                b.store(b.load(entry, align=4), b.inttoptr(v.plus(address, 4 * k), I32.as_pointer()), align=4)

        with cgutils.for_range(b, n) as loop:
            out = b.add(dst, b.mul(loop.index, v.i64(w * vectors)))
            p = b.load(at)
            for j, slot in enumerate(xs):
                if j % half == 0:
                    old = [b.load(x) for x in xs[j : j + half]]
                    if gather:
                        entries = [gathered(x) for x in old]
                    else:
                        for x, place in zip(old, found, strict=True):
                            look_up(x, place)
                x = old[j % half]
                entry = entries[j % half] if gather else b.load(found[j % half])
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

    return types.int64(mode, lanes, *[types.int64] * 6), codegen


@intrinsic(prefer_literal=True)
def _encode_groups(typing, mode, lanes, rows, src, table, states, end, n, order):  # type: ignore[no-untyped-def]
    """Encode n whole groups, last first; words go down from the address ``end``. Returns the write address,
    or 0 if a symbol has no frequency.

    Entry of the table: start << 12 | frequency; 256 entries (AVX-512: the first 16 x ``rows``, which are held in
    registers). Division: q = floor(x / f) < 2^20, and float32 x / f is off by less than 2^-3, so the truncation of
    it less 1/8 is q or q - 1, and one compare of the remainder tells which. AVX-512 stores exactly the words it
    has; AVX2 stores eight, of which the lowest are overwritten later, so there must be 14 bytes free below.
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
                x = b.load(xs[j])
                f, start = b.and_(entry, v.const(4095)), b.lshr(entry, v.const(12))
                missing = b.icmp_unsigned("==", f, v.const(0))
                if wide and registers < 16:
                    beyond = b.icmp_unsigned(">=", v.load(here, I8), ir.Constant(v.vec(I8), [16 * registers] * w))
                    missing = b.or_(missing, beyond)
                b.store(b.or_(b.load(absent), missing), absent)
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

    return types.int64(mode, lanes, rows, *[types.int64] * 6), codegen


@njit(**INNER)
def _tile_back(src, start, stop, lanes, table, row, states, out, at):  # type: ignore[no-untyped-def]
    """Encode src[start:stop), last byte first; the tile starts at lane 0. Returns the new write position."""
    for i in range(stop - 1, start - 1, -1):
        lane = (i - start) % lanes
        entry = np.int64(table[row + np.int64(src[i])])
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
        x = (entry >> 20) * (x >> 12) + ((entry >> 8) & 4095)
        if x < 65536:
            if at + 2 > end:
                return -1
            x = (x << 16) | np.int64(src[at]) | (np.int64(src[at + 1]) << 8)
            at += 2
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


_MODES: Final = {cpu.GATHER: WIDE_GATHER, cpu.AVX512: WIDE, cpu.AVX2: NARROW, cpu.SCALAR: PLAIN}
_U8, _U32 = types.CPointer(types.uint8), types.CPointer(types.uint32)
_DECODE_AT: Final = types.int64(_U8, *[types.int64] * 3, _U32, _U8, *[types.int64] * 2, _U32, _U8, *[types.int64] * 3)


@cache
def decode_address() -> int:
    """The address of ``decode`` for kernels that call it: its arrays as addresses, the number of tiles behind choice.

    int64 f(src, at, end, lanes, table, choice, tiles, tile, states, dst, n, ahead, step), each an int64. Memory at
    ``ahead``, ``step`` bytes for each byte decoded (0: none), is fetched meanwhile, since the caller will write there.
    """
    mode = _MODES[cpu.path()]

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
    mode = _MODES[cpu.path()]
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

"""rANS decoding with its tables in registers: 64 lanes, AVX-512 with VBMI (format_spec/stages/2_rans.md).

A slot has 12 bits. Its upper 7 name one of 128 buckets of 32 slots, the lower 5 a place in it. Most buckets hold
slots of one symbol, or of two: a *base* (the first one's rank among the symbols that occur) and a *limit* (where the
second begins) tell which. Up to eight buckets may be *dense*, with more symbols: these have their 32 ranks written
out. The rank then leads to symbol, frequency and start. Each of these is a byte permute of one or two registers, for
64 lanes at once, where a table of 4096 entries takes a gather for 16: 2.0 times the speed on a Zen 5 core
(python -m bench.kernels). Tables of weights nearly always fit (all of MiniLM in bf16 and fp16, 97 % in fp32); those of
more than 128 symbols, or of more than eight dense buckets, go the way of codec.kernels.rans.

Any bytes whatever as table, states and words are safe: nothing here forms an address from them, and a read position
moves by at most 128 bytes a group, which the caller of a group has made sure are there.
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
from codec.kernels.native import address_of
from codec.kernels.tables import INNER

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))

#: Offsets of the parts of a table, and its size in bytes. Base and limit are by bucket, direct by 32 * dense + place,
#: the others by rank. The limit is that less one;
#: 31 is none, 255 marks a dense bucket, whose base is 32 * dense.
BASE, LIMIT, DIRECT, SYMBOL, FREQ_LOW, FREQ_HIGH, START_LOW, START_HIGH, SIZE = (
    0, 128, 256, 512, 640, 768, 896, 1024, 1152,
)  # fmt: skip
_DENSE: Final = 255
#: Bytes that the end of a stream is copied to, so that a group can read 128 wherever it stands.
PAD: Final = 1024


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


class _Registers:
    """The vector idioms of the IR below. Vectors are 512 bits; x0..x3 hold lanes 0-15, 16-31, 32-47, 48-63."""

    def __init__(self, builder: Any) -> None:
        self.b = builder

    def const(self, v: int, t: Any, count: int) -> Any:
        return ir.Constant(ir.VectorType(t, count), [v] * count)

    def call(self, name: str, ret: Any, args: list[Any]) -> Any:
        kind = ir.FunctionType(ret, [a.type for a in args])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, name), args)

    def load(self, address: Any, t: Any, count: int) -> Any:
        return self.b.load(self.b.inttoptr(address, ir.VectorType(t, count).as_pointer()), align=1)

    def store(self, value: Any, address: Any) -> None:
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer()), align=1)

    def plus(self, address: Any, n: int) -> Any:
        return self.b.add(address, ir.Constant(I64, n)) if n else address

    def pack(self, low: Any, high: Any) -> Any:
        """Two vectors to one of half their elements' width, lane of 128 bits by lane."""
        name, t, count = ("dw", I16, 32) if low.type.element.width == 32 else ("wb", I8, 64)
        return self.call(f"llvm.x86.avx512.packus{name}.512", ir.VectorType(t, count), [low, high])

    def unpack(self, low: Any, high: Any, upper: int) -> Any:
        """Elements of two vectors in turn, the lower or upper half of each 128 bits, as elements twice as wide."""
        count = low.type.count
        lane = count // 4
        order = [
            part * count + start + upper * (lane // 2) + k
            for start in range(0, count, lane) for k in range(lane // 2) for part in (0, 1)
        ]  # fmt: skip
        mixed = self.b.shuffle_vector(low, high, ir.Constant(ir.VectorType(I32, count), order))
        return self.b.bitcast(mixed, ir.VectorType(ir.IntType(2 * low.type.element.width), count // 2))

    def look_up(self, pair: tuple[Any, Any], order: Any) -> Any:
        """pair[order mod 128], bytes."""
        return self.call("llvm.x86.avx512.vpermi2var.qi.512", ir.VectorType(I8, 64), [pair[0], order, pair[1]])


@intrinsic(prefer_literal=True)
def _groups(typing, quads, words, table, states, dst, n, rest):  # type: ignore[no-untyped-def]
    """Decode n whole groups of 64 * ``quads`` symbols, then one of ``rest`` (0: none). Returns the read address.

    ``quads`` is a literal, 0 where the processor has no such kernel. All else are addresses and numbers. Each
    vector reads 16 words at p whatever its mask, and p moves by at most 16: 128 * quads bytes must be there for each
    group.
    """

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        words, table, states, dst, n, rest = args[1:]
        count = quads.literal_value
        if not count:
            return words
        v = _Registers(b)

        def part(offset: int) -> tuple[Any, Any]:
            return v.load(v.plus(table, offset), I8, 64), v.load(v.plus(table, offset + 64), I8, 64)

        base, limit, near, far = part(BASE), part(LIMIT), part(DIRECT), part(DIRECT + 128)
        symbol, f_low, f_high = part(SYMBOL), part(FREQ_LOW), part(FREQ_HIGH)
        s_low, s_high = part(START_LOW), part(START_HIGH)
        xs = [cgutils.alloca_once(b, ir.VectorType(I32, 16)) for _ in range(4 * count)]
        for j, x in enumerate(xs):
            b.store(v.load(v.plus(states, 64 * j), I32, 16), x)
        at = cgutils.alloca_once_value(b, words)
        back = ir.Constant(ir.VectorType(I32, 16), [4 * (k % 4) + k // 4 for k in range(16)])
        zero = v.const(0, I8, 64)

        def step(old: list[Any]) -> tuple[Any, list[Any]]:
            """(symbols of 64 lanes, their states before new words come in)."""
            slots = [b.and_(x, v.const(4095, I32, 16)) for x in old]
            pairs = [v.pack(slots[0], slots[1]), v.pack(slots[2], slots[3])]
            bucket = v.pack(*[b.lshr(w, v.const(5, I16, 32)) for w in pairs])
            place = v.pack(*[b.and_(w, v.const(31, I16, 32)) for w in pairs])
            first, second = v.look_up(base, bucket), v.look_up(limit, bucket)
            over = v.call("llvm.usub.sat.v64i8", zero.type, [place, second])
            beyond = v.call("llvm.umin.v64i8", zero.type, [over, v.const(1, I8, 64)])
            written = b.or_(first, place)
            direct = b.select(b.icmp_signed("<", written, zero), v.look_up(far, written), v.look_up(near, written))
            rank = b.select(b.icmp_signed("<", second, zero), direct, b.add(first, beyond))
            symbols = b.bitcast(v.look_up(symbol, rank), ir.VectorType(I32, 16))
            symbols = b.bitcast(b.shuffle_vector(symbols, symbols, back), zero.type)
            f, s = [v.look_up(f_low, rank), v.look_up(f_high, rank)], [v.look_up(s_low, rank), v.look_up(s_high, rank)]
            entries = []
            for half in (0, 1):
                offset = b.sub(pairs[half], v.unpack(s[0], s[1], half))
                freq = v.unpack(f[0], f[1], half)
                entries += [v.unpack(freq, offset, 0), v.unpack(freq, offset, 1)]
            new = []
            for x, entry in zip(old, entries, strict=True):
                y = b.mul(b.and_(entry, v.const(65535, I32, 16)), b.lshr(x, v.const(12, I32, 16)))
                new.append(b.add(y, b.lshr(entry, v.const(16, I32, 16))))
            return symbols, new

        def group(out: Any, left: Any) -> None:
            """One group; ``left``: how many symbols, where not all."""
            p = b.load(at)
            old = [b.load(x) for x in xs]
            steps = [step(old[4 * k : 4 * k + 4]) for k in range(count)]
            new = [x for _, some in steps for x in some]
            if left is None:
                for k, (symbols, _) in enumerate(steps):
                    v.store(symbols, v.plus(out, 64 * k))
                valid = []
            else:
                wide = ir.IntType(64 * count)
                mask = b.sub(
                    b.shl(ir.Constant(wide, 1), b.zext(left, wide) if count > 1 else left), ir.Constant(wide, 1)
                )
                for k, (symbols, _) in enumerate(steps):
                    bits = b.trunc(b.lshr(mask, ir.Constant(wide, 64 * k)), I64) if count > 1 else mask
                    v.call(
                        "llvm.masked.store.v64i8.p0", ir.VoidType(),
                        [symbols, b.inttoptr(v.plus(out, 64 * k), ir.PointerType()), ir.Constant(I32, 1),
                         b.bitcast(bits, ir.VectorType(I1, 64))],
                    )  # fmt: skip
                parts = [b.trunc(b.lshr(mask, ir.Constant(wide, 16 * j)), I16) for j in range(4 * count)]
                valid = [b.bitcast(m, ir.VectorType(I1, 16)) for m in parts]
            for j, x in enumerate(new):
                low = b.icmp_unsigned("<", x, v.const(65536, I32, 16))
                if valid:
                    low = b.and_(low, valid[j])
                    x = b.select(valid[j], x, old[j])
                bits = b.zext(b.bitcast(low, I16), I64)
                more = b.zext(v.load(p, I16, 16), ir.VectorType(I32, 16))
                more = v.call("llvm.x86.avx512.mask.expand.v16i32", more.type, [more, v.const(0, I32, 16), low])
                b.store(b.or_(b.select(low, b.shl(x, v.const(16, I32, 16)), x), more), xs[j])
                p = b.add(p, b.shl(v.call("llvm.ctpop.i64", I64, [bits]), ir.Constant(I64, 1)))
            b.store(p, at)

        size = ir.Constant(I64, 64 * count)
        with cgutils.for_range(b, n) as loop:
            group(b.add(dst, b.mul(loop.index, size)), None)
        with b.if_then(b.icmp_unsigned("!=", rest, ir.Constant(I64, 0))):
            group(b.add(dst, b.mul(n, size)), rest)
        for j, x in enumerate(xs):
            v.store(b.load(x), v.plus(states, 64 * j))
        return b.load(at)

    return types.int64(quads, *[types.int64] * 6), codegen


@intrinsic
def _will_write(typing, address):  # type: ignore[no-untyped-def]
    """Have the cache line at an address fetched for writing. Any address will do: it cannot fault."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), I32, I32, I32])
        prefetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        how = [ir.Constant(I32, k) for k in (1, 2, 1)]
        b.call(prefetch, [b.inttoptr(args[0], ir.PointerType()), *how])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@njit(nogil=True)
def _decode(quads, src, at, end, table, choice, tile, states, dst, n, pad, ahead, step):  # type: ignore[no-untyped-def]
    literally(quads)
    lanes = 64 * quads
    # the stream until less is left than a group may take, then what is left of it, padded with zeros
    words, stop, position, inside = src.ctypes.data, end, at, True
    base = np.int64(0)
    for t in range(choice.size):
        q = min(tile, n - base)
        if step > 0:
            for line in range(base * step, (base + q) * step, 64):
                _will_write(ahead + line)
        entries = table.ctypes.data + np.int64(choice[t]) * SIZE
        done = np.int64(0)
        while done < q:
            if inside and stop - position < 2 * lanes:
                left = stop - position
                for k in range(PAD):
                    pad[k] = src[position + k] if k < left else 0
                words, stop, position, inside = pad.ctypes.data, left, np.int64(0), False
            whole, rest = (q - done) // lanes, np.int64(0)
            whole = min(whole, (stop - position) // (2 * lanes) if inside else 1)
            if whole == 0:
                rest = q - done
            here, put = words + position, dst.ctypes.data + base + done
            position += _groups(quads, here, entries, states.ctypes.data, put, whole, rest) - here
            if position > stop:
                return -1
            done += lanes * whole + rest
        base += q
    return position if inside else end - stop + position


@njit(nogil=True, cache=True)
def decode(src, at, end, lanes, table, choice, tile, states, dst, n, pad):  # type: ignore[no-untyped-def]
    """Decode n bytes in tiles of ``tile`` from the words src[at:end); the read position, or -1 if the words run out.

    src uint8[>= end]; lanes 64 or 128; table uint8[tables * SIZE]; choice uint8[tiles], each below the number of
    tables; states uint32[lanes], updated; dst uint8[>= n]; pad uint8[PAD] is worked in. Only where cpu.permutes().
    """
    if lanes == 128:
        return _decode(2, src, at, end, table, choice, tile, states, dst, n, pad, 0, 0)
    return _decode(1, src, at, end, table, choice, tile, states, dst, n, pad, 0, 0)


_U8: Final = types.CPointer(types.uint8)
_DECODE_AT: Final = types.int64(
    _U8, *[types.int64] * 3, _U8, _U8, *[types.int64] * 2, types.CPointer(types.uint32), _U8, types.int64, _U8,
    *[types.int64] * 2,
)  # fmt: skip


@cache
def decode_address() -> int:
    """The address of ``decode`` for kernels that call it, 0 where it cannot run; its arrays as addresses, the number of
    tiles behind choice.

    int64 f(src, at, end, lanes, table, choice, tiles, tile, states, dst, n, pad, ahead, step), each an int64. Memory at
    ``ahead``, ``step`` bytes for each byte decoded (0: none), is fetched meanwhile, since the caller will write there.
    """
    if not cpu.permutes():
        return 0

    def decode_at(src, at, end, lanes, table, choice, tiles, tile, states, dst, n, pad, ahead, step):  # type: ignore[no-untyped-def]
        words, entries, out = carray(src, end), carray(table, 16 * SIZE), carray(dst, n)
        rows, lane, spare = carray(choice, tiles), carray(states, lanes), carray(pad, PAD)
        if lanes == 128:
            return _decode(2, words, at, end, entries, rows, tile, lane, out, n, spare, ahead, step)
        return _decode(1, words, at, end, entries, rows, tile, lane, out, n, spare, ahead, step)

    return address_of(decode_at, _DECODE_AT)

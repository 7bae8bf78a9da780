"""Steps of interleaved rANS: a symbol of one state, or of a vector of states in LLVM IR (stages/2_rans.md).

codec.kernels.rans and codec.kernels.columns are made of these; what differs is where a symbol's entry is looked up.
Entries for decoding: frequency << 20 | (slot - start) << 8 | symbol. For encoding: start << 12 | frequency.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils

from codec.kernels import cpu
from codec.kernels.tables import UNCOUNTED

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32 = ir.FloatType()
PTR = ir.PointerType()

#: Modes: the literal that tells the intrinsics which instructions to use.
PLAIN: Final = 0
NARROW: Final = 1
WIDE: Final = 2
WIDE_GATHER: Final = 3
MODES: Final = {cpu.GATHER: WIDE_GATHER, cpu.AVX512: WIDE, cpu.AVX2: NARROW, cpu.SCALAR: PLAIN}

#: Word offsets of the lanes of an 8-lane vector, for each mask of lanes that take a word; and, for the encoder,
#: the lanes that give one, packed towards the top.
EXPAND = np.array([[(m & ((1 << j) - 1)).bit_count() & 7 for j in range(8)] for m in range(256)], np.uint8)
COMPRESS = np.array([([0] * 8 + [j for j in range(8) if m >> j & 1])[-8:] for m in range(256)], np.uint8)


class Lanes:
    """A vector of w lanes of 32 bits: 16 with AVX-512, 8 with AVX2."""

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

    def look_up(self, gather: bool, table: Any, places: Any, room: Any) -> Callable[[], Any]:
        """Entries of a table (of 32 bits) at the places that each lane names. Scalar loads put them into ``room``,
        from where they had better not be taken at once.
        """
        b, w = self.b, self.w
        if gather:
            every = ir.Constant(self.vec(I1), [1] * w)
            name = "llvm.x86.avx512.mask.gather.dpi.512"
            base = b.inttoptr(table, PTR)
            found = self.call(name, self.vec(I32), [self.const(0), base, places, every, ir.Constant(I32, 4)])
            return lambda: found
        pairs, address = b.bitcast(places, self.vec(I64, w // 2)), b.ptrtoint(room, I64)
        for k in range(w):
            pair = b.extract_element(pairs, ir.Constant(I32, k // 2))
            place = b.lshr(pair, self.i64(32)) if k % 2 else b.and_(pair, self.i64(0xFFFFFFFF))
            entry = b.inttoptr(b.add(table, b.shl(place, self.i64(2))), I32.as_pointer())
            b.store(b.load(entry, align=4), b.inttoptr(self.plus(address, 4 * k), I32.as_pointer()), align=4)
        return lambda: b.load(room)

    def take(self, x: Any, entry: Any, p: Any, order: Any) -> tuple[Any, Any]:
        """The states behind the symbols of ``entry``, and the read address behind the words that they take.

        w words are read at p whatever is taken.
        """
        b = self.b
        x = b.mul(b.lshr(entry, self.const(20)), b.lshr(x, self.const(12)))
        x = b.add(x, b.and_(b.lshr(entry, self.const(8)), self.const(4095)))
        low = b.icmp_unsigned("<", x, self.const(65536))
        bits = self.bits_of(low)
        new = b.zext(self.load(p, I16), self.vec(I32))
        if self.w == 16:
            new = self.call("llvm.x86.avx512.mask.expand.v16i32", self.vec(I32), [new, self.const(0), low])
            x = b.or_(b.select(low, b.shl(x, self.const(16)), x), new)
        else:
            x = b.select(low, b.or_(b.shl(x, self.const(16)), self.pick(new, order, bits)), x)
        return x, b.add(p, b.shl(self.count(bits), self.i64(1)))

    def give(self, x: Any, entry: Any, p: Any, order: Any) -> tuple[Any, Any]:
        """The states before the symbols of ``entry``, and the address of the words that they give, which lie below p.

        Division: q = floor(x / f) < 2^20, and float32 x / f is off by less than 2^-3, so the truncation of it less 1/8
        is q or q - 1, and one compare of the remainder tells which. AVX-512 stores exactly the words it has; AVX2
        stores eight, of which the lowest are overwritten later, so there must be 14 bytes free below.
        """
        b = self.b
        f, start = b.and_(entry, self.const(4095)), b.lshr(entry, self.const(12))
        full = b.icmp_signed(">=", b.lshr(x, self.const(20)), f)
        bits = self.bits_of(full)
        count = self.count(bits)
        p = b.sub(p, b.shl(count, self.i64(1)))
        if self.w == 16:
            name = "llvm.x86.avx512.mask.compress.v16i32"
            words = b.trunc(self.call(name, self.vec(I32), [x, self.const(0), full]), self.vec(I16))
            low = b.trunc(b.sub(b.shl(self.i64(1), count), self.i64(1)), I16)
            self.call(
                "llvm.masked.store.v16i16.p0",
                ir.VoidType(),
                [words, b.inttoptr(p, PTR), ir.Constant(I32, 1), b.bitcast(low, self.vec(I1))],
            )
        else:
            words = b.trunc(self.pick(x, order, bits), self.vec(I16))
            self.store(words, b.sub(b.add(p, b.shl(count, self.i64(1))), self.i64(16)))
        x = b.select(full, b.lshr(x, self.const(16)), x)
        quotient = b.fdiv(b.uitofp(x, self.vec(F32)), b.sitofp(f, self.vec(F32)))
        q = b.fptosi(b.fsub(quotient, self.const(0.125, F32)), self.vec(I32))
        r = b.sub(x, b.mul(q, f))
        short = b.icmp_signed(">=", r, f)
        x = b.add(b.add(b.shl(q, self.const(12)), r), start)
        return b.select(short, b.add(x, b.sub(self.const(4096), f)), x), p


# These two are called for each symbol: with references to their arrays counted they take 1.2 to 2.7 times as long.


@njit(**UNCOUNTED)
def take(x, entry, src, at, end):  # type: ignore[no-untyped-def]
    """The state behind the symbol of ``entry``, and the new read position, or -1 if src[at:end) lacks a word."""
    x = (entry >> 20) * (x >> 12) + ((entry >> 8) & 4095)
    if x < 65536:
        if at + 2 > end:
            return x, np.int64(-1)
        x = (x << 16) | np.int64(src[at]) | (np.int64(src[at + 1]) << 8)
        at += 2
    return x, at


@njit(**UNCOUNTED)
def give(x, entry, out, at):  # type: ignore[no-untyped-def]
    """The state before the symbol of ``entry``, and the new write position, or -1 if the symbol has no frequency."""
    f = entry & 4095
    if f == 0:
        return x, np.int64(-1)
    if (x >> 20) >= f:
        at -= 2
        out[at] = x & 255
        out[at + 1] = (x >> 8) & 255
        x >>= 16
    q = x // f
    return (q << 12) + (x - q * f) + (entry >> 12), at

"""Packed codes of blocks to and from a byte each (FORMAT.md, transform 9).

A field of ``size`` bytes at ``offset`` of each ``block`` has ``bits`` (1, 2, 4 or 8) of each code, from bit ``shift``
of it on, in groups: ``run`` bytes, whose lowest bits are those of ``run`` codes in order, the next bits those of the
next ``run`` codes, and so on. With 8 bits it is bytes, as they are. codes: uint8[blocks * size * 8 / bits], out and
data: uint8[blocks * block].

The caller sees to it that offset + size <= block, that run divides size, and that shift + bits <= 8. Codes are moved 8
or more at a time where runs are multiples of 8 bytes, and where one byte has the bits of eight codes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic, overload

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.tables import INNER
from codec.kernels.transforms import BITS, COUNT, FIELDS, FIRST, PART, PLACES, ROW, RUN, SECOND, SHIFT, strided
from codec.kernels.words import load, place_of, store

_ONES = np.uint64(0x0101010101010101)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)
#: Bit k of byte k.
_DIAGONAL = np.uint64(0x8040201008040201)


def _runs(codes: Any, at: Any, shift: Any, run: Any, bits: Any, words: Any, out: Any, to: Any) -> None:
    each, mask = 8 * words, np.uint8((1 << bits) - 1)
    found = np.zeros(each, np.uint8)
    for q in range(8 // bits):
        held = codes[at + q * run : at + q * run + each]
        found |= (held >> np.uint8(shift) & mask) << np.uint8(q * bits)
    out[to : to + each] = found


def _flags(codes: Any, at: Any, shift: Any, lanes: Any, out: Any, to: Any) -> None:
    bits = codes[at : at + lanes] >> np.uint8(shift) & np.uint8(1)
    out[to : to + lanes // 8] = np.packbits(bits, bitorder="little")


@intrinsic(prefer_literal=True)
def _runs_ir(typing, codes, at, shift, run, bits, words, out, to):  # type: ignore[no-untyped-def]
    """8 * words bytes of packed codes: a byte each of the 8 / bits runs of codes, which begin at ``at``."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        width, i64 = bits.literal_value, ir.IntType(64)
        vec = ir.VectorType(i64, words.literal_value)
        down = b.insert_element(ir.Constant(vec, ir.Undefined), args[2], ir.Constant(ir.IntType(32), 0))
        spread = ir.Constant(ir.VectorType(ir.IntType(32), vec.count), [0] * vec.count)
        down = b.shuffle_vector(down, ir.Constant(vec, ir.Undefined), spread) if vec.count > 1 else down
        mask = ir.Constant(vec, [0x0101010101010101 * ((1 << width) - 1)] * vec.count)
        found = ir.Constant(vec, [0] * vec.count)
        place = args[1]
        for q in range(8 // width):
            source = b.bitcast(place_of(context, b, signature.args[0], args[0], place), vec.as_pointer())
            held = b.and_(b.lshr(b.load(source, align=1), down), mask)
            found = b.or_(found, b.shl(held, ir.Constant(vec, [q * width] * vec.count)))
            place = b.add(place, args[3])
        target = place_of(context, b, signature.args[6], args[6], args[7])
        b.store(found, b.bitcast(target, vec.as_pointer()), align=1)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(codes, i64, types.uint64, i64, bits, words, out, i64), codegen


@intrinsic(prefer_literal=True)
def _flags_ir(typing, codes, at, shift, lanes, out, to):  # type: ignore[no-untyped-def]
    """Bit ``shift`` of each of so many codes, as bits."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        count, byte = lanes.literal_value, ir.IntType(8)
        vec = ir.VectorType(byte, count)
        one = b.shl(ir.Constant(byte, 1), b.trunc(args[2], byte))
        mask = b.insert_element(ir.Constant(vec, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
        mask = b.shuffle_vector(mask, mask, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))
        source = b.bitcast(place_of(context, b, signature.args[0], args[0], args[1]), vec.as_pointer())
        held = b.and_(b.load(source, align=1), mask)
        flags = b.bitcast(b.icmp_unsigned("!=", held, ir.Constant(vec, [0] * count)), ir.IntType(count))
        target = place_of(context, b, signature.args[4], args[4], args[5])
        b.store(flags, b.bitcast(target, flags.type.as_pointer()), align=1)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(codes, i64, types.uint64, lanes, out, i64), codegen


@overload(_runs, prefer_literal=True)
def _(codes, at, shift, run, bits, words, out, to):  # type: ignore[no-untyped-def]
    return lambda codes, at, shift, run, bits, words, out, to: _runs_ir(codes, at, shift, run, bits, words, out, to)


@overload(_flags, prefer_literal=True)
def _(codes, at, shift, lanes, out, to):  # type: ignore[no-untyped-def]
    return lambda codes, at, shift, lanes, out, to: _flags_ir(codes, at, shift, lanes, out, to)


@jit(nogil=True)
def every(codes):  # type: ignore[no-untyped-def]
    """The OR of all codes uint8[n]."""
    a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    whole = np.int64(codes.size) & -32
    for i in range(0, whole, 32):
        a |= load(codes, i)
        b |= load(codes, i + 8)
        c |= load(codes, i + 16)
        d |= load(codes, i + 24)
    a |= b | c | d
    a |= a >> np.uint64(32)
    a |= a >> np.uint64(16)
    a |= a >> np.uint64(8)
    for i in range(whole, codes.size):
        a |= np.uint64(codes[i])
    return np.int64(a & np.uint64(255))


@jit(nogil=True)
def pack(codes, offset, size, block, bits, shift, run, out):  # type: ignore[no-untyped-def]
    """The bits of a field from its codes to its place in each block."""
    each = size * 8 // bits
    up = np.uint64(shift)
    if bits == 8:
        strided(out, offset, block, codes, 0, size, size, out.size // block)
        return
    for i in range(out.size // block):
        at, to = i * each, i * block + offset
        stop = to + size
        if run & 15 == 0:
            while to < stop:
                for k in range(0, run, 16):
                    if bits == 4:
                        _runs(codes, at + k, up, run, 4, 2, out, to + k)
                    elif bits == 2:
                        _runs(codes, at + k, up, run, 2, 2, out, to + k)
                    else:
                        _runs(codes, at + k, up, run, 1, 2, out, to + k)
                at += run * 8 // bits
                to += run
        elif run & 7 == 0:
            while to < stop:
                for k in range(0, run, 8):
                    if bits == 4:
                        _runs(codes, at + k, up, run, 4, 1, out, to + k)
                    elif bits == 2:
                        _runs(codes, at + k, up, run, 2, 1, out, to + k)
                    else:
                        _runs(codes, at + k, up, run, 1, 1, out, to + k)
                at += run * 8 // bits
                to += run
        elif run == 1 and bits == 1:
            while to + 4 <= stop:
                _flags(codes, at, up, 32, out, to)
                at += 32
                to += 4
            while to < stop:
                _flags(codes, at, up, 8, out, to)
                at += 8
                to += 1
        else:
            while to < stop:
                for k in range(run):
                    byte = np.int64(0)
                    for q in range(8 // bits):
                        byte |= (np.int64(codes[at + q * run + k]) >> shift & ((1 << bits) - 1)) << q * bits
                    out[to + k] = np.uint8(byte)
                at += run * 8 // bits
                to += run


@jit(nogil=True)
def unpack(data, offset, size, block, bits, shift, run, codes):  # type: ignore[no-untyped-def]
    """The bits of a field into its codes, which have none of these bits yet: the inverse of pack."""
    each = size * 8 // bits
    up = np.uint64(shift)
    mask = _ONES * np.uint64((1 << bits) - 1)
    if bits == 8:
        strided(codes, 0, size, data, offset, block, size, data.size // block)
        return
    for i in range(data.size // block):
        to, at = i * each, i * block + offset
        stop = at + size
        if run & 7 == 0:
            while at < stop:
                for k in range(0, run, 8):
                    word = load(data, at + k)
                    for q in range(8 // bits):
                        p = to + q * run + k
                        store(codes, p, load(codes, p) | (word >> np.uint64(q * bits) & mask) << up)
                at += run
                to += run * 8 // bits
        elif run == 1 and bits == 1:
            while at < stop:
                word = np.uint64(data[at]) * _ONES & _DIAGONAL
                store(codes, to, load(codes, to) | (word + _SEVENS >> np.uint64(7) & _ONES) << up)
                at += 1
                to += 8
        else:
            while at < stop:
                for k in range(run):
                    byte = np.int64(data[at + k])
                    for q in range(8 // bits):
                        p = to + q * run + k
                        codes[p] = np.uint8(np.int64(codes[p]) | (byte >> q * bits & ((1 << bits) - 1)) << shift)
                at += run
                to += run * 8 // bits


@njit(**INNER)
def _make(held, room, out):  # type: ignore[no-untyped-def]
    """Codes to blocks, each part from its place in the room. Returns 0, or -1 if a code has bits that no field has."""
    offset, blocks = np.int64(0), out.size // held[SECOND]
    for f in range(held[FIRST]):
        part, size, bits, bad = held[PART + f], held[FIELDS + f], held[BITS + f], np.int64(255)
        codes = room[held[PLACES + part] : held[PLACES + part] + blocks * (size * 8 // bits)]
        for g in range(held[FIRST]):
            if held[PART + g] == part:
                bad &= ~(((1 << held[BITS + g]) - 1) << held[SHIFT + g])
        if held[SHIFT + f] == 0 and bad and every(codes) & bad:
            return -1
        pack(codes, offset, size, held[SECOND], bits, held[SHIFT + f], held[RUN + f], out)
        offset += size
    return 0


@cache
def make_address() -> int:
    """The address of what makes a span of packed codes: see codec.kernels.transforms.make_address."""

    def codes_at(row, first, second, again, out, n):  # type: ignore[no-untyped-def]
        held = carray(row, ROW)
        end = held[PLACES + held[COUNT] - 1] + 8 * n  # at least where the last part ends
        return _make(held, carray(first, end), carray(out, n))

    u8 = types.CPointer(types.uint8)
    return address_of(codes_at, types.int64(types.CPointer(types.int64), u8, u8, u8, u8, types.int64))

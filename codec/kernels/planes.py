"""Cut elements into planes and put them together again (FORMAT.md, section 5).

Elements are uint16, uint32 or uint64. There are two ways through a tile, with the same result. The plain
one is a few loops for any layout. The vector one does a whole tile in one loop, all planes at once, as LLVM
IR on vectors of 64 bytes, which LLVM cuts to what the processor has; it is compiled for a layout when that
is first seen, so it is used for the few layouts in ``VECTOR_LAYOUTS`` and for tiles that fill every byte of
their planes.

There is a pair of kernels for each layout (``kernels_for``), made by a factory: the layout is a number in
its closure, which numba takes for a constant and for a part of the cache's key. (As an argument whose type
tells the layout it cost 20 us a call, as much as the work on 200 KB.) Numbers are passed in arrays for the same reason.

Measured on a 3 GHz Cascade Lake core, bf16 in tiles of 384: merge 12 GB/s, against 1.4 with one jitted loop
for each plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, config, literally, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.tables import INNER

I64 = ir.IntType(64)

#: Plane widths, low to high, that the vector way is compiled for. The last is the symbol's.
VECTOR_LAYOUTS: Final = frozenset(
    {
        (8, 8),  # bf16 without mantissa bits in the symbol, fp16 with three, 16-bit integers
        (4, 2, 8),  # bf16, two mantissa bits
        (4, 1, 8),  # bf16, three
        (8, 2, 8),  # fp16, one
        (8, 1, 8),  # fp16, two
        (8, 8, 8, 8),  # fp32, none; 32-bit integers
        (8, 8, 4, 2, 8),  # fp32, two
        (8, 8, 4, 1, 8),  # fp32, three
        (8, 4, 1, 8, 8),  # fp32, three, where some rows hold fp16
        (8, 4, 1, 8, 1, 8),  # fp32, two, where some rows hold fp16
        (8, 8, 8, 8, 8, 8, 2, 8),  # fp64, three
    }
)


#: Rows of ``places``, int64[4, planes]: where a plane lies in the element, its width, where its bytes are, and (merge)
#: whether they are in the payload.
SHIFT: Final = 0
WIDTH: Final = 1
CURSOR: Final = 2
INSIDE: Final = 3


@dataclass(frozen=True, slots=True)
class Kernels:
    """The two kernels of a layout; see ``_make`` for what they take."""

    split: Any
    merge: Any


def code_of(widths: tuple[int, ...]) -> int:
    """The layout as a number: 4 bits a plane, low to high; 0 for one that has no vector way."""
    code = 0
    if widths in VECTOR_LAYOUTS and not config.DISABLE_JIT:
        for width in reversed(widths):
            code = code << 4 | width
    return code


#: The codes of those that have one.
VECTOR_CODES: Final = np.array(sorted(filter(None, map(code_of, VECTOR_LAYOUTS))), np.int64)


@cache
def kernels_for(widths: tuple[int, ...]) -> Kernels:
    """The kernels for planes of these widths, low to high."""
    return _make(code_of(widths))


def numbers(tile: int, fold: int, window: int, span: int, constant: int) -> NDArray[np.int64]:
    """The numbers both kernels take: elements in a tile, the bit the sign goes to (the top bit: it stays), the
    window of the last plane (0: none), its largest symbol, and the bits that no plane covers.
    """
    return np.array([tile, fold, window, span, constant], np.uint64).view(np.int64)


#: Bytes ahead that a split has fetched. It reads a tile in up to 8 runs at once, too short for the processor to see
#: that they go on: from memory it took 2.5 times as long without.
_AHEAD: Final = 1 << 13


class _Tile:
    """IR for one tile: the widths, and where element i of part r of each plane lies.

    A tile of m elements is taken in ``parts`` runs of q = m / parts elements, one part for each element
    that shares a byte of the narrowest plane. A plane of width b has 8/b elements a byte, g = parts * b/8
    runs of q bytes, and part r in run r mod g at bit b * (r div g).
    """

    def __init__(self, b: Any, layout: int, kind: Any) -> None:
        self.b, self.t = b, kind
        self.widths = [layout >> k & 15 for k in range(0, layout.bit_length(), 4)]
        self.parts = 8 // min(self.widths)

    def runs(self, p: int) -> int:
        return self.parts * self.widths[p] // 8

    def bit(self, p: int, r: int) -> int:
        return self.widths[p] * (r // self.runs(p))

    def vec(self, t: Any, lanes: int) -> Any:
        return ir.VectorType(t, lanes)

    def splat(self, x: Any, lanes: int) -> Any:
        empty = ir.Constant(self.vec(x.type, lanes), ir.Undefined)
        one = self.b.insert_element(empty, x, ir.Constant(ir.IntType(32), 0))
        return self.b.shuffle_vector(one, empty, ir.Constant(self.vec(ir.IntType(32), lanes), [0] * lanes))

    def const(self, v: int, t: Any, lanes: int) -> Any:
        return ir.Constant(self.vec(t, lanes), [v] * lanes)

    def load(self, address: Any, t: Any, lanes: int) -> Any:
        return self.b.load(self.b.inttoptr(address, self.vec(t, lanes).as_pointer()), align=1)

    def store(self, value: Any, address: Any) -> None:
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer()), align=1)

    def numbers(self, address: Any, count: int) -> list[Any]:
        """int64s behind an address, as scalars."""
        b = self.b
        places = [b.inttoptr(b.add(address, ir.Constant(I64, 8 * k)), I64.as_pointer()) for k in range(count)]
        return [b.load(place, align=8) for place in places]

    def cast(self, x: Any) -> Any:
        """An i64 as the element's type."""
        return self.b.trunc(x, self.t) if self.t.width < 64 else x

    def loops(self, m: Any, body: Any) -> None:
        """body(i, q, lanes) over i in [0, q): vectors of 64 bytes, then one of 32 and one of 16, then one by one."""
        b, full = self.b, 512 // self.t.width
        q = b.udiv(m, ir.Constant(I64, self.parts))
        at: Any = ir.Constant(I64, 0)
        for lanes in (full, full // 2, full // 4, 1):
            stop = b.add(at, b.and_(b.sub(q, at), ir.Constant(I64, -lanes)))
            with cgutils.for_range_slice(b, at, stop, ir.Constant(I64, lanes)) as (i, _):
                body(i, q, lanes)
            at = stop


@intrinsic(prefer_literal=True)
def _merge_tile(typing, layout, constant, dst, m, sources, shifts, window, fold):  # type: ignore[no-untyped-def]
    """One tile of planes into elements at the address dst; sources and shifts are addresses of int64[planes]."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        if not layout.literal_value:
            return context.get_dummy_value()
        tile = _Tile(b, layout.literal_value, context.get_value_type(constant))
        constant_, dst, m, sources, shifts, window, fold = args[1:]
        planes = len(tile.widths)
        source, shift = tile.numbers(sources, planes), tile.numbers(shifts, planes)
        size = ir.Constant(I64, tile.t.width // 8)

        def body(i: Any, q: Any, lanes: int) -> None:
            out = [tile.splat(constant_, lanes)] * tile.parts
            for p, width in enumerate(tile.widths):
                up = tile.splat(tile.cast(shift[p]), lanes)
                runs = [
                    tile.load(b.add(source[p], b.add(i, b.mul(q, ir.Constant(I64, g)))), ir.IntType(8), lanes)
                    for g in range(tile.runs(p))
                ]
                for r in range(tile.parts):
                    z = runs[r % tile.runs(p)]
                    if width < 8:
                        z = b.lshr(z, tile.const(tile.bit(p, r), ir.IntType(8), lanes))
                        z = b.and_(z, tile.const((1 << width) - 1, ir.IntType(8), lanes))
                    v = b.zext(z, tile.vec(tile.t, lanes))
                    if p == planes - 1:
                        zero = tile.const(0, tile.t, lanes)
                        add = tile.splat(tile.cast(window), lanes)
                        v = b.add(v, b.select(b.icmp_unsigned("!=", v, zero), add, zero))
                    out[r] = b.or_(out[r], b.shl(v, up))
            f = tile.splat(tile.cast(fold), lanes)
            one, top = tile.const(1, tile.t, lanes), tile.const(tile.t.width - 1, tile.t, lanes)
            mask = b.sub(b.shl(one, f), one)
            for r in range(tile.parts):
                high = b.lshr(out[r], f)
                x = b.or_(b.and_(out[r], mask), b.shl(high, top))
                x = b.or_(x, b.shl(b.lshr(high, one), f))
                place = b.add(i, b.mul(q, ir.Constant(I64, r)))
                tile.store(x, b.add(dst, b.mul(place, size)))

        tile.loops(m, body)
        return context.get_dummy_value()

    return types.void(layout, constant, *[types.int64] * 6), codegen


@intrinsic(prefer_literal=True)
def _split_tile(typing, layout, constant, src, m, targets, shifts, window, span, fold):  # type: ignore[no-untyped-def]
    """One tile of elements at the address src into planes. Returns 1 if a field lay outside the window, else 0."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        if not layout.literal_value:
            return ir.Constant(I64, 0)
        tile = _Tile(b, layout.literal_value, context.get_value_type(constant))
        constant_, src, m, targets, shifts, window, span, fold = args[1:]
        planes, byte = len(tile.widths), ir.IntType(8)
        target, shift = tile.numbers(targets, planes), tile.numbers(shifts, planes)
        size = ir.Constant(I64, tile.t.width // 8)
        lost = cgutils.alloca_once_value(b, ir.Constant(I64, 0))

        def body(i: Any, q: Any, lanes: int) -> None:
            f = tile.splat(tile.cast(fold), lanes)
            one, top = tile.const(1, tile.t, lanes), tile.const(tile.t.width - 1, tile.t, lanes)
            mask = b.sub(b.shl(one, f), one)
            known = b.not_(tile.splat(constant_, lanes))
            ys = []
            for r in range(tile.parts):
                place = b.add(i, b.mul(q, ir.Constant(I64, r)))
                x = tile.load(b.add(src, b.mul(place, size)), tile.t, lanes)
                high = b.lshr(b.lshr(b.shl(x, one), one), f)
                y = b.or_(b.and_(x, mask), b.shl(b.lshr(x, top), f))
                ys.append(b.and_(b.or_(y, b.shl(b.shl(high, f), one)), known))
            for p, width in enumerate(tile.widths):
                down = tile.splat(tile.cast(shift[p]), lanes)
                fields = [b.lshr(y, down) for y in ys]
                if p == planes - 1:
                    zero, add = tile.const(0, tile.t, lanes), tile.splat(tile.cast(window), lanes)
                    symbols, outside = [], []
                    for v in fields:
                        some = b.icmp_unsigned("!=", v, zero)
                        s = b.sub(v, add)
                        fits = b.icmp_unsigned("<", b.sub(s, one), tile.splat(tile.cast(span), lanes))
                        symbols.append(b.trunc(b.select(b.and_(some, fits), s, zero), tile.vec(byte, lanes)))
                        outside.append(b.and_(some, b.not_(fits)))
                    any_outside = outside[0]
                    for o in outside[1:]:
                        any_outside = b.or_(any_outside, o)
                    bits = b.bitcast(any_outside, ir.IntType(lanes))
                    hit = b.zext(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), I64)
                    b.store(b.or_(b.load(lost), hit), lost)
                    fields = symbols
                else:
                    fields = [b.trunc(v, tile.vec(byte, lanes)) for v in fields]
                    if width < 8:
                        fields = [b.and_(v, tile.const((1 << width) - 1, byte, lanes)) for v in fields]
                runs = fields[: tile.runs(p)]
                for r in range(tile.runs(p), tile.parts):
                    moved = b.shl(fields[r], tile.const(tile.bit(p, r), byte, lanes))
                    runs[r % tile.runs(p)] = b.or_(runs[r % tile.runs(p)], moved)
                for g, run in enumerate(runs):
                    tile.store(run, b.add(target[p], b.add(i, b.mul(q, ir.Constant(I64, g)))))

        tile.loops(m, body)
        return b.load(lost)

    return types.int64(layout, constant, *[types.int64] * 7), codegen


@njit(**INNER)
def _parts(widths):  # type: ignore[no-untyped-def]
    """Elements that share a byte of the narrowest plane: a tile of a multiple of them fills every byte."""
    least = 8
    for p in range(widths.size):
        least = min(least, widths[p])
    return 8 // least


@njit(**INNER)
def _fold(x, fold, top):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    high = (x & ((one << top) - one)) >> fold
    return (x & ((one << fold) - one)) | ((high << fold) << one) | ((x >> top) << fold)


@njit(**INNER)
def _split_plain(src, base, m, fold, window, span, constant, first, shifts, widths, out, cursor):  # type: ignore[no-untyped-def]
    """One tile, any layout. Returns 1 if a field lay outside the window."""
    f, top, known = np.uint64(fold), np.uint64(src.itemsize * 8 - 1), ~np.uint64(constant)
    planes, lost = shifts.size, 0
    for p in range(first, planes):
        width, shift = widths[p], np.uint64(shifts[p])
        q = (m * width + 7) // 8
        z = out[cursor[p] : cursor[p] + q]
        if p == planes - 1 and width == 8:
            for i in range(m):
                v = np.int64((_fold(np.uint64(src[base + i]), f, top) & known) >> shift)
                fits = v != 0 and 0 < v - window <= span
                z[i] = v - window if fits else 0
                lost |= np.int64(v != 0 and not fits)
            continue
        mask = np.uint64((1 << width) - 1)
        z[:] = 0
        for part in range(8 // width):
            x, up = src[base + min(part * q, m) : base + min(part * q + q, m)], np.uint64(part * width)
            for i in range(x.size):
                v = (_fold(np.uint64(x[i]), f, top) & known) >> shift
                z[i] |= np.uint8((v & mask) << up)
    return lost


@njit(**INNER)
def _merge_plain(dst, base, m, fold, window, constant, first, shifts, widths, payload, scratch, inside, cursor):  # type: ignore[no-untyped-def]
    """One tile, any layout. Returns 0, or what the bits are that no element uses."""
    kind = dst.dtype.type
    top, one, f = np.uint64(dst.itemsize * 8 - 1), np.uint64(1), np.uint64(fold)
    low = (one << f) - one
    planes = shifts.size
    y = dst[base : base + m]
    y[:] = constant
    unused = np.uint64(0)
    for p in range(first, planes):
        width, shift = widths[p], np.uint64(shifts[p])
        q = (m * width + 7) // 8
        z = payload[cursor[p] : cursor[p] + q] if inside[p] else scratch[cursor[p] : cursor[p] + q]
        add = np.uint64(window) if p == planes - 1 else np.uint64(0)
        mask = np.uint64((1 << width) - 1)
        for part in range(8 // width):
            x, down = y[min(part * q, m) : min(part * q + q, m)], np.uint64(part * width)
            for i in range(x.size):
                v = (np.uint64(z[i]) >> down) & mask
                v = v + add if v != np.uint64(0) else v
                x[i] |= kind(v << shift)
            for i in range(x.size, q):
                unused |= (np.uint64(z[i]) >> down) & mask
    for i in range(m):
        v = np.uint64(y[i])
        high = v >> f
        y[i] = kind((v & low) | ((high >> one) << f) | ((high & one) << top))
    return np.int64(unused != np.uint64(0))


@njit(**INNER)
def _merge(layout, dst, ints, drops, places, payload, scratch, zeros):  # type: ignore[no-untyped-def]
    literally(layout)
    n, planes, kind = dst.size, places.shape[1], dst.dtype.type
    tile, fold, window, constant = ints[0], ints[1], ints[2], kind(np.uint64(ints[4]))
    shifts, widths, cursor, inside = places[SHIFT], places[WIDTH], places[CURSOR], places[INSIDE]
    parts = _parts(widths)
    source = np.empty(64, np.int64)
    unused = np.int64(0)
    for t in range((n + tile - 1) // tile):
        base = t * tile
        m = min(tile, n - base)
        first = min(np.int64(drops[t]), planes) if drops.size else 0
        if layout != 0 and m % parts == 0:
            for p in range(planes):
                if p < first:
                    source[p] = zeros.ctypes.data
                else:
                    source[p] = (payload.ctypes.data if inside[p] else scratch.ctypes.data) + cursor[p]
            address, of, up = dst.ctypes.data + base * dst.itemsize, source.ctypes.data, shifts.ctypes.data
            _merge_tile(layout, constant, address, m, of, up, window, fold)
        else:
            unused |= _merge_plain(
                dst, base, m, fold, window, constant, first, shifts, widths, payload, scratch, inside, cursor
            )
        for p in range(first, planes):
            cursor[p] += (m * widths[p] + 7) // 8
    return -unused


@intrinsic
def _will_read(typing, address):  # type: ignore[no-untyped-def]
    """Have the cache line at an address fetched. Any address will do: it cannot fault."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        i32, place = ir.IntType(32), ir.PointerType()
        prefetch = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(ir.VoidType(), [place, i32, i32, i32]), "llvm.prefetch.p0"
        )
        b.call(prefetch, [b.inttoptr(args[0], place), ir.Constant(i32, 0), ir.Constant(i32, 3), ir.Constant(i32, 1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@njit(**INNER)
def _no_zero(z):  # type: ignore[no-untyped-def]
    least = np.uint8(255)
    for i in range(z.size):
        least = min(least, z[i])
    return least > 0


@njit(**INNER)
def _split(layout, plain, src, ints, drops, places, out, spare, escape_at, escape_value):  # type: ignore[no-untyped-def]
    literally(layout)
    n, planes, kind = src.size, places.shape[1], src.dtype.type
    tile, fold, window, span, constant = ints[0], ints[1], ints[2], ints[3], kind(np.uint64(ints[4]))
    shifts, widths, cursor = places[SHIFT], places[WIDTH], places[CURSOR]
    parts = _parts(widths)
    escapes = 0
    target = np.empty(64, np.int64)
    for t in range((n + tile - 1) // tile):
        base = t * tile
        m = min(tile, n - base)
        first = min(np.int64(drops[t]), planes) if drops.size else 0
        if layout != 0 and not plain and m % parts == 0:
            for p in range(planes):
                target[p] = out.ctypes.data + cursor[p] if p >= first else spare.ctypes.data
            address, to, down = src.ctypes.data + base * src.itemsize, target.ctypes.data, shifts.ctypes.data
            for line in range(_AHEAD, _AHEAD + m * src.itemsize, 64):
                _will_read(address + line)
            lost = _split_tile(layout, constant, address, m, to, down, window, span, fold)
        else:
            lost = _split_plain(src, base, m, fold, window, span, constant, first, shifts, widths, out, cursor)
        if lost and first < planes:
            f, top = np.uint64(fold), np.uint64(src.itemsize * 8 - 1)
            z = out[cursor[planes - 1] : cursor[planes - 1] + m]
            for start in range(0, m, 64):
                stop = min(start + 64, m)
                if widths[planes - 1] == 8 and _no_zero(z[start:stop]):  # an escape is 0 in the last plane
                    continue
                for i in range(start, stop):
                    y = _fold(np.uint64(src[base + i]), f, top) & ~np.uint64(constant)
                    v = np.int64(y >> np.uint64(shifts[planes - 1]))
                    if v != 0 and not 0 < v - window <= span:
                        if escapes >= escape_at.size:
                            return -1
                        escape_at[escapes] = base + i
                        escape_value[escapes] = v
                        escapes += 1
        for p in range(first, planes):
            cursor[p] += (m * widths[p] + 7) // 8
    return escapes


@cache
def _make(layout: int) -> Kernels:
    @jit(nogil=True)
    def split(src, ints, drops, places, out, spare, escape_at, escape_value):  # type: ignore[no-untyped-def]
        """Elements -> planes. Returns the number of escapes, or -1 if there are more than the arrays hold.

        src uintW[n]; ints from ``numbers``; drops uint8[tiles] or empty; out uint8 with room for each plane at
        its cursor, which moves to its end; spare uint8[>= tile] takes dropped planes. A field beyond the span is an
        escape. Bits that no plane covers are left out: the caller knows them to be constant.
        """
        return _split(layout, 0, src, ints, drops, places, out, spare, escape_at, escape_value)

    @jit(nogil=True)
    def merge(dst, ints, drops, places, payload, scratch, zeros):  # type: ignore[no-untyped-def]
        """Planes -> elements, without escapes. Returns 0, or -1 if bits that no element uses are not 0.

        dst uintW[n], contiguous; ints from ``numbers``; a plane begins at its cursor, which moves to its end,
        of ``payload`` if its INSIDE is 1, else of ``scratch`` (both uint8); zeros uint8[>= tile], all 0. The
        caller has checked that each plane's bytes lie within its array, as the geometry counts them, and that
        shifts and fold are less than the element's width; nothing depends on what the bytes are.
        """
        return _merge(layout, dst, ints, drops, places, payload, scratch, zeros)

    return Kernels(split, merge)


@jit(nogil=True)
def check_escapes(n, ints, drops, places, payload, scratch, listed, count):  # type: ignore[no-untyped-def]
    """Before ``merge``: -1 if an escape is out of order, outside, or where the last plane is missing or not 0.

    Arguments as for ``merge`` and ``put_escapes``; n elements, count >= 1.
    """
    planes, tile, before, t = places.shape[1], ints[0], np.int64(-1), np.int64(0)
    width, start, inside = places[WIDTH, planes - 1], places[CURSOR, planes - 1], places[INSIDE, planes - 1]
    mask = np.int64((1 << width) - 1)
    for k in range(count):
        i = np.int64(0)
        for j in range(4):
            i |= np.int64(listed[4 * k + j]) << (8 * j)
        if i <= before or i >= n:
            return -1
        before = i
        while i >= (t + 1) * tile:
            if drops.size == 0 or np.int64(drops[t]) < planes:
                start += (tile * width + 7) // 8
            t += 1
        if drops.size and np.int64(drops[t]) >= planes:
            return -1
        q = (min(tile, n - t * tile) * width + 7) // 8
        e = i - t * tile
        byte = start + e % q
        held = np.int64(payload[byte] if inside else scratch[byte])
        if (held >> (e // q * width)) & mask:
            return -1
    return 0


@jit(nogil=True)
def put_escapes(dst, ints, drops, shift, planes, listed, count):  # type: ignore[no-untyped-def]
    """OR escapes into merged elements. -1 if one is zero, out of order, outside, or where there is no last
    plane; else 0.

    ``listed`` (uint8) has ``count`` positions, u32, and as many values, u16. Moving bits commutes with OR, so a value
    is moved to where the sign's fold puts it and added to the element.
    """
    kind, tile, before = dst.dtype.type, ints[0], np.int64(-1)
    one, f, top = np.uint64(1), np.uint64(ints[1]), np.uint64(dst.itemsize * 8 - 1)
    for k in range(count):
        i, v = np.int64(0), np.uint64(0)
        for j in range(4):
            i |= np.int64(listed[4 * k + j]) << (8 * j)
        for j in range(2):
            v |= np.uint64(listed[4 * count + 2 * k + j]) << np.uint64(8 * j)
        if i <= before or i >= dst.size or v == np.uint64(0):
            return -1
        if drops.size and np.int64(drops[i // tile]) >= planes:
            return -1
        before = i
        y = np.uint64(kind(v << np.uint64(shift)))
        high = y >> f
        dst[i] |= kind((y & ((one << f) - one)) | ((high >> one) << f) | ((high & one) << top))
    return 0


_U8, _I64 = types.CPointer(types.uint8), types.CPointer(types.int64)


@cache
def merge_address(layout: int, width: int) -> int:
    """The address of ``merge`` of a layout (see ``code_of``) for elements of ``width`` bytes, for kernels that call it.

    int64 f(dst, n, ints, drops, tiles, places, planes, payload, payload_size, scratch, scratch_size, zeros, escapes,
    first, place), each an int64: ``merge`` and then ``put_escapes``, with its result. ``tiles`` is 0 without drops; the
    escapes are listed at the front of the scratch. Behind the ``first`` elements, whole tiles, the plane before the
    last goes on at ``place`` in the scratch.
    """
    element = types.CPointer(types.Integer.from_bitwidth(8 * width, signed=False))
    i64 = types.int64
    signature = i64(element, i64, _I64, _U8, i64, _I64, i64, _U8, i64, _U8, i64, _U8, i64, i64, i64)

    def merge_at(  # type: ignore[no-untyped-def]
        dst, n, ints, drops, tiles, places, planes, payload, payload_size, scratch, scratch_size, zeros, escapes, first,
        place,
    ):  # fmt: skip
        out, numbers, rows = carray(dst, n), carray(ints, 5), carray(places, (4, planes))
        dropped, data, work = carray(drops, tiles), carray(payload, payload_size), carray(scratch, scratch_size)
        if escapes and check_escapes(n, numbers, dropped, rows, data, work, work, escapes) < 0:
            return -1
        begin, end = 0, first if first else n
        while begin < n:  # once or twice
            if _merge(layout, out[begin:end], numbers, dropped, rows, data, work, carray(zeros, 1 << 14)) < 0:
                return -1
            begin, end = end, n
            if begin < n:
                rows[CURSOR, planes - 2], rows[INSIDE, planes - 2] = place, 0
        if escapes == 0:
            return 0
        return put_escapes(out, numbers, dropped, rows[SHIFT, planes - 1], planes, work, escapes)

    return address_of(merge_at, signature)


_U16, _U32 = types.CPointer(types.uint16), types.CPointer(types.uint32)


@cache
def split_address(layout: int, width: int) -> int:
    """The address of ``split`` of a layout (see ``code_of``) for elements of ``width`` bytes, for kernels that call it.

    int64 f(plain, src, n, ints, drops, tiles, places, planes, out, size, spare, escape_at, escape_value, room), each an
    int64: ``tiles`` is 0 without drops, ``size`` that of ``out``, ``room`` that of the escapes. Any layout will do if
    ``plain`` is 1: the vector way is not taken then.
    """
    element = types.CPointer(types.Integer.from_bitwidth(8 * width, signed=False))
    i64 = types.int64
    signature = i64(i64, element, i64, _I64, _U8, i64, _I64, i64, _U8, i64, _U8, _U32, _U16, i64)

    def split_at(  # type: ignore[no-untyped-def]
        plain, src, n, ints, drops, tiles, places, planes, out, size, spare, escape_at, escape_value, room
    ):
        at, values = carray(escape_at, room), carray(escape_value, room)
        rows, dropped = carray(places, (3, planes)), carray(drops, tiles)
        x, numbers, target, over = carray(src, n), carray(ints, 5), carray(out, size), carray(spare, 1 << 14)
        return _split(layout, plain, x, numbers, dropped, rows, target, over, at, values)

    return address_of(split_at, signature)

"""rANS decoding with its tables in registers: 64 or 128 lanes, AVX-512 with VBMI (format_spec/stages/2_rans.md).

The tables are those of codec.kernels.registers: a few byte permutes lead from a slot to its symbol, frequency and
start, for 64 lanes at once, where a table of 4096 entries takes a gather for 16.

A group of 64 waits for the one before, and keeps the units busy for less than half of that time. So 128 lanes are two
groups side by side, and two chunks are four. On a Zen 5 core, in G symbols/s with 1 to 16 tables (python -m
bench.kernels): gathers 3.2-3.6, 64 lanes 3.1-3.9, 128 lanes 5.4-7.3, two chunks 6.3-9.8.

Any bytes whatever as table, states and words are safe: nothing here forms an address from them, and a read position
moves by at most 2 bytes for each lane of a group, which the caller of a group has made sure are there.
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
from codec.kernels.registers import (
    BASE,
    DIRECT,
    FREQ_HIGH,
    FREQ_LOW,
    LIMIT,
    SIZE,
    START_HIGH,
    START_LOW,
    SYMBOL,
)
from codec.kernels.tables import INNER

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))

#: Bytes that the end of a stream is copied to: less than 256 of it, so that a group can read 256 wherever it stands.
PAD: Final = 1024


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


class _Stream:
    """One stream of words in the IR: its tables and states in registers, as far as there are any left."""

    def __init__(self, v: _Registers, quads: int, table: Any, states: Any) -> None:
        self.v, self.quads = v, quads
        parts = (BASE, LIMIT, DIRECT, DIRECT + 128, SYMBOL, FREQ_LOW, FREQ_HIGH, START_LOW, START_HIGH)
        self.tables = [tuple(v.load(v.plus(table, at + 64 * k), I8, 64) for k in (0, 1)) for at in parts]
        self.states = states
        self.xs = [cgutils.alloca_once(v.b, ir.VectorType(I32, 16)) for _ in range(4 * quads)]
        for j, x in enumerate(self.xs):
            v.b.store(v.load(v.plus(states, 64 * j), I32, 16), x)

    def keep(self) -> None:
        for j, x in enumerate(self.xs):
            self.v.store(self.v.b.load(x), self.v.plus(self.states, 64 * j))

    def _step(self, old: list[Any]) -> tuple[Any, list[Any]]:
        """(symbols of 64 lanes, their states before new words come in)."""
        v, b = self.v, self.v.b
        base, limit, near, far, symbol, f_low, f_high, s_low, s_high = self.tables
        zero = v.const(0, I8, 64)
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
        # packing leaves the four symbols of lanes 16 j + 4 l .. at 16 l + 4 j
        back = ir.Constant(ir.VectorType(I32, 16), [4 * (k % 4) + k // 4 for k in range(16)])
        symbols = b.bitcast(v.look_up(symbol, rank), ir.VectorType(I32, 16))
        symbols = b.bitcast(b.shuffle_vector(symbols, symbols, back), zero.type)
        f, s = [v.look_up(f_low, rank), v.look_up(f_high, rank)], [v.look_up(s_low, rank), v.look_up(s_high, rank)]
        new = []
        for half in (0, 1):
            offset, freq = b.sub(pairs[half], v.unpack(s[0], s[1], half)), v.unpack(f[0], f[1], half)
            for k in (0, 1):
                entry = v.unpack(freq, offset, k)
                x = b.lshr(old[2 * half + k], v.const(12, I32, 16))
                x = b.mul(b.and_(entry, v.const(65535, I32, 16)), x)
                new.append(b.add(x, b.lshr(entry, v.const(16, I32, 16))))
        return symbols, new

    def group(self, p: Any, out: Any, left: Any = None) -> Any:
        """One group; ``left``: how many symbols, where not all. Returns the read address behind it."""
        v, b, quads = self.v, self.v.b, self.quads
        old = [b.load(x) for x in self.xs]
        steps = [self._step(old[4 * k : 4 * k + 4]) for k in range(quads)]
        valid = []
        if left is None:
            for k, (symbols, _) in enumerate(steps):
                v.store(symbols, v.plus(out, 64 * k))
        else:
            wide = ir.IntType(64 * quads)
            one = ir.Constant(wide, 1)
            mask = b.sub(b.shl(one, b.zext(left, wide) if quads > 1 else left), one)

            def part(at: int, t: Any) -> Any:
                bits = b.lshr(mask, ir.Constant(wide, at))
                return b.bitcast(b.trunc(bits, t) if t != wide else bits, ir.VectorType(I1, t.width))

            for k, (symbols, _) in enumerate(steps):
                place = b.inttoptr(v.plus(out, 64 * k), ir.PointerType())
                v.call(
                    "llvm.masked.store.v64i8.p0", ir.VoidType(),
                    [symbols, place, ir.Constant(I32, 1), part(64 * k, I64)],
                )  # fmt: skip
            valid = [part(16 * j, I16) for j in range(4 * quads)]
        for j, x in enumerate(x for _, some in steps for x in some):
            low = b.icmp_unsigned("<", x, v.const(65536, I32, 16))
            if valid:
                low = b.and_(low, valid[j])
                x = b.select(valid[j], x, old[j])
            bits = b.zext(b.bitcast(low, I16), I64)
            more = b.zext(v.load(p, I16, 16), ir.VectorType(I32, 16))
            more = v.call("llvm.x86.avx512.mask.expand.v16i32", more.type, [more, v.const(0, I32, 16), low])
            b.store(b.or_(b.select(low, b.shl(x, v.const(16, I32, 16)), x), more), self.xs[j])
            p = b.add(p, b.shl(v.call("llvm.ctpop.i64", I64, [bits]), ir.Constant(I64, 1)))
        return p


@intrinsic(prefer_literal=True)
def _groups(typing, quads, words, table, states, dst, n, rest):  # type: ignore[no-untyped-def]
    """Decode n whole groups of 64 * ``quads`` symbols, then one of ``rest`` (0: none). Returns the read address.

    ``quads`` is a literal. All else are addresses and numbers. Each vector reads 16 words at p whatever its mask, and p
    moves by at most 16: 128 * quads bytes must be there for each group.
    """

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        words, table, states, dst, n, rest = args[1:]
        stream = _Stream(_Registers(b), quads.literal_value, table, states)
        at = cgutils.alloca_once_value(b, words)
        size = ir.Constant(I64, 64 * quads.literal_value)
        with cgutils.for_range(b, n) as loop:
            b.store(stream.group(b.load(at), b.add(dst, b.mul(loop.index, size))), at)
        with b.if_then(b.icmp_unsigned("!=", rest, ir.Constant(I64, 0))):
            b.store(stream.group(b.load(at), b.add(dst, b.mul(n, size)), rest), at)
        stream.keep()
        return b.load(at)

    return types.int64(quads, *[types.int64] * 6), codegen


@intrinsic
def _two(typing, words, tables, states, targets, n):  # type: ignore[no-untyped-def]
    """Decode n whole groups of 128 symbols of each of two streams that know nothing of each other.

    The first four are pairs of addresses; 256 bytes must be there for each group. Returns both read
    addresses.
    """

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        v = _Registers(b)
        words, tables, states, targets = [[b.extract_value(pair, k) for k in (0, 1)] for pair in args[:4]]
        streams = [_Stream(v, 2, tables[k], states[k]) for k in (0, 1)]
        at = [cgutils.alloca_once_value(b, word) for word in words]
        with cgutils.for_range(b, args[4]) as loop:
            done = b.shl(loop.index, ir.Constant(I64, 7))
            for k in (0, 1):
                b.store(streams[k].group(b.load(at[k]), b.add(targets[k], done)), at[k])
        for stream in streams:
            stream.keep()
        return context.make_tuple(b, signature.return_type, [b.load(at[0]), b.load(at[1])])

    pair = types.UniTuple(types.int64, 2)
    return pair(pair, pair, pair, pair, types.int64), codegen


#: Fields of a job, int64[FIELDS]: where the words begin and end in the stream; lanes (0: no job); the address of its
#: tables; tiles, bytes in each; the addresses of its states and of the output; bytes; memory to fetch for writing
#: meanwhile, and how much of it for each byte (0: none); and, when it is done, the read position, or -1.
AT, END, LANES, TABLES, TILES, TILE, STATES, TARGET, BYTES, AHEAD, STEP, FOUND, FIELDS = range(13)


@njit(**INNER)
def _fetch(job, base, q):  # type: ignore[no-untyped-def]
    if job[STEP] > 0:
        for line in range(base * job[STEP], (base + q) * job[STEP], 64):
            will_write(job[AHEAD] + line)


@njit(**INNER)
def _one(quads, src, pad, choice, job, t, base, done):  # type: ignore[no-untyped-def]
    """Do a job from byte ``done`` of tile t on, which begins at ``base``."""
    literally(quads)
    lanes = 64 * quads
    # the stream until less is left than a group may take, then what is left of it, padded with zeros
    words, stop, position, inside = src.ctypes.data, job[END], job[AT], True
    while t < job[TILES]:
        q = min(job[TILE], job[BYTES] - base)
        if done == 0:
            _fetch(job, base, q)
        entries = job[TABLES] + np.int64(choice[t]) * SIZE
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
            here = words + position
            position += _groups(quads, here, entries, job[STATES], job[TARGET] + base + done, whole, rest) - here
            if position > stop:
                job[FOUND] = -1
                return
            done += lanes * whole + rest
        base += q
        t += 1
        done = 0
    job[FOUND] = position if inside else job[END] - stop + position


@njit(**INNER)
def _alone(src, pad, choice, job):  # type: ignore[no-untyped-def]
    if job[LANES] == 128:
        _one(2, src, pad, choice, job, 0, 0, 0)
    elif job[LANES] == 64:
        _one(1, src, pad, choice, job, 0, 0, 0)


@njit(**INNER)
def _together(src_a, pad_a, choice_a, a, src_b, pad_b, choice_b, b):  # type: ignore[no-untyped-def]
    """Do two jobs, side by side while each has 256 bytes of its stream left: the next group of one does not wait for
    its last, so that two take little longer than one.
    """
    if a[LANES] != 128 or b[LANES] != 128:
        _alone(src_a, pad_a, choice_a, a)
        _alone(src_b, pad_b, choice_b, b)
        return
    t, base, done, p, stop = (
        np.int64(0),
        np.int64(0),
        np.int64(0),
        src_a.ctypes.data + a[AT],
        src_a.ctypes.data + a[END],
    )
    u, origin, ready, r, end = (
        np.int64(0),
        np.int64(0),
        np.int64(0),
        src_b.ctypes.data + b[AT],
        src_b.ctypes.data + b[END],
    )
    while t < a[TILES] and u < b[TILES] and stop - p >= 256 and end - r >= 256:
        q, other = min(a[TILE], a[BYTES] - base), min(b[TILE], b[BYTES] - origin)
        if done == 0:
            _fetch(a, base, q)
        if ready == 0:
            _fetch(b, origin, other)
        tables = (a[TABLES] + np.int64(choice_a[t]) * SIZE, b[TABLES] + np.int64(choice_b[u]) * SIZE)
        targets = (a[TARGET] + base + done, b[TARGET] + origin + ready)
        whole = min(min((q - done) >> 7, (other - ready) >> 7), min((stop - p) >> 8, (end - r) >> 8))
        if whole > 0:
            p, r = _two((p, r), tables, (a[STATES], b[STATES]), targets, whole)
            done += 128 * whole
            ready += 128 * whole
        else:  # the last group of a tile, of either or of both
            if q - done < 128:
                p = _groups(2, p, tables[0], a[STATES], targets[0], 0, q - done)
                done = q
            if other - ready < 128:
                r = _groups(2, r, tables[1], b[STATES], targets[1], 0, other - ready)
                ready = other
        if done >= q:
            t, base, done = t + 1, base + q, np.int64(0)
        if ready >= other:
            u, origin, ready = u + 1, origin + other, np.int64(0)
    a[AT], b[AT] = p - src_a.ctypes.data, r - src_b.ctypes.data
    _one(2, src_a, pad_a, choice_a, a, t, base, done)
    _one(2, src_b, pad_b, choice_b, b, u, origin, ready)


@jit(nogil=True)
def decode(src, pad, choice, job, other_src, other_pad, other_choice, other):  # type: ignore[no-untyped-def]
    """Do a job, or two: decode bytes in tiles from words, which leaves the read position in FOUND, -1 if they run out.

    src uint8, of which job[END] bytes are there; pad uint8[PAD] is worked in; choice uint8[tiles], each below the
    number of tables; job int64[FIELDS], whose AT changes. Only where cpu.permutes().
    """
    _together(src, pad, choice, job, other_src, other_pad, other_choice, other)


_U8, _I64 = types.CPointer(types.uint8), types.CPointer(types.int64)
_DECODE_AT: Final = types.int64(_U8, _U8, _U8, _I64, _U8, _U8, _U8, _I64)


@cache
def decode_address() -> int:
    """The address of ``decode`` for kernels that call it, 0 where it cannot run: int64 f(src, pad, choice, job, src,
    pad, choice, job), each an int64. It returns 0.
    """
    if not cpu.permutes():
        return 0

    def decode_at(src, pad, choice, job, other_src, other_pad, other_choice, other):  # type: ignore[no-untyped-def]
        one, two = carray(job, FIELDS), carray(other, FIELDS)
        _together(
            carray(src, one[END]), carray(pad, PAD), carray(choice, one[TILES]), one,
            carray(other_src, two[END]), carray(other_pad, PAD), carray(other_choice, two[TILES]), two,
        )  # fmt: skip
        return 0

    return address_of(decode_at, _DECODE_AT)

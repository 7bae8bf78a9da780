"""Bytes coded bit by bit, with the mixed predictions of several contexts (format_spec/stages/8_mixing.md).

Encoder and decoder are one function, so that they share the model to the bit. Predicting bits, mixing the predictions
in the logistic domain, the match, the estimate behind the mixer and the coder without carries are those of PAQ and lpaq
(M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", Florida Tech., 2005, and lpaq1). What
the contexts know of numbers in rows is ours: the usual size of the numbers nearby and of those in the same column.

All is integer arithmetic, in vectors of 16 lanes that LLVM cuts to what the processor has. 1.9 to 2.8 MB/s on one core
of an EPYC, the less the more the contexts differ: a third of the time goes into fetching slots from beyond the second
cache (fetching them ahead gained nothing).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from codec.kernels.cached import jit

#: Contexts, and inputs of the mixer: the contexts, the match, a constant, and zeros.
CONTEXTS: Final = 10
LANES: Final = 16
#: The largest stretched probability, in 256ths of ln(odds).
EDGE: Final = 3071
#: Bounds of the parameters, and their places in ``parameters``.
ROW_MAX: Final = 1 << 16
FAR_MAX: Final = 1 << 19
RATE_MAX: Final = 32
FRAMING_MAX: Final = 4
FRAMING, SIGNED, CENTRE, RATE, ROW, FAR = range(6)
#: Sizes of what ``code`` works in: slots and places of matches for each power of two of the plane, weights, estimates.
BITS_LEAST: Final = 12
BITS_MAX: Final = 22
SETS: Final = 256 + 8 * 64
ESTIMATES: Final = 256 * 33
LENGTHS: Final = 64
#: Why ``code`` stopped: there is no room for more; the stream does not end as it should.
FULL: Final = -1
LONG: Final = -2

_HALF: Final = 1 << 31
_KNOTS: Final = (
    1, 1, 1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743,
    32768,
)  # fmt: skip


def bits_for(size: int) -> int:
    """log2 of the slots for a plane of so many bytes."""
    return min(max((size - 1).bit_length() + 3, BITS_LEAST), BITS_MAX)


def _tables() -> tuple[Any, Any, Any]:
    """Probability (of 65536) for each stretched one from -EDGE on; its inverse, for 4096; and what a slot learns."""
    knots = [*_KNOTS, *(65536 - k for k in _KNOTS[-2::-1])]
    squash = np.zeros(2 * EDGE + 1, np.int32)
    for d in range(-EDGE, EDGE + 1):
        i, w = divmod(d + EDGE + 1, 128)
        squash[d + EDGE] = knots[i] * (128 - w) + knots[i + 1] * w + 64 >> 7
    stretch = np.minimum(np.searchsorted(squash >> 4, np.arange(4096), "left") - EDGE, EDGE).astype(np.int32)
    return squash, stretch, np.array([8192 // (2 * n + 3) for n in range(256)], np.int32)


_SQUASH, _STRETCH, _RATES = _tables()

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_V32, _V64 = ir.VectorType(_I32, LANES), ir.VectorType(_I64, LANES)


class _Code:
    """The few idioms of the IR below."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.b, self.types, self.args = context, builder, signature.args, args

    def data(self, k: int) -> Any:
        """Where the array of argument k begins."""
        return self.context.make_array(self.types[k])(self.context, self.b, self.args[k]).data

    def vector(self, pointer: Any) -> Any:
        return self.b.bitcast(pointer, _V32.as_pointer())

    def load(self, pointer: Any) -> Any:
        return self.b.load(self.vector(pointer), align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.b.store(value, self.vector(pointer), align=4)

    def const(self, value: int, kind: Any = _V32) -> Any:
        return ir.Constant(kind, [value] * LANES)

    def splat(self, value: Any) -> Any:
        none = ir.Constant(_V32, ir.Undefined)
        first = self.b.insert_element(none, self.b.trunc(value, _I32), ir.Constant(_I32, 0))
        return self.b.shuffle_vector(first, none, ir.Constant(_V32, [0] * LANES))

    def call(self, name: str, kind: Any, *args: Any) -> Any:
        function = ir.FunctionType(kind, [a.type for a in args])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, function, name), args)

    def dot(self, weights: Any, inputs: Any) -> Any:
        wide = self.b.mul(self.b.sext(weights, _V64), self.b.sext(inputs, _V64))
        return self.call("llvm.vector.reduce.add.v16i64", _I64, wide)


@intrinsic
def _predict_ir(typing, table, buckets, node, stretch, rates, match, weights, first, second, seen, learnt, inputs, out):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        c = _Code(context, b, signature, args)
        slots, stretched, learn = (ir.Constant(_V32, [0] * LANES) for _ in range(3))
        for k in range(CONTEXTS):
            lane = ir.Constant(_I32, k)
            bucket = b.load(b.gep(c.data(1), [ir.Constant(_I64, k)]))
            slot = b.load(b.gep(c.data(0), [b.add(bucket, args[2])]))
            place = b.zext(b.lshr(slot, ir.Constant(_I32, 20)), _I64)
            count = b.zext(b.and_(slot, ir.Constant(_I32, 1023)), _I64)
            slots = b.insert_element(slots, slot, lane)
            stretched = b.insert_element(stretched, b.load(b.gep(c.data(3), [place])), lane)
            learn = b.insert_element(learn, b.load(b.gep(c.data(4), [count])), lane)
        c.store(slots, c.data(9))
        c.store(learn, c.data(10))
        trust = b.add(b.mul(b.and_(slots, c.const(1023)), c.const(2)), c.const(3))
        trust = c.call("llvm.umin.v16i32", _V32, trust, c.const(16))
        values = b.ashr(b.mul(stretched, trust), c.const(4))
        values = b.insert_element(values, b.trunc(args[5], _I32), ir.Constant(_I32, CONTEXTS))
        values = b.insert_element(values, ir.Constant(_I32, 256), ir.Constant(_I32, CONTEXTS + 1))
        c.store(values, c.data(11))
        for k, at in enumerate(args[7:9]):
            b.store(c.dot(c.load(b.gep(c.data(6), [at])), values), b.gep(c.data(12), [ir.Constant(_I64, k)]))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(
        table, buckets, i64, stretch, rates, i64, weights, i64, i64, seen, learnt, inputs, out
    ), codegen  # fmt: skip


@intrinsic
def _learn_ir(typing, table, buckets, node, target, weights, first, second, errors, others, seen, learnt, inputs):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        c = _Code(context, b, signature, args)
        slots, values = c.load(c.data(9)), c.load(c.data(11))
        old = b.lshr(slots, c.const(10))
        step = b.ashr(b.mul(b.ashr(b.sub(c.splat(args[3]), old), c.const(4)), c.load(c.data(10))), c.const(8))
        count = b.add(b.and_(slots, c.const(1023)), c.const(1))
        count = c.call("llvm.umin.v16i32", _V32, count, c.const(255))
        new = b.or_(b.shl(b.add(old, step), c.const(10)), count)
        for k in range(CONTEXTS):
            bucket = b.load(b.gep(c.data(1), [ir.Constant(_I64, k)]))
            b.store(b.extract_element(new, ir.Constant(_I32, k)), b.gep(c.data(0), [b.add(bucket, args[2])]))
        for at, error in ((args[5], args[7]), (args[6], args[8])):
            place = b.gep(c.data(4), [at])
            change = b.ashr(b.add(b.mul(values, c.splat(error)), c.const(1 << 13)), c.const(14))
            change = b.add(c.load(place), change)
            change = c.call("llvm.smin.v16i32", _V32, change, c.const((1 << 20) - 1))
            c.store(c.call("llvm.smax.v16i32", _V32, change, c.const(-(1 << 20))), place)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(table, buckets, i64, i64, weights, i64, i64, i64, i64, seen, learnt, inputs), codegen


def _predict_plain(table, buckets, node, stretch, rates, match, weights, first, second, seen, learnt, inputs, out):  # type: ignore[no-untyped-def]
    """Inputs of the mixer from the contexts' slots, and what two sets of weights make of them, in ``out`` (int64[2]).

    A slot is 22 bits of probability and 10 of a count. ``node``: which slot of its bucket; ``seen`` and ``learnt`` keep
    slots and rates for ``_learn``.
    """
    for k in range(CONTEXTS):
        seen[k] = table[buckets[k] + node]
        learnt[k] = rates[seen[k] & 1023]
        inputs[k] = int(stretch[seen[k] >> 20]) * min(2 * (int(seen[k]) & 1023) + 3, 16) >> 4
    inputs[CONTEXTS], inputs[CONTEXTS + 1] = match, 256
    for k, at in enumerate((first, second)):
        out[k] = sum(int(w) * int(x) for w, x in zip(weights[at : at + LANES], inputs, strict=True))


def _learn_plain(table, buckets, node, target, weights, first, second, errors, others, seen, learnt, inputs):  # type: ignore[no-untyped-def]
    """The slots and the two sets of weights of ``_predict``, once the bit is known."""
    for k in range(CONTEXTS):
        old, count = int(seen[k]) >> 10, int(seen[k]) & 1023
        new = old + (((target - old) >> 4) * int(learnt[k]) >> 8)
        table[buckets[k] + node] = new << 10 | min(count + 1, 255)
    for at, error in ((first, errors), (second, others)):
        for k in range(LANES):
            change = int(weights[at + k]) + (int(inputs[k]) * error + (1 << 13) >> 14)
            weights[at + k] = max(min(change, (1 << 20) - 1), -(1 << 20))


_predict: Any = _predict_plain if config.DISABLE_JIT else _predict_ir
_learn: Any = _learn_plain if config.DISABLE_JIT else _learn_ir


@jit(nogil=True)
def _coarse(x):  # type: ignore[no-untyped-def]
    """Four steps an octave of a number with 8 fractional bits, two below 1/4; below 64."""
    if x < 64:
        return x >> 5
    k = np.int64(0)
    while x >= 8:
        x >>= 1
        k += 1
    return min(4 * k + x - 14, 63)


@jit(nogil=True)
def _fine(x):  # type: ignore[no-untyped-def]
    """Eight steps an octave of the same, and below 1/4; below 168."""
    if x < 64:
        return x >> 3
    k = np.int64(0)
    while x >= 16:
        x >>= 1
        k += 1
    return 8 * k + x - 8


@jit(nogil=True)
def _number(value, framing, signed, centre, last, size):  # type: ignore[no-untyped-def]
    """How large an element is, 0 to 65535, with 8 fractional bits. ``value`` of ``size`` bytes, of which the last."""
    if framing == 0:
        if last & 64:
            value -= np.int64(1) << (7 * size)
        value = abs(value)
    elif signed:
        whole = np.int64(1) << (8 * framing)
        value = (value - (centre << (8 * framing - 8))) & (whole - 1)
        value = min(value, whole - value)
    return (value if value < 65535 else np.int64(65535)) << 8


@jit(nogil=True)
def code(  # type: ignore[no-untyped-def]
    decoding, stored, out, plane, size, parameters, bits, table, weights, estimates, starts, columns, places, small,
    seen, lanes, wide,
):  # fmt: skip
    """Code ``size`` bytes of a plane, or decode them.

    stored uint8: the stream to decode (unused else); out uint8: where the stream goes (unused else); plane uint8[size]:
    read, or filled. parameters int64[6], within their bounds. What it works in, whatever that holds: table
    uint32[2^bits], weights int32[SETS * LANES], estimates int32[ESTIMATES], starts int32[size], columns int32[2 * row],
    places int32[2^(bits - 6)], small uint32[LENGTHS], seen uint32[LANES], lanes int32[2, LANES],
    wide int64[2 * LANES + 2].

    Returns the bytes of the stream, FULL where ``out`` has no room for them; decoding, 0 or LONG, whatever ``stored``
    holds.
    """
    framing, signed, centre = parameters[0], parameters[1], parameters[2]
    rate, row, far = parameters[3], parameters[4], parameters[5]
    mask = np.int64(0xFFFFFFFF)
    none, half = np.int64(-1), np.uint32(1 << 31)
    table[: np.int64(1) << bits] = half
    small[:] = half
    columns[: 2 * row] = -1
    places[: np.int64(1) << (bits - 6)] = -1
    seen[:], lanes[:, :] = 0, 0
    for k in range(SETS * LANES):
        weights[k] = 6000 if k % LANES < CONTEXTS + 2 else 0
    for k in range(ESTIMATES):
        estimates[k] = _SQUASH[min(max((k % 33 - 16) * 192, -EDGE), EDGE) + EDGE]
    learnt, inputs = lanes[0], lanes[1]
    hashes, buckets, dots = wide[:LANES], wide[LANES : 2 * LANES], wide[2 * LANES :]
    low, high, x, at = np.int64(0), mask, np.int64(0), np.int64(0)
    if decoding:
        for k in range(4):
            x = x << 8 | (np.int64(stored[k]) if k < stored.size else np.int64(0))
        at = np.int64(4)
    e, j, column, value = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    near, slow = np.int64(0), np.int64(0)
    nearby, above, expected, chosen = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    match, length = none, np.int64(0)
    for i in range(size):
        if j == 0:
            starts[e] = i
            quick, steady = near, slow
            if columns[2 * column] >= 0:
                quick, steady = np.int64(columns[2 * column]), np.int64(columns[2 * column + 1])
            if signed:
                nearby, above, expected = _coarse(near), _coarse(quick), _fine((3 * steady + slow) >> 2)
                chosen = (nearby + above) >> 2
            else:
                nearby, above, expected = near >> 6, quick >> 6, (3 * steady + slow) >> 7
                chosen = (nearby + above) >> 3
                chosen = chosen if chosen < 63 else np.int64(63)
        before = np.int64(plane[i - 1]) if i >= 1 else np.int64(0)
        two = (np.int64(plane[i - 2]) if i >= 2 else np.int64(0)) << 8 | before
        three = (np.int64(plane[i - 3]) if i >= 3 else np.int64(0)) << 16 | two
        inside = (j << 2 | before >> 6) + 1 if j > 0 else np.int64(0)
        hashes[0], hashes[1], hashes[2], hashes[3] = 0, before, two, three
        hashes[4], hashes[5] = 0, 0
        if e >= row and starts[e - row] + j < i:
            hashes[4] = np.int64(plane[starts[e - row] + j]) + 1
        if e >= far and starts[e - far] + j < i:
            hashes[5] = np.int64(plane[starts[e - far] + j]) + 1
        hashes[6], hashes[7], hashes[8], hashes[9] = nearby, above, column, expected
        for k in range(CONTEXTS):
            h = (hashes[k] << 4 | k) * np.int64(0x2F0B4C47) & mask
            h = (h ^ h >> 15) + (j if 1 <= k <= 3 else inside)
            h = h * np.int64(0x2C1B3C6D) & mask
            hashes[k] = h ^ h >> 13
        told = none
        if match >= 0:
            told = np.int64(plane[match])
        c = np.int64(0)
        if not decoding:
            c = np.int64(plane[i])
        node = np.int64(1)
        for place in range(8):
            if place & 3 == 0:
                for k in range(CONTEXTS):
                    h = (hashes[k] + node) * np.int64(0x1E35A7BD) & mask
                    h ^= h >> 16
                    b = h >> (36 - bits) << 4
                    buckets[k] = b
                    owner = np.uint32((h & 0x3FFF) + 1)
                    if table[b] != owner:
                        table[b] = owner
                        table[b + 1 : b + 16] = half
            inner = (node & ((1 << (place & 3)) - 1)) | 1 << (place & 3)
            slot, guess = none, np.int64(0)
            if told >= 0:
                if (told | 256) >> (8 - place) == node:
                    slot = 2 * (length if length < 31 else np.int64(31)) + (told >> (7 - place) & 1)
                    guess = np.int64(_STRETCH[small[slot] >> 20])
                else:
                    told = none
            first, second = node * LANES, (256 + 8 * chosen + place) * LANES
            _predict(table, buckets, inner, _STRETCH, _RATES, guess, weights, first, second, seen, learnt, inputs, dots)
            one, other = min(max(dots[0] >> 16, -EDGE), EDGE), min(max(dots[1] >> 16, -EDGE), EDGE)
            mixed = (one + other) >> 1
            weight = (mixed + EDGE + 1) % 192
            estimate = 33 * node + (mixed + EDGE + 1) // 192
            p = np.int64(estimates[estimate]) * (192 - weight) + np.int64(estimates[estimate + 1]) * weight
            p = (p // 192 + np.int64(_SQUASH[mixed + EDGE])) >> 1
            p = min(max(p, np.int64(16)), np.int64(65520))
            middle = low + (high - low >> 16) * p + ((high - low & 0xFFFF) * p >> 16)
            bit = np.int64(x <= middle) if decoding else c >> (7 - place) & 1
            if bit:
                high = middle
            else:
                low = middle + 1
            while (low ^ high) < 1 << 24:
                if decoding:
                    x = (x & 0xFFFFFF) << 8 | (np.int64(stored[at]) if at < stored.size else np.int64(0))
                elif at < out.size:
                    out[at] = high >> 24
                else:
                    return np.int64(FULL)
                at += 1
                low, high = (low & 0xFFFFFF) << 8, (high & 0xFFFFFF) << 8 | 255
            error = ((bit << 16) - np.int64(_SQUASH[one + EDGE])) * rate >> 4
            wrong = ((bit << 16) - np.int64(_SQUASH[other + EDGE])) * rate >> 4
            target = bit * ((1 << 22) - 1)
            _learn(table, buckets, inner, target, weights, first, second, error, wrong, seen, learnt, inputs)
            if weight >= 96:
                estimate += 1
            estimates[estimate] += (bit * 65535 - estimates[estimate]) >> 6
            if slot >= 0:
                old, count = np.int64(small[slot]) >> 10, np.int64(small[slot]) & 1023
                old += ((target - old) >> 4) * np.int64(_RATES[count]) >> 8
                small[slot] = old << 10 | (count + 1 if count < 127 else count)
            node = node << 1 | bit
        c = node & 255
        if decoding:
            plane[i] = c
        # the match goes on, or the last place where the same six bytes stood is one
        if match >= 0 and told == c:
            match += 1
            length += 1
        else:
            match, length = none, np.int64(0)
        if i >= 5:
            h = np.int64(0)
            for k in range(6):
                h = h * np.int64(0x2F0B4C47) + np.int64(plane[i - k]) + 1 & mask
            h = (h * np.int64(0x1E35A7BD) & mask) >> (38 - bits)
            if match < 0 and places[h] >= 0:
                found = np.int64(places[h])
                k = np.int64(0)
                while k < 32 and k < found and plane[found - 1 - k] == plane[i - k]:
                    k += 1
                if k >= 6:
                    match, length = found, k
            places[h] = i + 1
        # the element grows, or is complete
        value |= (c & 127) << (7 * j) if framing == 0 else c << (8 * j)
        j += 1
        if j == framing or (framing == 0 and (c < 128 or j == 8)):
            m = _number(value, framing, signed, centre, c, j)
            if e == 0:
                near, slow = m, m
            near += (m - near) >> 4
            slow += (m - slow) >> 6
            if columns[2 * column] < 0:
                columns[2 * column], columns[2 * column + 1] = (m + 3 * near) >> 2, (m + 3 * slow) >> 2
            else:
                columns[2 * column] += (m - columns[2 * column]) >> 3
                columns[2 * column + 1] += (m - columns[2 * column + 1]) >> 5
            e += 1
            column = column + 1 if column + 1 < row else np.int64(0)
            j, value = np.int64(0), np.int64(0)
    # the fewest bytes that, with zeros behind them, lie within
    count, rest = np.int64(0), mask
    while (low + rest) & ~rest > high:
        count += 1
        rest >>= 8
    last = (low + rest) & ~rest
    if decoding:
        return np.int64(0) if at - 4 + count == stored.size and x == last else np.int64(LONG)
    if at + count > out.size:
        return np.int64(FULL)
    for k in range(count):
        out[at + k] = last >> (24 - 8 * k) & 255
    return at + count


@jit(nogil=True)
def elements(data, framing, out):  # type: ignore[no-untyped-def]
    """Elements of bytes (uint8) as signed numbers, cut to 13 bits, into out int16[data.size]; how many there are."""
    e, j, value = np.int64(0), np.int64(0), np.int64(0)
    for i in range(data.size):
        c = np.int64(data[i])
        value |= (c & 127) << (7 * j) if framing == 0 else c << (8 * j)
        j += 1
        if j == framing or (framing == 0 and (c < 128 or j == 8)):
            bits = 7 * j if framing == 0 else 8 * j
            value -= (value >> (bits - 1)) << bits
            out[e] = min(max(value, np.int64(-4096)), np.int64(4095))
            e, j, value = e + 1, np.int64(0), np.int64(0)
    return e


@jit(nogil=True)
def differences(values, samples, scores):  # type: ignore[no-untyped-def]
    """How far elements (int16) are from those some distance before: the sum over ``samples`` of them, spread over those
    that have scores.size (int32) others before them, into scores[distance - 1].
    """
    most = scores.size
    scores[:] = 0
    for s in range(samples):
        i = most + (values.size - most) * s // samples
        v = np.int32(values[i])
        part = values[i - most : i]
        for k in range(most):
            scores[k] += abs(v - np.int32(part[most - 1 - k]))

"""XXH3-64 (Y. Collet, xxHash 0.8, seed 0) for kernels that check records and what they decode to.

The xxhash library is as quick, but a kernel cannot call it, and a return to Python for each record keeps a second
thread waiting for the interpreter's lock: decoding with two threads was 1.3 times as fast as with one. Everything
outside of kernels uses the library, and the tests hold the two against each other at every length.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic, overload

from codec.kernels.cached import jit
from codec.kernels.native import address_of
from codec.kernels.tables import INNER

_U = np.uint64
_WIDE: Final = (1 << 64) - 1

#: The default secret of the specification, and the start of its accumulators.
SECRET: Final = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e"
        "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d"
        "8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc"
        "8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    np.uint8,
)
_START: Final = np.array(
    [
        0xC2B2AE3D, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
        0x85EBCA77C2B2AE63, 0x85EBCA77, 0x27D4EB2F165667C5, 0x9E3779B1,
    ],
    np.uint64,
)  # fmt: skip
_P1, _P2, _P3 = _U(0x9E3779B185EBCA87), _U(0xC2B2AE3D27D4EB4F), _U(0x165667B19E3779F9)
_MIX, _RRM = _U(0x165667919E3779F9), _U(0x9FB21C651E98DF25)

# What Python does in whole numbers, and LLVM in registers: eight bytes anywhere, a product's halves put together, and
# the eight accumulators over stripes of 64 bytes.


def _word(data: Any, at: Any) -> Any:
    return data[at : at + 8].view(np.uint64)[0]


def _folded(x: Any, y: Any) -> Any:
    product = int(x) * int(y)
    return _U((product ^ product >> 64) & _WIDE)


def _stripes(data: Any, at: Any, count: Any, secret: Any, key: Any, acc: Any) -> Any:
    for n in range(count):
        for i in range(8):
            word = int(_word(data, at + 64 * n + 8 * i))
            mixed = word ^ int(_word(secret, key + 8 * n + 8 * i))
            acc[i ^ 1] = _U((int(acc[i ^ 1]) + word) & _WIDE)
            acc[i] = _U((int(acc[i]) + (mixed & 0xFFFFFFFF) * (mixed >> 32)) & _WIDE)


def _bytes_at(context: Any, b: Any, kind: Any, array: Any, at: Any) -> Any:
    data = b.bitcast(context.make_array(kind)(context, b, array).data, ir.IntType(8).as_pointer())
    return b.gep(data, [at])


@intrinsic
def _word_ir(typing, data, at):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        place = _bytes_at(context, b, signature.args[0], args[0], args[1])
        return b.load(b.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.int64), codegen


@intrinsic
def _folded_ir(typing, x, y):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        i64, i128 = ir.IntType(64), ir.IntType(128)
        product = b.mul(b.zext(args[0], i128), b.zext(args[1], i128))
        return b.xor(b.trunc(product, i64), b.trunc(b.lshr(product, ir.Constant(i128, 64)), i64))

    return types.uint64(types.uint64, types.uint64), codegen


@intrinsic
def _stripes_ir(typing, data, at, count, secret, key, acc):  # type: ignore[no-untyped-def]
    """The loop that takes all the time: eight lanes of 64 bits, which LLVM cuts to what the processor has."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kinds, i64 = signature.args, ir.IntType(64)
        vec = ir.VectorType(i64, 8)
        low = ir.Constant(vec, [0xFFFFFFFF] * 8)
        half = ir.Constant(vec, [32] * 8)
        swapped = ir.Constant(ir.VectorType(ir.IntType(32), 8), [k ^ 1 for k in range(8)])
        source = _bytes_at(context, b, kinds[0], args[0], args[1])
        keys = _bytes_at(context, b, kinds[3], args[3], args[4])
        place = b.bitcast(_bytes_at(context, b, kinds[5], args[5], ir.Constant(i64, 0)), vec.as_pointer())
        before, loop, behind = b.block, b.append_basic_block("stripe"), b.append_basic_block("behind")
        first = b.load(place, align=8)
        b.cbranch(b.icmp_signed(">", args[2], ir.Constant(i64, 0)), loop, behind)
        b.position_at_end(loop)
        n, held = b.phi(i64), b.phi(vec)
        n.add_incoming(ir.Constant(i64, 0), before)
        held.add_incoming(first, before)
        word = b.load(b.bitcast(b.gep(source, [b.mul(n, ir.Constant(i64, 64))]), vec.as_pointer()), align=1)
        other = b.load(b.bitcast(b.gep(keys, [b.mul(n, ir.Constant(i64, 8))]), vec.as_pointer()), align=1)
        mixed = b.xor(word, other)
        product = b.mul(b.and_(mixed, low), b.lshr(mixed, half))
        total = b.add(held, b.add(b.shuffle_vector(word, word, swapped), product))  # one addition waits for the last
        after = b.add(n, ir.Constant(i64, 1))
        n.add_incoming(after, loop)
        held.add_incoming(total, loop)
        b.cbranch(b.icmp_signed("<", after, args[2]), loop, behind)
        b.position_at_end(behind)
        last = b.phi(vec)
        last.add_incoming(first, before)
        last.add_incoming(total, loop)
        b.store(last, place, align=8)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.int64, secret, types.int64, acc), codegen


overload(_word)(lambda data, at: lambda data, at: _word_ir(data, at))
overload(_folded)(lambda x, y: lambda x, y: _folded_ir(x, y))
overload(_stripes)(
    lambda data, at, count, secret, key, acc: (
        lambda data, at, count, secret, key, acc: _stripes_ir(data, at, count, secret, key, acc)
    )
)


@njit(**INNER)
def _last(h):  # type: ignore[no-untyped-def]
    h ^= h >> _U(37)
    h *= _MIX
    return h ^ (h >> _U(32))


@njit(**INNER)
def _last_small(h):  # type: ignore[no-untyped-def]
    h ^= h >> _U(33)
    h *= _P2
    h ^= h >> _U(29)
    h *= _P3
    return h ^ (h >> _U(32))


@njit(**INNER)
def _mixed(data, at, key):  # type: ignore[no-untyped-def]
    return _folded(_word(data, at) ^ _word(SECRET, key), _word(data, at + 8) ^ _word(SECRET, key + 8))


@njit(**INNER)
def _short(data, at, n):  # type: ignore[no-untyped-def]
    """Up to 16 bytes."""
    size = _U(n)
    if n > 8:
        low = _word(data, at) ^ _word(SECRET, 24) ^ _word(SECRET, 32)
        high = _word(data, at + n - 8) ^ _word(SECRET, 40) ^ _word(SECRET, 48)
        turned = _U(0)
        for k in range(8):
            turned = turned << _U(8) | (low >> _U(8 * k) & _U(255))
        return _last(size + turned + high + _folded(low, high))
    if n >= 4:
        first, second = _U(0), _U(0)
        for k in range(4):
            first |= _U(data[at + k]) << _U(8 * k)
            second |= _U(data[at + n - 4 + k]) << _U(8 * k)
        h = (second + (first << _U(32))) ^ _word(SECRET, 8) ^ _word(SECRET, 16)
        h ^= (h << _U(49) | h >> _U(15)) ^ (h << _U(24) | h >> _U(40))
        h *= _RRM
        h ^= (h >> _U(35)) + size
        h *= _RRM
        return h ^ (h >> _U(28))
    if n > 0:
        h = _U(data[at]) << _U(16) | _U(data[at + (n >> 1)]) << _U(24) | _U(data[at + n - 1]) | size << _U(8)
        key = _word(SECRET, 0)
        return _last_small(h ^ ((key ^ key >> _U(32)) & _U(0xFFFFFFFF)))
    return _last_small(_word(SECRET, 56) ^ _word(SECRET, 64))


@njit(**INNER)
def _middle(data, at, n):  # type: ignore[no-untyped-def]
    """17 to 240 bytes."""
    h = _U(n) * _P1
    if n <= 128:
        for k in range((n - 1) // 32, -1, -1):
            h += _mixed(data, at + 16 * k, 32 * k) + _mixed(data, at + n - 16 * k - 16, 32 * k + 16)
        return _last(h)
    for k in range(8):
        h += _mixed(data, at + 16 * k, 16 * k)
    h = _last(h)
    for k in range(8, n // 16):
        h += _mixed(data, at + 16 * k, 16 * k - 125)
    return _last(h + _mixed(data, at + n - 16, 119))


@jit(nogil=True)
def xxh3(data, at, n, acc):  # type: ignore[no-untyped-def]
    """The hash of data[at:at + n) (uint8), as uint64. acc uint64[8] is worked in."""
    if n <= 240:
        return _middle(data, at, n) if n > 16 else _short(data, at, n)
    acc[:] = _START
    blocks = (n - 1) >> 10
    for block in range(blocks):
        _stripes(data, at + 1024 * block, 16, SECRET, 0, acc)
        for i in range(8):
            x = acc[i]
            acc[i] = (x ^ x >> _U(47) ^ _word(SECRET, 128 + 8 * i)) * _U(0x9E3779B1)
    _stripes(data, at + 1024 * blocks, (n - 1 - 1024 * blocks) >> 6, SECRET, 0, acc)
    _stripes(data, at + n - 64, 1, SECRET, 121, acc)
    h = _U(n) * _P1
    for i in range(4):
        h += _folded(acc[2 * i] ^ _word(SECRET, 11 + 16 * i), acc[2 * i + 1] ^ _word(SECRET, 19 + 16 * i))
    return _last(h)


_SIGNATURE: Final = types.int64(types.CPointer(types.uint8), types.int64, types.CPointer(types.uint64))


@cache
def address() -> int:
    """The address of ``xxh3`` for kernels that call it: int64 f(data, n, acc), each an int64."""

    def hash_at(data, n, acc):  # type: ignore[no-untyped-def]
        return np.int64(xxh3(carray(data, n), 0, n, carray(acc, 8)))

    return address_of(hash_at, _SIGNATURE)

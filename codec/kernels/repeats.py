"""Finding bytes that were there before: keys of 32 bytes at every block, looked for at every fourth byte of a few.

Which blocks are looked into, and all arithmetic, is integer: the same repeats are found on any machine. A key that is
found is a hint; who asks compares the bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from codec.kernels.cached import jit

#: Bytes of a key.
KEY = 32
#: Bytes between the places that are looked at within a block: a repeat lies a multiple of them away.
ALIGN = 4
#: Columns of what ``scan`` answers.
OFFSET, PLACE, NEXT, COUNT = 0, 1, 2, 3

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)


def _word(data: Any, at: Any) -> Any:
    """Eight bytes anywhere, the low ones first."""
    return data[at : at + 8].view(np.uint64)[0]


@intrinsic
def _word_ir(typing, data, at):  # type: ignore[no-untyped-def]
    """LLVM makes no single load of eight bytes that are put together: that took three times as long."""

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, b, args[0])
        place = b.gep(b.bitcast(array.data, ir.IntType(8).as_pointer()), [args[1]])
        return b.load(b.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.int64), codegen


overload(_word)(lambda data, at: lambda data, at: _word_ir(data, at))


@jit(nogil=True)
def _key(data, at):  # type: ignore[no-untyped-def]
    """The key of the 32 bytes at ``at``; 0 for sixteen bytes twice, which are coded well as they are."""
    a, b, c, d = _word(data, at), _word(data, at + 8), _word(data, at + 16), _word(data, at + 24)
    if a == c and b == d:
        return np.uint64(0)
    x = (a * _A) ^ (b >> np.uint64(31)) ^ (b << np.uint64(33))
    x = (x * _B) ^ (c >> np.uint64(29)) ^ (c << np.uint64(35))
    x = (x * _A) ^ (d >> np.uint64(27)) ^ (d << np.uint64(37))
    x *= _B
    return (x ^ (x >> np.uint64(32))) | np.uint64(1)


@jit(nogil=True)
def scan(data, at, quiet, base, step, window, keys, places, bloom, count, found):  # type: ignore[no-untyped-def]
    """Look for keys from offset ``at`` of data uint8[n] on, and add those of its blocks to the table.

    A block of ``step`` bytes begins at every multiple of it, and its key is looked for; in one block of every
    ``window`` bytes those at each multiple of ALIGN are (both are powers of two). Nothing is looked for before
    ``quiet``. data lies at ``base`` in the original. The table: keys uint64[m], 0 where there is none, m a power of
    two; places int64[m]; bloom uint64[m // 8], bits that are set for the keys in it. It holds ``count``, at most m // 2
    of them: those that come then are not added.

    found int64[4] gets COUNT and, if a key was found, its OFFSET in data, its PLACE in the original, and where to go on
    (NEXT). Returns 1 then, 0 at the end.
    """
    mask, bits = np.uint64(keys.size - 1), np.uint64(bloom.size * 64 - 1)
    n, i = np.int64(data.size), np.int64(at)
    held = np.int64(count)
    while i + KEY <= n:
        aligned = i & (step - 1) == 0
        further = i + ALIGN if i & (window - 1) < step else (i | (step - 1)) + 1
        key = _key(data, i)
        if key != np.uint64(0):
            bit = (key >> np.uint64(20)) & bits
            there = (bloom[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))) & np.uint64(1)
            if aligned or (there and i >= quiet):
                slot = (key >> np.uint64(1)) & mask
                while keys[np.int64(slot)] != np.uint64(0) and keys[np.int64(slot)] != key:
                    slot = (slot + np.uint64(1)) & mask
                s = np.int64(slot)
                if keys[s] == key:
                    if i >= quiet and places[s] < base + i:
                        found[0], found[1], found[2], found[3] = i, places[s], further, held
                        return 1
                elif aligned and held < keys.size // 2:
                    keys[s] = key
                    places[s] = base + i
                    bloom[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))
                    held += 1
        i = further
    found[3] = held
    return 0


@jit(nogil=True)
def grow(keys, places, new_keys, new_places, bloom):  # type: ignore[no-untyped-def]
    """Put a table into a larger, empty one (see ``scan``)."""
    mask, bits = np.uint64(new_keys.size - 1), np.uint64(bloom.size * 64 - 1)
    for k in range(keys.size):
        key = keys[k]
        if key != np.uint64(0):
            slot = (key >> np.uint64(1)) & mask
            while new_keys[np.int64(slot)] != np.uint64(0):
                slot = (slot + np.uint64(1)) & mask
            new_keys[np.int64(slot)], new_places[np.int64(slot)] = key, places[k]
            bit = (key >> np.uint64(20)) & bits
            bloom[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))

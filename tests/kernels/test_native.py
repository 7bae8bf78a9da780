"""Kernels that call one another by address, and bytes that are moved: compiled, and as plain Python."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import carray, njit, types

from codec.kernels import huffman, planes, rans
from codec.kernels.native import address_of, call, invoke, move, place

I64 = types.int64
POINTERS = [types.CPointer(t) for t in (types.uint8, types.uint16, types.uint32, types.uint64, types.int64)]


@cache
def weigh_address() -> int:
    """A function of numbers and of a pointer to each kind of number: adds up, and counts in the last array."""

    def weigh(n, a, b, c, d, e, factor):  # type: ignore[no-untyped-def]
        total = np.int64(0)
        x, y, z, w, seen = carray(a, n), carray(b, n), carray(c, n), carray(d, n), carray(e, n)
        for i in range(n):
            total += np.int64(x[i]) + np.int64(y[i]) + np.int64(z[i]) + np.int64(w[i])
            seen[i] += 1
        return total * factor

    return address_of(weigh, I64(I64, *POINTERS, I64))


@cache
def negative_address() -> int:
    return address_of(lambda a, b: a - b, I64(I64, I64))


@njit(nogil=True)
def both(known, args, numbers):  # type: ignore[no-untyped-def]
    """Two functions by their addresses, which lie in an array."""
    first = call(known[0], (args[0], args[1], args[2], args[3], args[4], numbers.ctypes.data, args[5]))
    return first + call(known[1], (args[5], args[0]))


@given(n=st.integers(0, 50), factor=st.integers(-(2**40), 2**40), seed=st.integers(0, 2**32))
def test_a_function_is_called_by_its_address(n: int, factor: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 200, n).astype(kind) for kind in ("u1", "u2", "u4", "u8")]
    seen, known = np.arange(n, dtype=np.int64), np.array([weigh_address(), negative_address()], np.int64)
    args = np.array([n, *(a.ctypes.data for a in arrays), factor], np.int64)
    assert both(known, args, seen) == sum(int(a.sum()) for a in arrays) * factor + factor - n
    assert seen.tolist() == list(range(1, n + 1))


def test_addresses_differ_and_stay() -> None:
    """Each function has one, which does not change, and none is that of another."""

    def known() -> list[int]:
        coders = [rans.encode_address(), rans.decode_address(), huffman.encode_address(), huffman.decode_address()]
        merges = [planes.merge_address(layout, width) for layout in (0, 0x88) for width in (1, 2, 4, 8)]
        return [weigh_address(), negative_address(), *coders, *merges]

    found = known()
    assert len(set(found)) == len(found)
    assert known() == found


@njit(nogil=True)
def moved(out, at, src, start, size):  # type: ignore[no-untyped-def]
    move(out, at, src, start, size)


@pytest.mark.parametrize("kind", ["writable", "read-only"])
@given(size=st.integers(0, 300), at=st.integers(0, 9), start=st.integers(0, 9), more=st.integers(0, 9))
def test_bytes_are_moved_and_nothing_else(kind: str, size: int, at: int, start: int, more: int) -> None:
    out, src = np.full(at + size + more, 0xA5, np.uint8), np.random.default_rng(size).bytes(start + size + more)
    data = np.frombuffer(bytearray(src), np.uint8)
    data.flags.writeable = kind == "writable"
    moved(out, at, data, start, size)
    assert out.tobytes() == b"\xa5" * at + src[start : start + size] + b"\xa5" * more
    assert data.tobytes() == src


def test_bytes_move_within_an_array() -> None:
    data = np.arange(100, dtype=np.uint8)
    moved(data, 60, data, 10, 40)
    assert data.tolist() == [*range(60), *range(10, 50)]


def test_what_kernels_call_is_called_from_python() -> None:
    def last(numbers, count):  # type: ignore[no-untyped-def]
        return carray(numbers, count)[count - 1]

    found = address_of(last, types.int64(types.CPointer(types.int64), types.int64))
    numbers = np.array([3, 5, -7], np.int64)
    assert [invoke(found, place(numbers), n) for n in (1, 2, 3)] == [3, 5, -7]

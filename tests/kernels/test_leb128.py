"""Signed LEB128 against a loop of Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import leb128 as kernel


def packed(values: list[int], unsigned: bool = False) -> bytes:
    out = bytearray()
    for v in values:
        while not (v < 128 if unsigned else -64 <= v < 64):
            out.append(v & 127 | 128)
            v >>= 7
        out.append(v & 127)
    return bytes(out)


def read(data: bytes, most: int = 1000, unsigned: bool = False) -> tuple[list[int], int]:
    """(the integers, how many bytes they are)."""
    values, ends = np.zeros(most, np.int64), np.zeros(most, np.int64)
    count = int(kernel.read(np.frombuffer(data, np.uint8), not unsigned, values, ends))
    return values[:count].tolist(), int(ends[count - 1]) if count else 0


INTEGERS = st.one_of(st.integers(-100, 100), st.integers(-(1 << 15), 1 << 15), st.integers(-(1 << 62), (1 << 62) - 1))


@given(st.lists(INTEGERS, max_size=50))
def test_there_and_back(values: list[int]) -> None:
    data = packed(values)
    assert read(data) == (values, len(data))
    out = np.zeros(len(data), np.uint8)
    least = min(values, default=0)
    above = np.array([v - least for v in values], np.uint64)
    assert kernel.write(above, least, True, out) == 0 and out.tobytes() == data
    for size in (len(data) - 1, len(data) + 1):
        assert size < 0 or kernel.write(above, least, True, np.zeros(size, np.uint8)) == -1


@given(st.binary(max_size=60))
def test_any_bytes_are_read_up_to_where_they_are_none(data: bytes) -> None:
    values, size = read(data)
    assert packed(values) == data[:size]
    if size < len(data):
        rest = data[size:]
        ends = [k for k, byte in enumerate(rest) if byte < 128]
        assert not ends or ends[0] >= 9 or packed([_value(rest[: ends[0] + 1])]) != rest[: ends[0] + 1]


def _value(data: bytes) -> int:
    x = sum((byte & 127) << 7 * k for k, byte in enumerate(data))
    return x - (1 << 7 * len(data)) if data[-1] & 64 else x


@pytest.mark.parametrize("data", [b"\x80", b"\x80\x00", b"\xff\x7f", b"\x80" * 9 + b"\x01", b"\xc0" * 20])
def test_what_is_none(data: bytes) -> None:
    assert read(b"\x05" + data) == ([5], 1)


def test_no_more_than_there_is_room_for() -> None:
    assert read(packed([300] * 5), 3) == ([300] * 3, 6)


@given(st.lists(st.integers(0, 255), max_size=20), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 60))
def test_any_part_and_any_offset(part: list[int], offset: int, size: int) -> None:
    """A sum that overflows is taken modulo 2^64; nothing is written behind the end."""
    expected = packed([(v + offset + (1 << 63)) % (1 << 64) - (1 << 63) for v in part])
    held = np.full(size + 8, 7, np.uint8)
    fits = kernel.write(np.array(part, np.uint8), offset, True, held[:size]) == 0
    assert fits == (len(expected) == size)
    assert held[size:].tolist() == [7] * 8
    assert not fits or held[:size].tobytes() == expected


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1)), max_size=50))
def test_unsigned_there_and_back(values: list[int]) -> None:
    data = packed(values, True)
    wrapped = [v - (1 << 64) if v >> 63 else v for v in values]
    assert read(data, unsigned=True) == (wrapped, len(data))
    out = np.zeros(len(data), np.uint8)
    assert kernel.write(np.array(values, np.uint64), 0, False, out) == 0 and out.tobytes() == data


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_unsigned(data: bytes) -> None:
    values, size = read(data, unsigned=True)
    assert packed([v % (1 << 64) for v in values], True) == data[:size]


@pytest.mark.parametrize("data", [b"\x80", b"\x80\x00", b"\x80" * 9 + b"\x02", b"\x80" * 10 + b"\x01"])
def test_what_is_no_unsigned(data: bytes) -> None:
    assert read(b"\x05" + data, unsigned=True) == ([5], 1)

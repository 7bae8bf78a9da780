"""Transform 9: its parameters, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CorruptFileError
from codec.stages.codes import Codes, Held, read
from codec.wire import Cursor
from tests.packings import packings
from tests.stages.spelling import read_back

Q5_0 = Codes((Held(2, 0), Held(4, 1, 1, 4, 1), Held(16, 1, 4, 0, 16)))


@given(packings(), st.integers(0, 4), st.integers(0, 2**32))
def test_any_parameters_and_any_blocks(transform: Codes, blocks: int, seed: int) -> None:
    raw = transform.raw
    cursor = Cursor(memoryview(raw), "test")
    assert read(cursor) == transform and cursor.at == len(raw)
    data = np.random.default_rng(seed).integers(0, 256, blocks * transform.block).astype(np.uint8)
    parts = [np.zeros(size, np.uint8) for size in transform.parts(data.size)]
    transform.split(data, parts)
    out = np.zeros_like(data)
    transform.make(parts, out)
    assert np.array_equal(out, data)
    for number, part in enumerate(parts):  # every bit of every code is some bit of the block
        bits = sum(field.bits for field in transform.fields if field.part == number)
        if part.size and bits < 8:
            part[-1] |= 1 << bits
            with pytest.raises(ValueError, match=f"codes of part {number}"):
                transform.make(parts, out)
            part[-1] &= (1 << bits) - 1
    assert sum(part.size * sum(f.bits for f in transform.fields if f.part == k) for k, part in enumerate(parts)) == (
        8 * data.size
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_parameters_of_one_spelling_or_refused(data: bytes) -> None:
    found = read_back(read, data)
    if found is not None:
        check(found)


@given(packings(), st.data())
def test_a_changed_byte_is_refused_or_means_something_else(transform: Codes, draw: st.DataObject) -> None:
    raw = bytearray(transform.raw)
    at = draw.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= draw.draw(st.integers(1, 255))
    try:
        found = read(Cursor(memoryview(bytes(raw) + bytes(64)), "test"))
    except CorruptFileError:
        return
    assert found != transform
    check(found)


def check(transform: Codes) -> None:
    """What the kernels rely on, and that blocks of zeros come back."""
    assert 1 <= len(transform.fields) <= 16
    for offset, field in transform.placed():
        assert 0 < field.size and offset + field.size <= transform.block
        assert field.shift + field.bits <= 8 and field.size % (field.run * field.word) == 0
    if transform.block <= 1 << 12:
        parts = [np.zeros(size, np.uint8) for size in transform.parts(2 * transform.block)]
        out = np.ones(2 * transform.block, np.uint8)
        transform.make(parts, out)
        assert not out.any()


def test_sizes_of_parts() -> None:
    assert Q5_0.block == 22 and Q5_0.parts(44) == [4, 64] and Q5_0.parts(22 * 16384) == [32768, 524_288]
    with pytest.raises(ValueError, match="no whole blocks"):
        Q5_0.parts(45)
    with pytest.raises(ValueError, match="more than 524288"):
        Q5_0.parts(22 * 16385)

"""Packed codes against numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import codes as kernel


class Where(NamedTuple):
    """What the kernels are told of a field."""

    offset: int
    size: int
    block: int
    bits: int
    shift: int
    run: int


def unpacked(data: np.ndarray, w: Where) -> np.ndarray:
    """The bits of the field of each code, in their place in the code."""
    held = data.reshape(-1, w.block)[:, w.offset : w.offset + w.size].reshape(-1, w.size // w.run, 1, w.run)
    shifts = np.arange(0, 8, w.bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    return ((held >> shifts & np.uint8((1 << w.bits) - 1)) << np.uint8(w.shift)).reshape(-1)


@st.composite
def places(draw: st.DrawFn) -> Where:
    bits = draw(st.sampled_from([1, 2, 4, 8]))
    run = 1 if bits == 8 else draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 24, 32, 64])))
    size = run * draw(st.one_of(st.integers(1, 5), st.sampled_from([16, 33])))
    offset, behind = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return Where(offset, size, offset + size + behind, bits, draw(st.integers(0, 8 - bits)), run)


@given(places(), st.integers(0, 5), st.integers(0, 2**32))
def test_there_and_back(w: Where, blocks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, blocks * w.block).astype(np.uint8)
    data.flags.writeable = False
    others = rng.integers(0, 256, blocks * w.size * 8 // w.bits).astype(np.uint8)
    others &= np.uint8(255 - ((1 << w.bits) - 1 << w.shift))  # bits that other fields have
    codes = others.copy()
    kernel.unpack(data, *w, codes)
    assert np.array_equal(codes, unpacked(data, w) | others)
    out = rng.integers(0, 256, data.size).astype(np.uint8)
    expected = out.copy().reshape(-1, w.block)
    expected[:, w.offset : w.offset + w.size] = data.reshape(-1, w.block)[:, w.offset : w.offset + w.size]
    codes.flags.writeable = False
    kernel.pack(codes, *w, out)
    assert np.array_equal(out, expected.reshape(-1))  # and no byte beside the field


@pytest.mark.parametrize("size", [0, 1, 7, 31, 32, 33, 64, 100])
def test_every(size: int) -> None:
    rng = np.random.default_rng(size)
    for at in range(size):
        codes = (rng.integers(0, 256, size) & 0x2A).astype(np.uint8)
        codes[at] |= 0x40
        codes.flags.writeable = False
        assert kernel.every(codes) == np.bitwise_or.reduce(codes)
    assert kernel.every(np.zeros(size, np.uint8)) == 0

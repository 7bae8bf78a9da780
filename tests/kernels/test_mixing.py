"""The mixing coder against the reference decoder's model, which is plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from codec.kernels import mixing as kernel
from codec.stages.geometry import Bytes, read_only
from tests.spec import load

reference = load("reference_decoder")
writer = load("naive_writer")

MOST = 60 if config.DISABLE_JIT else 600
NONE = np.zeros(0, np.uint8)


class Room:
    """What the kernel works in: what it holds must not matter."""

    def __init__(self, size: int, row: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.bits = kernel.bits_for(size)
        self.arrays = (
            self.any(1 << self.bits, np.uint32), self.any(kernel.SETS * kernel.LANES, np.int32),
            self.any(kernel.ESTIMATES, np.int32), self.any(size, np.int32), self.any(2 * row, np.int32),
            self.any(1 << (self.bits - 6), np.int32), self.any(kernel.LENGTHS, np.uint32),
            self.any(kernel.LANES, np.uint32), self.any(2 * kernel.LANES, np.int32).reshape(2, -1),
            self.any(2 * kernel.LANES + 2, np.int64),
        )  # fmt: skip

    def any(self, count: int, kind: Any) -> Any:
        return self.rng.integers(0, 256, count * np.dtype(kind).itemsize, dtype=np.uint8).view(kind)


def numbers(how: Any) -> Any:
    return np.array([how.framing, how.signed, how.centre, how.rate, how.row, how.far], np.int64)


def encode(data: bytes, how: Any, room: int, seed: int = 0) -> bytes | int:
    held, out = Room(len(data), how.row, seed), np.zeros(room, np.uint8)
    plane = np.frombuffer(data, np.uint8).copy()
    found = kernel.code(
        False, read_only(NONE), out, plane, plane.size, numbers(how), held.bits, *held.arrays
    )  # fmt: skip
    assert plane.tobytes() == data
    return out[:found].tobytes() if found >= 0 else int(found)


def decode(stream: bytes, size: int, how: Any, seed: int = 0) -> tuple[int, Bytes]:
    held, plane = Room(size, how.row, seed), np.zeros(size, np.uint8)
    stored = np.frombuffer(stream, np.uint8)
    return int(kernel.code(True, stored, NONE, plane, size, numbers(how), held.bits, *held.arrays)), plane


@st.composite
def planes(draw: st.DrawFn) -> bytes:
    """Bytes of some kind: any, numbers in columns, repeats with faults, LEB128."""
    n, rng = draw(st.integers(1, MOST)), np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["any", "columns", "repeats", "leb", "same"]))
    if kind == "any":
        return draw(st.binary(min_size=1, max_size=n))
    if kind == "columns":
        return (rng.normal(0, 1, n) * np.exp(np.arange(n) % 7)).astype(np.int16).tobytes()[:n]
    if kind == "repeats":
        period = rng.integers(0, 256, draw(st.integers(1, 40)), dtype=np.uint8)
        return (np.resize(period, n) ^ (rng.random(n) < 0.02)).astype(np.uint8).tobytes()
    if kind == "leb":
        return rng.choice(np.array([0, 1, 63, 64, 127, 128, 129, 255], np.uint8), n).tobytes()
    return bytes((draw(st.integers(0, 255)),)) * n


@st.composite
def parameters(draw: st.DrawFn) -> Any:
    framing = draw(st.integers(0, 4))
    signed = framing == 0 or draw(st.booleans())
    return writer.Mixed(
        framing, int(signed), draw(st.integers(0, 255)) if signed and framing else 0, draw(st.integers(1, 32)),
        draw(st.integers(1, 40) | st.sampled_from([1000, kernel.ROW_MAX])),
        draw(st.integers(1, 80) | st.sampled_from([1000, kernel.FAR_MAX])),
    )  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(planes(), parameters(), st.integers(0, 99))
def test_the_stream_is_that_of_the_document(data: bytes, how: Any, seed: int) -> None:
    expected = writer.mixed_stream(data, how)
    assert encode(data, how, 2 * len(data) + 16, seed) == expected
    found, plane = decode(expected, len(data), how, seed + 1)
    assert (found, plane.tobytes()) == (0, data)


@settings(deadline=None, max_examples=20 if config.DISABLE_JIT else 200)
@given(planes(), parameters(), st.data())
def test_round_trip_and_damage(data: bytes, how: Any, more: st.DataObject) -> None:
    stream = encode(data, how, 2 * len(data) + 16)
    assert isinstance(stream, bytes)
    found, plane = decode(stream, len(data), how, 5)
    assert (found, plane.tobytes()) == (0, data)
    if stream:
        assert encode(data, how, more.draw(st.integers(0, len(stream) - 1))) == kernel.FULL
    assert decode(stream + b"\0", len(data), how)[0] == kernel.LONG
    if stream:
        found, plane = decode(stream[:-1], len(data), how)
        assert found == kernel.LONG or plane.tobytes() != data
        at = more.draw(st.integers(0, 8 * len(stream) - 1))
        other = bytearray(stream)
        other[at >> 3] ^= 1 << (at & 7)
        found, plane = decode(bytes(other), len(data), how)
        assert found == kernel.LONG or plane.tobytes() != data


@settings(deadline=None, max_examples=20 if config.DISABLE_JIT else 200)
@given(st.binary(max_size=MOST), st.integers(1, MOST), parameters())
def test_any_bytes_are_decoded_or_refused(stream: bytes, size: int, how: Any) -> None:
    found, plane = decode(stream, size, how)
    assert found in (0, kernel.LONG)
    if found == 0:
        assert encode(plane.tobytes(), how, 2 * size + 16) == stream


@pytest.mark.skipif(config.DISABLE_JIT, reason="slow in plain Python")
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 524_288])
def test_large_planes(size: int) -> None:
    rng = np.random.default_rng(size)
    data = (
        np.round(rng.normal(0, 1, size) * np.exp(rng.normal(2, 1, 512))[np.arange(size) % 512])
        .astype(np.int8)
        .tobytes()
    )
    how = writer.Mixed(1, 1, 0, 6, 512, 1024)
    stream = encode(data, how, size)
    assert isinstance(stream, bytes)
    assert decode(stream, size, how)[1].tobytes() == data
    assert len(stream) < 0.9 * size


def test_planes_at_the_ends_of_their_sizes_have_slots() -> None:
    assert [kernel.bits_for(n) for n in (1, 512, 513, 1 << 18, (1 << 18) + 1, 1 << 19)] == [12, 12, 13, 21, 22, 22]


@given(st.binary(min_size=1, max_size=300), st.integers(0, 4))
def test_elements(data: bytes, framing: int) -> None:
    out = np.zeros(len(data), np.int16)
    count = kernel.elements(np.frombuffer(data, np.uint8), framing, out)
    found, held = [], b""
    for byte in data:
        held += bytes((byte,))
        if framing == 0 and (byte < 128 or len(held) == 8):
            value = sum((b & 127) << 7 * k for k, b in enumerate(held))
            found.append(value - (1 << 7 * len(held) if byte & 64 else 0))
            held = b""
        elif len(held) == framing:
            found.append(int.from_bytes(held, "little", signed=True))
            held = b""
    assert out[:count].tolist() == [max(-4096, min(4095, v)) for v in found]


@given(st.lists(st.integers(-4096, 4095), min_size=4, max_size=60), st.integers(1, 30), st.data())
def test_differences(values: list[int], samples: int, data: st.DataObject) -> None:
    most = data.draw(st.integers(1, len(values) - 1))
    scores = np.ones(most, np.int32)
    kernel.differences(np.array(values, np.int16), samples, scores)
    places = [most + (len(values) - most) * s // samples for s in range(samples)]
    assert scores.tolist() == [sum(abs(values[i] - values[i - d]) for i in places) for d in range(1, most + 1)]

"""Our XXH3-64 against the library's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from codec.kernels import xxh3


def ours(data: bytes, at: int = 0) -> int:
    return int(xxh3.xxh3(np.frombuffer(b"#" * at + data + b"~", np.uint8), at, len(data), np.zeros(8, np.uint64)))


def test_every_short_length() -> None:
    data = np.random.default_rng(0).bytes(1400)
    for n in range(1400):
        assert ours(data[:n]) == xxh3_64_intdigest(data[:n]), n


def test_around_blocks() -> None:
    data = np.random.default_rng(1).bytes(70_000)
    for n in (2047, 2048, 2049, 3071, 3072, 3073, 65_535, 65_536, 65_537, 70_000):
        assert ours(data[:n]) == xxh3_64_intdigest(data[:n]), n


@given(st.binary(max_size=3000), st.integers(0, 7))
def test_any_bytes_anywhere(data: bytes, at: int) -> None:
    assert ours(data, at) == xxh3_64_intdigest(data)

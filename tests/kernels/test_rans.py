"""rANS kernels against the oracle, on the path that this process runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import rans
from tests import naive

LANES = (1, 4, 16, 64, 128)


def tables(freqs: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Decoding and encoding tables, entry by entry."""
    dec = np.zeros(len(freqs) * 4096, np.uint32)
    enc = np.zeros(len(freqs) * 256, np.uint32)
    for k, freq in enumerate(freqs):
        at = k * 4096
        for s, f in enumerate(freq):
            start = at - k * 4096
            for slot in range(f):
                dec[at] = f << 20 | slot << 8 | s
                at += 1
            enc[k * 256 + s] = start << 12 | f
    return dec, enc


def freqs_for(rng: np.random.Generator, symbols: int) -> list[int]:
    cuts = np.sort(rng.choice(np.arange(1, 4096), symbols - 1, replace=False))
    out = np.zeros(256, int)
    out[rng.choice(256 if symbols > 64 else 100, symbols, replace=False)] = np.diff([0, *cuts, 4096])
    return [int(f) for f in out]


def roundtrip(n: int, tile: int, lanes: int, k: int, symbols: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    freqs = [freqs_for(rng, symbols) for _ in range(k)]
    tiles = naive.tiles_of(n, tile)
    choice = rng.integers(0, k, len(tiles), dtype=np.uint8)
    data = np.zeros(n, np.uint8)
    for r, c in zip(tiles, choice, strict=True):
        data[r.start : r.stop] = rng.choice(256, len(r), p=np.array(freqs[c]) / 4096)
    dec, enc = tables(freqs)
    states, out = np.full(lanes, 65536, np.uint32), np.zeros(2 * n + 16, np.uint8)
    at = rans.encode(data, n, tile, choice, enc, lanes, states, out, int(data.max(initial=0)))
    expected_states, expected_words = naive.rans_encode(data.tolist(), tile, choice.tolist(), freqs, lanes)
    assert states.tolist() == expected_states
    assert out[at:].tobytes() == np.array(expected_words, "<u2").tobytes()

    stream = np.concatenate([np.zeros(3, np.uint8), out[at:]])  # an odd address
    back = np.zeros(n, np.uint8)
    end = rans.decode(stream, 3, stream.size, lanes, dec, choice, tile, states, back, n)
    assert end == stream.size
    assert set(states.tolist()) == {65536}
    assert (back == data).all()
    assert naive.rans_decode(n, tile, choice.tolist(), freqs, expected_states, expected_words) == data.tolist()


@pytest.mark.parametrize("lanes", LANES)
@given(
    n=st.integers(1, 1500),
    tile=st.integers(1, 700),
    k=st.integers(1, 4),
    symbols=st.integers(2, 200),
    seed=st.integers(0, 999),
)
def test_same_words_as_the_oracle(lanes: int, n: int, tile: int, k: int, symbols: int, seed: int) -> None:
    roundtrip(n, tile, lanes, k, symbols, seed)


@given(
    seed=st.integers(0, 2**32),
    lanes=st.sampled_from(LANES),
    n=st.integers(0, 700),
    words=st.integers(0, 200),
    tile=st.integers(1, 300),
)
def test_any_input_stays_in_bounds(seed: int, lanes: int, n: int, words: int, tile: int) -> None:
    """Random states, tables and words: the status is an end position or -1, and nothing around the output changes."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 2**32, 2 * 4096, dtype=np.uint32)
    choice = rng.integers(0, 2, -(-n // tile), dtype=np.uint8)
    states = rng.integers(0, 2**32, lanes, dtype=np.uint32)
    src = rng.integers(0, 256, 2 * words, dtype=np.uint8)
    dst = np.full(n + 64, 7, np.uint8)
    end = rans.decode(src, 0, src.size, lanes, table, choice, tile, states, dst, n)
    assert end == -1 or 0 <= end <= src.size
    assert (dst[n:] == 7).all()

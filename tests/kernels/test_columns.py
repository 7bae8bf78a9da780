"""Kernels of stage 7 against the oracle, on the path that this process runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import columns, numbers
from codec.kernels.native import invoke, place
from codec.stages.columns import write_numbers
from tests import naive
from tests.kernels.test_rans import freqs_for, tables

LANES = (1, 4, 16, 32)
GUARD = 64


def table_of(number: int, column: int, count: int) -> int:
    return min(max(number + column - 64, 0), count - 1)


def decode(
    src: np.ndarray, lanes: int, dec: np.ndarray, rows: np.ndarray, beside: np.ndarray, tile: int, states: np.ndarray,
    dst: np.ndarray, n: int,
) -> int:  # fmt: skip
    return invoke(
        columns.decode_address(), place(src), 0, src.size, lanes, place(dec), dec.size // 4096, place(rows), rows.size,
        place(beside), beside.size, tile, place(states), place(dst), n,
    )  # fmt: skip


def roundtrip(n: int, tile: int, times: int, lanes: int, k: int, symbols: int, seed: int) -> None:
    """``times``: how many tiles one row of columns has, or -so many, in a tile."""
    rng = np.random.default_rng(seed)
    tile = tile * -times if times < 0 else tile
    period = tile * times if times > 0 else tile // -times
    beside = np.tile(rng.integers(56, 72, period, dtype=np.uint8), max(1, tile // period))
    rows = rng.integers(0, k + 8, -(-n // tile), dtype=np.uint8)
    freqs = [freqs_for(rng, symbols) for _ in range(k)]
    choice = [table_of(int(rows[i // tile]), int(beside[i % beside.size]), k) for i in range(n)]
    data = np.array([rng.choice(256, p=np.array(freqs[c]) / 4096) for c in choice], np.uint8)
    dec, enc = tables(freqs)
    states, out = np.full(lanes, 65536, np.uint32), np.zeros(2 * n + 16, np.uint8)
    at = invoke(
        columns.encode_address(), place(data), n, tile, place(rows), rows.size, place(beside), beside.size, place(enc),
        k, lanes, place(states), place(out), out.size,
    )  # fmt: skip
    expected_states, expected_words = naive.rans_encode(data.tolist(), tile, choice, freqs, lanes, each=True)
    assert states.tolist() == expected_states
    assert out[at:].tobytes() == np.array(expected_words, "<u2").tobytes()
    back = np.full(n + GUARD, 7, np.uint8)
    stream = out[at:].copy()
    assert decode(stream, lanes, dec, rows, beside, tile, states, back, n) == stream.size
    assert set(states.tolist()) == {65536}
    assert (back[:n] == data).all() and (back[n:] == 7).all()


@pytest.mark.parametrize("lanes", LANES)
@given(
    n=st.integers(1, 700),
    tile=st.integers(1, 200),
    times=st.sampled_from([1, 1, 2, 3, -2, -5]),
    k=st.integers(1, 5),
    symbols=st.integers(2, 200),
    seed=st.integers(0, 999),
)
def test_same_words_as_the_oracle(lanes: int, n: int, tile: int, times: int, k: int, symbols: int, seed: int) -> None:
    roundtrip(n, tile, times, lanes, k, symbols, seed)


@given(
    seed=st.integers(0, 2**32),
    lanes=st.sampled_from(LANES),
    n=st.integers(0, 700),
    words=st.integers(0, 200),
    tile=st.integers(1, 300),
    count=st.integers(1, 16),
)
def test_any_input_stays_in_bounds(seed: int, lanes: int, n: int, words: int, tile: int, count: int) -> None:
    """Random states, tables, words and numbers: an end position or -1, and nothing around the output changes."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 2**32, count * 4096, dtype=np.uint32)
    rows = rng.integers(0, 256, -(-n // tile), dtype=np.uint8)
    beside = rng.integers(0, 256, tile * int(rng.integers(1, 4)), dtype=np.uint8)
    states = rng.integers(0, 2**32, lanes, dtype=np.uint32)
    src = rng.integers(0, 256, 2 * words, dtype=np.uint8)
    dst = np.full(n + GUARD, 7, np.uint8)
    end = decode(src, lanes, table, rows, beside, tile, states, dst, n)
    assert end == -1 or 0 <= end <= src.size
    assert (dst[n:] == 7).all()


def test_a_byte_that_its_table_lacks_is_not_coded() -> None:
    freqs = [[2048, 2048] + [0] * 254, [1024] * 4 + [0] * 252]
    _, enc = tables(freqs)
    data, out = np.full(640, 3, np.uint8), np.zeros(1400, np.uint8)
    beside = np.full(320, 65, np.uint8)
    for rows, fits in (([0, 0], True), ([0, 5], True), ([1, 1], True)):
        for lack in (None, 0, 319):
            beside[:] = 65
            if lack is not None:
                beside[lack] = 0
            states, row = np.full(32, 65536, np.uint32), np.array(rows, np.uint8)
            found = invoke(
                columns.encode_address(), place(data), 640, 320, place(row), 2, place(beside), 320, place(enc), 2, 32,
                place(states), place(out), out.size,
            )  # fmt: skip
            assert (found >= 0) == (fits and lack is None)


def spelled(values: list[int], middle: int, low: int) -> bytes:
    """Numbers as the document writes them."""
    bits = ""
    for value in values:
        d = value - middle
        u = 2 * d - 1 if d > 0 else -2 * d
        bits += "1" * (u >> low) + "0" + (format(u & (1 << low) - 1, f"0{low}b")[::-1] if low else "")
    return bytes((middle, low)) + naive.bytes_of(bits)


@given(st.lists(st.integers(0, 127), min_size=1, max_size=200), st.integers(0, 127), st.integers(0, 6))
def test_numbers(values: list[int], middle: int, low: int) -> None:
    given, wanted = np.array(values, np.uint8), spelled(values, middle, low)
    assert numbers.size(given, middle, low) == len(wanted)
    out = np.zeros(len(wanted) + 2, np.uint8)
    assert numbers.write(given, middle, low, out, 1) == 1 + len(wanted)
    assert out.tobytes() == b"\0" + wanted + b"\0"
    found = np.zeros(len(values), np.uint8)
    assert numbers.read(out, 1, out.size, found) == 1 + len(wanted)
    assert found.tolist() == values
    for end in range(1, 1 + len(wanted)):
        assert numbers.read(out, 1, end, found) == -1


@given(st.lists(st.integers(0, 127), min_size=1, max_size=200))
def test_numbers_take_few_bytes(values: list[int]) -> None:
    best = min(len(spelled(values, m, low)) for m in set(values) for low in range(7))
    assert len(write_numbers(np.array(values, np.uint8))) <= best + 1 + len(values) // 8


@given(st.binary(max_size=60), st.integers(1, 60))
def test_numbers_of_any_bytes(data: bytes, count: int) -> None:
    src, found = np.frombuffer(data, np.uint8), np.full(count + GUARD, 200, np.uint8)
    end = numbers.read(src, 0, src.size, found[:count])
    assert (found[count:] == 200).all()
    if end >= 0:
        assert found[:count].max() <= 127
        assert spelled(found[:count].tolist(), data[0], data[1]) == data[:end]

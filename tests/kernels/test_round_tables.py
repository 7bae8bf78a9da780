"""Tables of stage 7 against the oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import round_tables as kernel
from codec.kernels import tables
from tests import naive


def fitted(counts: np.ndarray, middle: int, scale: int) -> tuple[np.ndarray, bytes]:
    freq, raw = np.zeros(counts.shape, np.int64), np.zeros(len(counts) * tables.RAW_MAX, np.uint8)
    return freq, raw[: kernel.fit(counts.copy(), middle, scale, freq, raw)].tobytes()


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 4),
    sigma=st.floats(0.1, 100),
    middle=st.integers(0, 255),
    skew=st.booleans(),
    scale=st.sampled_from([1, 1, 30]),
    count=st.integers(1, 5000),
)
def test_what_is_fitted_is_what_is_read(
    seed: int, rows: int, sigma: float, middle: int, skew: bool, scale: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(0, sigma, (rows, count))).astype(np.int64)
    x = np.abs(x) if skew else x
    counts = np.stack([np.bincount((row + middle) & 255, minlength=256) for row in x])
    freq, raw = fitted(counts, middle, scale)
    at = 0
    for k in range(rows):
        found = naive.read_column_table(raw[at:])
        assert found is not None
        assert found[0] == freq[k].tolist() and sum(found[0]) == 4096 and max(found[0]) < 4096
        assert ((freq[k] > 0) | (counts[k] == 0)).all()
        at += found[1]
    assert at == len(raw)
    read = np.zeros((rows, 256), np.int64)
    src = np.frombuffer(b"?" + raw + b"!", np.uint8)
    assert kernel.read_all(src, 1, src.size, read) == 1 + len(raw)
    assert (read == freq).all()
    for end in range(1, 1 + len(raw)):
        assert kernel.read_all(src, 1, end, read) == -1


def test_what_is_mirrored_is_half_as_long() -> None:
    d = np.arange(256)
    counts = (20_000 * np.exp(-(np.minimum(d, 256 - d) ** 2) / 400)).astype(np.int64)[None]
    freq, raw = fitted(counts, 0, 1)
    assert (freq[0, 1:] == freq[0, :0:-1]).all()
    assert len(raw) < 0.6 * len(fitted(counts, 100, 1)[1])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_the_oracle_reads_them(data: bytes) -> None:
    check(data)


@given(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(0, 15), st.booleans(),
    st.lists(st.integers(0, 40), min_size=256, max_size=256), st.integers(0, 2),
)  # fmt: skip
def test_nearly_right_tables(
    first: int, span: int, filler: int, precision: int, mirrored: bool, freq: list[int], extra: int
) -> None:
    cut = [f >> max(0, f.bit_length() - 1 - precision) << max(0, f.bit_length() - 1 - precision) for f in freq]
    raw = naive.write_column_table(cut, first, span, 0 if mirrored else filler, precision, mirrored)
    check(raw + bytes(extra))


def test_the_shortest_table() -> None:
    check(naive.write_column_table([4094, 1, *[0] * 253, 1], 0, 1, 0, 0, mirrored=True))


def check(data: bytes) -> None:
    found, wanted = np.zeros((1, 256), np.int64), naive.read_column_table(data)
    end = kernel.read_all(np.frombuffer(data, np.uint8), 0, len(data), found)
    assert (end, found[0].tolist()) == (wanted[1], wanted[0]) if wanted is not None else end == -1

"""Frequency tables and code lengths against the oracle: the same bits, the same verdict on any bytes."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import tables
from tests import naive


def fitted(counts: np.ndarray, scale: int) -> tuple[np.ndarray, bytes]:
    freq, out = np.zeros(256, np.int64), np.full(1024, 7, np.uint8)
    size = int(tables.fit(counts, scale, freq, out))
    return freq, out[:size].tobytes()


@st.composite
def counts_of(draw: st.DrawFn) -> np.ndarray:
    """Counts of at least two symbols: smooth, wild, or one that outweighs all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["smooth", "wild", "flat", "one"]))
    s = np.arange(256)
    if kind == "smooth":
        counts = (1e6 * np.exp(-0.5 * ((s - rng.integers(20, 230)) / rng.uniform(0.3, 40)) ** 2)).astype(np.int64)
    elif kind == "wild":
        counts = (rng.pareto(0.3, 256) * 2).clip(0, 1 << 30).astype(np.int64)
    else:
        counts = rng.integers(0, 2 if kind == "one" else 50, 256)
        counts[rng.integers(256)] += 1 << 40 if kind == "one" else 0
    counts[rng.choice(256, draw(st.sampled_from([0, 100, 254])), replace=False)] = 0
    for s in rng.choice(256, 2, replace=False):
        counts[s] += 1
    return counts


@given(counts_of(), st.sampled_from([1, 7, 4096]))
def test_a_fitted_table_is_what_the_document_says(counts: np.ndarray, scale: int) -> None:
    freq, raw = fitted(counts, scale)
    assert freq.sum() == 4096 and freq.min() >= 0 and freq.max() < 4096
    assert ((freq > 0) == (counts > 0)).all()
    filler, precision = raw[0] + raw[2], raw[3] & 15
    assert raw == naive.write_table(freq.tolist(), filler, precision)
    assert naive.read_table(raw + b"behind") == (freq.tolist(), len(raw))
    back = np.full(256, 9, np.int64)
    assert tables.read(np.frombuffer(b"abc" + raw, np.uint8), 3, 3 + len(raw), back) == 3 + len(raw)
    assert (back == freq).all()


@given(counts_of())
def test_a_fitted_table_costs_little_more_than_entropy(counts: np.ndarray) -> None:
    freq, raw = fitted(counts, 1)
    total = int(counts.sum())
    used = [(int(c), int(f)) for c, f in zip(counts, freq, strict=True) if c]
    entropy = sum(c * log2(total / c) for c, _ in used)
    bits = sum(c * (12 - log2(f)) for c, f in used)
    assert bits <= entropy + 0.2 * total + 8 * len(raw)
    assert int(tables.entropy(counts)) / 4096 == pytest.approx(entropy, abs=total / 256 + 1)


@given(st.lists(counts_of(), min_size=1, max_size=4), st.sampled_from([1, 7, 4096]), st.integers(0, 255))
def test_the_best_of_all_precisions_is_written(rows: list[np.ndarray], scale: int, alone: int) -> None:
    """All tables at once, as the oracle fits each; what has fewer than two symbols gets a neighbour."""
    few, none = np.zeros(256, np.int64), np.zeros(256, np.int64)
    few[alone] = 5
    counts = np.array([*rows, few, none])
    encoder, raw = np.zeros(len(counts) * 256, np.uint32), np.full(len(counts) * tables.RAW_MAX, 7, np.uint8)
    ends = np.zeros((len(counts), 2), np.int64)
    tables.fit_all(counts, scale, encoder, raw, ends)
    assert counts[-2][[alone, alone + 1 if alone < 255 else 254]].tolist() == [6, 1]
    assert counts[-1][:2].tolist() == [1, 1]
    at = 0
    for k, row in enumerate(counts.tolist()):
        freq, written = naive.fit_table(row, scale, tables.LOG2)
        end, top = ends[k].tolist()
        assert raw[at:end].tobytes() == written
        assert top == max(s for s in range(256) if freq[s])
        codes = [start << 12 | f for start, f in zip(naive.starts_of(freq), freq, strict=True)]
        assert encoder[k * 256 : k * 256 + 256].tolist() == codes
        at = end


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x40\x03\x01\x08", b"\0\xff\0\x02", b"\xfe\1\0\xff"]))
def test_any_bytes_read_as_the_oracle_reads_them(data: bytes, front: bytes) -> None:
    data = front + data
    src = np.frombuffer(b"ab" + data, np.uint8)
    freq, lengths = np.full(256, 9, np.int64), np.full(256, 9, np.uint8)
    for kernel, oracle, row in (
        (tables.read, naive.read_table, freq),
        (tables.read_lengths, naive.read_lengths, lengths),
    ):
        want, after = oracle(data), int(kernel(src, 2, src.size, row))
        assert after == (-1 if want is None else 2 + want[1])
        if want is not None:
            assert row.tolist() == want[0]


@given(counts_of(), st.data())
def test_damaged_tables_read_as_the_oracle_reads_them(counts: np.ndarray, data: st.DataObject) -> None:
    damaged = bytearray(fitted(counts, 1)[1])
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit >> 3] ^= 1 << (bit & 7)
    raw = bytes(damaged[: data.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))])
    want, freq = naive.read_table(raw), np.zeros(256, np.int64)
    after = int(tables.read(np.frombuffer(raw, np.uint8), 0, len(raw), freq))
    assert (after, freq.tolist() if after >= 0 else None) == ((-1, None) if want is None else (want[1], want[0]))


@given(st.integers(0, 2**32), st.integers(2, 256))
def test_code_lengths_are_what_the_document_says(seed: int, symbols: int) -> None:
    rng = np.random.default_rng(seed)
    codes = [1, 1]  # lengths of a complete code: leaves are split until there are enough
    while len(codes) < symbols:
        k = int(rng.choice([i for i, n in enumerate(codes) if n < 11]))
        codes[k : k + 1] = [codes[k] + 1] * 2
    lengths = np.zeros(256, np.uint8)
    lengths[np.sort(rng.choice(256, symbols, replace=False))] = codes
    out = np.zeros(1024, np.uint8)
    size = int(tables.write_lengths(lengths, out))
    assert out[:size].tobytes() == naive.write_lengths(lengths.tolist())
    back = np.zeros(256, np.uint8)
    assert tables.read_lengths(out, 0, size, back) == size
    assert (back == lengths).all()
    assert tables.read_lengths(out, 0, size - 1, back) == -1


@given(st.lists(counts_of(), min_size=1, max_size=3))
def test_slots_are_handed_out_in_order(counts: list[np.ndarray]) -> None:
    freqs = np.array([fitted(row, 1)[0] for row in counts])
    decoder, encoder = np.zeros(len(freqs) * 4096, np.uint32), np.zeros(len(freqs) * 256, np.uint32)
    assert tables.lay_out(freqs, decoder, encoder) == max(s for row in freqs for s in range(256) if row[s])
    slots, symbols = [], []
    for row in freqs.tolist():
        starts = naive.starts_of(row)
        owner = [s for s in range(256) for _ in range(row[s])]
        slots += [row[s] << 20 | (slot - starts[s]) << 8 | s for slot, s in enumerate(owner)]
        symbols += [start << 12 | f for start, f in zip(starts, row, strict=True)]
    assert decoder.tolist() == slots
    assert encoder.tolist() == symbols


def test_logarithms() -> None:
    exact = [0.0, *(log2(i) * 4096 for i in range(1, 4097))]
    assert abs(tables.LOG2 - np.array(exact)).max() <= 1
    for x in (1, 2, 3, 4095, 4097, 65537, 10**9, 2**50 - 1):
        assert abs(naive.log2_of(x, tables.LOG2) / 4096 - log2(x)) < 2**-10
        counts = np.array([x, x])
        assert int(tables.entropy(counts)) == naive.entropy([x, x], tables.LOG2)

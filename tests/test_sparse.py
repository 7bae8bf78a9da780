"""Bytes and bits of which few are not zero: runs of zeros, in as few bytes as they should take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.dtypes import DTYPES
from codec.planner.levels import LEVELS, level_of
from codec.sparse import encode_sparse
from codec.structure import encode_structured
from tests.test_structure import decoded, kinds

DEFAULT = level_of("default")


def sparse(kind: str, count: int, one_in: int, seed: int, clustered: bool = False) -> np.ndarray:
    """uint8 of int8 updates, of -1 and 1, of a mask, or of packed bits (``count`` bits then): one in so many."""
    rng = np.random.default_rng(seed)
    there = rng.integers(0, one_in, count) == 0
    if clustered:
        there = (rng.integers(0, one_in // 4, -(-count // 64)) == 0).repeat(64)[:count] & (
            rng.integers(0, 4, count) == 0
        )
    if kind == "bits":
        return np.packbits(there, bitorder="little")
    values = {
        "int8": (rng.integers(1, 30, count) - rng.integers(0, 2, count) * 30),
        "ternary": rng.integers(0, 2, count) * 2 - 1,
        "mask": np.ones(count, np.int64),
    }[kind]
    values[values == 0] = 1
    return (values * there).astype(np.int8).view(np.uint8)


@given(
    st.sampled_from(["int8", "ternary", "mask", "bits"]), st.integers(1, 5000), st.sampled_from([4, 8, 100, 2000]),
    st.booleans(), st.integers(0, 2**32), st.sampled_from(sorted(LEVELS)), st.sampled_from([(), (3, 7), (100, 64)]),
)  # fmt: skip
def test_any_bytes_come_back(
    kind: str, count: int, one_in: int, clustered: bool, seed: int, level: str, shape: tuple[int, ...]
) -> None:
    data = sparse(kind, count, one_in, seed, clustered)
    spans = encode_sparse(data, DTYPES["I8"], shape, level_of(level))
    if spans is not None:
        assert decoded(spans) == data.tobytes() and kinds(spans) <= {"runs", "plain"}
        assert all(sum(span.fields.values()) == span.stored.size for span in spans)
    blob = codec.compress(data.view(np.int8), level=level, threads=1)
    assert codec.decompress(blob, threads=1) == data.tobytes()


@given(st.binary(max_size=2000), st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=30))
def test_any_bytes_among_zeros_come_back(front: bytes, others: list[tuple[int, int]]) -> None:
    data = np.zeros(700_000, np.uint8)
    data[: len(front)] = np.frombuffer(front, np.uint8)
    for at, value in others:
        data[at % data.size] = value
    spans = encode_sparse(data, DTYPES["U8"], (), DEFAULT)
    assert spans is None or decoded(spans) == data.tobytes()


@pytest.mark.parametrize("one_in", [10, 100, 1000])
@pytest.mark.parametrize("kind", ["int8", "ternary", "mask", "bits"])
def test_they_take_little_more_than_their_entropy(kind: str, one_in: int) -> None:
    count = 1 << 20
    data = sparse(kind, count, one_in, one_in)
    p = 1 / one_in
    bound = count * (-p * math.log2(p) - (1 - p) * math.log2(1 - p)) / 8
    bound += count * p / 8 * {"int8": math.log2(58), "ternary": 1}.get(kind, 0)
    blob = codec.compress(data.reshape(1024, -1), level="default", threads=1)
    assert codec.decompress(blob, threads=1) == data.tobytes()
    assert len(blob) < 1.014 * bound + 450, len(blob)  # the container takes 150, and each of four tables up to 70


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_runs_of_elements_that_are_not_zero_cost_less_still(level: str) -> None:
    found = {}
    for kind in ("int8", "mask", "bits"):
        data = sparse(kind, 1 << 20, 100, 5, clustered=True)
        spans = encode_sparse(data, DTYPES["U8"], (1024, data.size // 1024), level_of(level))
        assert spans is not None and decoded(spans) == data.tobytes() and kinds(spans) == {"runs"}
        found[kind] = 8 * sum(span.stored.size for span in spans) / np.count_nonzero(np.unpackbits(data))
    assert found["mask"] < 5.4 and found["bits"] < 5.2, found  # independent ones would take 8.1 bits each


@pytest.mark.parametrize("width", [2, 4, 8])
def test_few_wide_elements_take_less_than_a_mask(width: int) -> None:
    rng = np.random.default_rng(width)
    x = np.where(rng.integers(0, 1000, 120_000) == 0, rng.integers(0, 1 << 15, 120_000), 0).astype(f"u{width}")
    spans = encode_structured(x.view(np.uint8), DTYPES[f"U{8 * width}"], (120, 1000), DEFAULT)
    assert spans is not None and decoded(spans) == x.tobytes() and "runs" in kinds(spans)


def test_what_is_dense_is_not_tried() -> None:
    rng = np.random.default_rng(3)
    dense = rng.integers(0, 3, 100_000).astype(np.uint8)
    assert encode_sparse(dense, DTYPES["U8"], (), DEFAULT) is None
    assert encode_sparse(np.zeros(100_000, np.uint8), DTYPES["U8"], (), DEFAULT) is None

"""Planes that lend bytes to rANS states (format_spec/stages/18_lent.md), from an encoder and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

import codec
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.planner.levels import level_of

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of elements: slow in plain Python")


def weights(kind: str, count: int, seed: int, spread: float) -> np.ndarray:
    """Normal numbers whose scale goes up and down by e^spread, as they lie in a file of this type."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count, np.float32) * np.exp(spread * np.sin(np.arange(count) / 40)).astype(np.float32)
    if kind == "BF16":
        return (x.view(np.uint32) >> 16).astype(np.uint16)
    return x.astype(np.float16) if kind == "F16" else x


def carefully(data: np.ndarray, kind: str, level: str) -> tuple[bytes, int]:
    """What the careful way makes of the only chunk of a span of this data; and its stored bytes."""
    span = encode_span(data.tobytes(), DTYPES[kind], data.shape, level_of(level))
    decoder = SpanDecoder(records.body_of(memoryview(span.stored.tobytes()), records.SPAN, "test", 0), "test")
    out = np.zeros(data.nbytes, np.uint8)
    decoder.decode_inline(out)
    return out.tobytes(), span.stored.size


@given(
    st.sampled_from(["BF16", "F16", "F32"]), st.integers(1000, 20_000), st.integers(0, 99),
    st.sampled_from(["default", "max"]), st.sampled_from([0.0, 1.0]),
)  # fmt: skip
def test_both_ways_to_decode(kind: str, count: int, seed: int, level: str, spread: float) -> None:
    data = weights(kind, count, seed, spread)
    assert codec.decompress(codec.compress(data, kind, level=level)) == data.tobytes()
    assert carefully(data, kind, level)[0] == data.tobytes()


def test_what_was_lent_is_taken_back() -> None:
    """Where mixing codes the symbols in fewer bytes than states that carry others."""
    data = weights("BF16", 60_000, 5, 2.0)
    (plain, most), (mixed, fewer) = (carefully(data, "BF16", level) for level in ("default", "max"))
    assert plain == mixed == data.tobytes() and fewer < most * 0.98


def test_states_cost_less_than_they_hold() -> None:
    """Of 65,536 numbers of known entropy, 64 states take some 96 bytes above it; without lending it were 224."""
    rng = np.random.default_rng(1)
    symbols, rest = rng.integers(0, 16, 1 << 16), rng.integers(0, 256, 1 << 16)
    data = (symbols << 8 | rest).astype(np.uint16)
    _, stored = carefully(data.view(np.int16), "I16", "default")
    assert stored < (1 << 15) + (1 << 16) + 230

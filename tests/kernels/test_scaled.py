"""Integers times scales, against numpy; and finding the scales again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import scaled as kernel

CUT = {"f4": 0, "bf16": 16, "f2": 13}


def as_bf16(x: np.ndarray, down: bool) -> np.ndarray:
    """F32 rounded to BF16, as F32."""
    bits = x.view(np.uint32).astype(np.uint64)
    bits = bits if down else bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1))
    return (bits >> np.uint64(16) << np.uint64(16)).astype(np.uint32).view(np.float32)


def rounded(x: np.ndarray, kind: str, down: bool) -> np.ndarray:
    """F32 as elements of a kind, as F32."""
    with np.errstate(over="ignore"):
        return as_bf16(x, down) if kind == "bf16" else x.astype(kind).astype(np.float32)


def fitted(x: np.ndarray, group: int, kind: str, down: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """(integers, scales) of elements; None if there are none."""
    integers, scales = np.zeros(x.size, np.int16), np.zeros(-(-x.size // group), np.float32)
    work, floats = np.zeros(kernel.MOST + 2, np.uint32), np.zeros(3 * (kernel.MOST + 1) + 2)
    found = kernel.fit(x.view(np.uint32), group, CUT[kind], down, integers, scales, work, floats)
    return None if found < 0 else (integers, scales)


def again(integers: np.ndarray, scales: np.ndarray, group: int, kind: str, down: bool) -> np.ndarray:
    """What their products are."""
    nothing = integers == kernel.NOTHING
    low = int(integers[~nothing].min()) if (~nothing).any() else 0
    codes = np.where(nothing, 255, integers - low)
    assert codes.max() <= 255
    out = np.zeros(integers.size, np.float32)
    kernel.multiply(codes.astype(np.uint8), scales, group, low, 255 if nothing.any() else -1, out)
    return rounded(out, kind, down)


@given(
    st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 100), st.sampled_from(["f4", "bf16", "f2"]),
    st.integers(1, 127), st.booleans(), st.floats(-20, 5),
)  # fmt: skip
def test_what_is_found_is_right(
    seed: int, n: int, group: int, kind: str, levels: int, down: bool, power: float
) -> None:
    """Whatever scales it finds, their products are the elements, to the bit."""
    rng = np.random.default_rng(seed)
    integers = np.rint(rng.normal(0, levels / 3, n)).clip(-levels, levels)
    scales = rounded((rng.uniform(0.5, 2, -(-n // group)) * 2.0**power).astype(np.float32), kind, False)
    x = rounded(integers.astype(np.float32) * np.repeat(scales, group)[:n], kind, down and kind == "bf16")
    found = fitted(x, group, kind, down and kind == "bf16")
    if found is not None and (found[0] != kernel.NOTHING).any():
        held = found[0][found[0] != kernel.NOTHING]
        if int(held.max()) - int(held.min()) <= 255 - bool((found[0] == kernel.NOTHING).any()):
            products = again(*found, group, kind, down and kind == "bf16")
            assert np.array_equal(products.view(np.uint32), x.view(np.uint32))


@pytest.mark.parametrize("kind", ["f4", "bf16", "f2"])
@pytest.mark.parametrize(("group", "levels"), [(32, 7), (64, 7), (128, 7), (128, 127), (3072, 127), (12_288, 100)])
def test_scales_of_quantisers_are_found(kind: str, group: int, levels: int) -> None:
    rng = np.random.default_rng(group + levels)
    x = rng.normal(0, 0.02, 12_288).reshape(-1, group)
    scales = rounded((np.abs(x).max(1) / levels).astype(np.float32), kind, False)
    held = rounded((np.rint(x / scales[:, None]) * scales[:, None]).astype(np.float32), kind, False).ravel()
    found = fitted(held, group, kind)
    assert found is not None
    assert np.array_equal(again(*found, group, kind, False).view(np.uint32), held.view(np.uint32))
    assert np.abs(found[0][found[0] != kernel.NOTHING]).max() <= levels + 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e-40])
def test_what_has_no_scale(bad: float) -> None:
    rng = np.random.default_rng(1)
    assert fitted(rng.normal(0, 1, 500).astype(np.float32), 500, "f4") is None
    x = np.arange(-50, 50).astype(np.float32) * np.float32(0.3)
    assert fitted(x, 100, "f4") is not None
    x[7] = bad
    assert fitted(x, 100, "f4") is None


def test_zeros_of_both_signs() -> None:
    x = np.array([0.0, -0.0, 0.0, 0.0, -0.0, 1.5, -3.0, 0.0], np.float32)
    found = fitted(x, 4, "f4")
    assert found is not None
    assert [int(k) for k in found[0][:5]] == [0, kernel.NOTHING, 0, 0, kernel.NOTHING]
    assert np.array_equal(again(*found, 4, "f4", False).view(np.uint32), x.view(np.uint32))


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=50),
    st.integers(-1024, 1023),
    st.integers(1, 60),
    st.integers(0, 2**32),
)
def test_any_product(codes: list[int], offset: int, group: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = rng.integers(0, 2**32, -(-len(codes) // group), np.uint32).view(np.float32)
    scales = np.where(np.isfinite(scales), scales, np.float32(1))
    out = np.zeros(len(codes), np.float32)
    with np.errstate(all="ignore"):
        kernel.multiply(np.array(codes, np.uint8), scales, group, offset, 255, out)
        expected = (np.array(codes) + offset).astype(np.float32) * np.repeat(scales, group)[: len(codes)]
        expected[np.array(codes) == 255] = -0.0
        assert np.array_equal(out.view(np.uint32), expected.view(np.uint32))
        half = np.zeros(len(codes), np.uint16)
        kernel.halve(out, half)
        assert np.array_equal(half, expected.astype(np.float16).view(np.uint16))
        for down in (False, True):
            kernel.shorten(out.view(np.uint32), down, half)
            assert np.array_equal(half, (as_bf16(expected, down).view(np.uint32) >> 16).astype(np.uint16))


def test_halves_at_every_edge() -> None:
    """Every F16, the middle between each two, and their neighbours."""
    h = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    h = np.sort(h[np.isfinite(h)])
    middle = (h[1:] + h[:-1]) / 2
    edges = [np.float32(65520), np.float32(65519.996), np.float32(np.inf), np.float32(-np.inf), np.float32(3e38)]
    x = np.concatenate(
        [h, middle, np.nextafter(middle, np.float32(9e9)), np.nextafter(middle, np.float32(-9e9)), edges]
    )
    out = np.zeros(x.size, np.uint16)
    with np.errstate(all="ignore"):
        kernel.halve(x, out)
        assert np.array_equal(out, x.astype(np.float16).view(np.uint16))

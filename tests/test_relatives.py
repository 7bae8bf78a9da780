"""Tensors that lie near earlier ones: found, stored as differences where that is smaller, and read in every way."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

import codec
from codec.access import BytesSource
from codec.dtypes import DTYPES
from codec.reader import WeftFile
from codec.relatives import likely
from codec.stages.delta import Delta
from tests.test_repeats import check, copies

KINDS = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def near(x: np.ndarray, seed: int, part: float = 1e-3) -> np.ndarray:
    """What lies near, each element by about that part of itself."""
    return (x * (1 + part * np.random.default_rng(seed).normal(0, 1, x.shape))).astype(x.dtype)


def deltas(blob: bytes) -> list[tuple[int, int, int]]:
    """(begin, bytes, distance) of each delta in a file."""
    file = WeftFile(BytesSource(blob))
    found = []
    for k, entry in enumerate(file.index.spans):
        transform: Any = None if entry.chunks else file.decoder(k).layout.transform
        if isinstance(transform, Delta):
            found.append((file.starts[k], entry.original, transform.distance))
    return found


@pytest.mark.parametrize("level", ["fast", "default", "max"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_average_beside_the_weights(kind: Any, level: str) -> None:
    weights = floats(1, 200, 96)
    part = 2e-2 if kind == ml_dtypes.bfloat16 else 1e-3
    tensors = {"a.w": weights.astype(kind), "b.other": floats(2, 200, 96).astype(kind)}
    alone = len(codec.compress(save(tensors), level=level))
    tensors["z.average"] = near(weights, 3, part if kind != ml_dtypes.bfloat16 else 4e-3).astype(kind)
    original = save(tensors)
    blob = codec.compress(original, level=level)
    assert check(original, blob) == []
    assert sum(size for _, size, _ in deltas(blob)) == weights.size * np.dtype(kind).itemsize
    once = len(codec.compress(save({"w": tensors["z.average"]}), level=level))
    assert len(blob) - alone < 0.85 * once
    with codec.safe_open(io.BytesIO(blob)) as f:
        assert np.array_equal(f.get_tensor("z.average"), tensors["z.average"])
        assert np.array_equal(f.get_slice("z.average")[150:, 3:9], tensors["z.average"][150:, 3:9])


def test_of_many_the_nearest_and_none_of_them_a_delta() -> None:
    """Each checkpoint is near the first; a delta is no source, neither of a delta nor of a copy."""
    first = [floats(k, 90, 128) for k in range(9)]
    tensors = {f"0.{k}": x for k, x in enumerate(first)}
    tensors |= {f"1.{k}": near(x, 20 + k) for k, x in enumerate(first)}
    tensors |= {f"2.{k}": tensors[f"1.{k}"] for k in range(9)}
    original = save(tensors)
    blob = codec.compress(original)
    assert check(original, blob) == []
    found, size = deltas(blob), first[0].nbytes
    assert [(held, distance) for _, held, distance in found] == [(size, 9 * size)] * 9 + [(size, 18 * size)] * 9


def test_large_tensors_go_in_parts(tmp_path: Path) -> None:
    """Spans of 8 MiB, in chunks; from a file, to a file, and to what can't be written twice."""
    weights = floats(1, 2300, 1024)
    original = save({"a": weights, "b": near(weights, 2), "c": floats(3, 5, 1000)})
    source, target, piped = (tmp_path / name for name in ("m.safetensors", "m.weft", "p.weft"))
    source.write_bytes(original)
    codec.compress_file(source, target)
    blob = target.read_bytes()
    assert sum(size for _, size, _ in deltas(blob)) == weights.nbytes
    assert codec.decompress(blob) == original

    class Once(io.RawIOBase):
        def __init__(self) -> None:
            self.held = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.held += data
            return len(data)

    out = Once()
    codec.compress_file(source, out)  # type: ignore[arg-type]
    assert bytes(out.held) == blob
    codec.decompress_file(target, piped)
    assert piped.read_bytes() == original
    estimate = codec.estimate_file(source).estimated_bytes
    assert estimate == pytest.approx(len(blob), rel=0.01)


@pytest.mark.parametrize("what", ["zeros", "others", "ints", "far", "small"])
def test_what_is_no_relative(what: str) -> None:
    """And so the header says that nothing looks back: it may say so wrongly where something looks near, but is not."""
    a, b = floats(1, 64, 64), floats(2, 64, 64)
    if what == "zeros":
        a = b = np.zeros((64, 64), np.float32)
    elif what == "ints":
        a, b = (a * 1e6).astype(np.int32), (a * 1e6 + 1).astype(np.int32)
    elif what == "far":
        b = near(a, 3, 0.3)
    elif what == "small":
        a = a[:8]
        b = near(a, 3)
    original = save({"a": a, "b": b})
    blob = codec.compress(original)
    assert deltas(blob) == copies(blob) == [] and codec.decompress(blob) == original
    assert blob[10] == 0


def test_a_damaged_source_damages_the_delta(tmp_path: Path) -> None:
    weights = floats(1, 60, 64)
    tensors = {"a": weights, "b": floats(2, 60, 64), "c": near(weights, 3)}
    blob = bytearray(codec.compress(save(tensors)))
    file = WeftFile(BytesSource(bytes(blob)))
    at = file.offsets[1] + file.index.spans[1].record // 2  # behind the header comes the first tensor
    blob[at] ^= 1
    with pytest.raises(codec.CorruptFileError):
        codec.decompress(bytes(blob))
    report = codec.recover_file(io.BytesIO(bytes(blob)), tmp_path / "saved")
    assert {lost.name for lost in report.lost} == {"a", "c"}


@given(
    st.sampled_from([1, 2, 4, 8]), st.integers(0, 200), st.integers(0, 2**32), st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_any_bits(width: int, count: int, seed: int, signed: bool, alike: float) -> None:
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 256, width * count, np.uint8)
    data = np.where(rng.random(width * count) < alike, source, rng.integers(0, 256, width * count, np.uint8))
    data = data.astype(np.uint8)
    delta = Delta(width.bit_length() - 1, 7, signed)
    part, out = delta.differences(data, source), source.copy()
    delta.make([part], out)
    assert out.tobytes() == data.tobytes()
    kind = f"<u{width}"
    half = 1 << 8 * width - 1
    for x, y, z in zip(source.view(kind).tolist(), data.view(kind).tolist(), part.view(kind).tolist(), strict=True):
        x, y = (v ^ half - 1 if signed and v >= half else v for v in (x, y))
        assert (x + (-(z // 2) - 1 if z % 2 else z // 2) - y) % (2 * half) == 0


@given(st.integers(0, 99), st.integers(1024, 3000), st.sampled_from(KINDS), st.floats(0, 0.1), st.integers(0, 7))
def test_any_file(seed: int, count: int, kind: Any, part: float, cut: int) -> None:
    weights = floats(seed, count)
    original = save({"a": weights.astype(kind), "b": near(weights, seed + 1, part).astype(kind)})
    original = original[: len(original) - cut]
    assert codec.decompress(codec.compress(original)) == original


def test_what_is_likely() -> None:
    a = floats(1, 1000)
    for kind in KINDS[2:]:
        x = a.astype(kind)
        name = {4: "F32", 8: "F64"}[x.itemsize]
        for part, wanted in ((1e-6, True), (1e-2, True), (2.0, False)):
            assert likely(near(x, 2, part).view(np.uint8), x.view(np.uint8), DTYPES[name]) == wanted

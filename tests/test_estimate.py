"""The prediction from a sample against what compression really gives."""

from __future__ import annotations

import io
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

import codec
from codec import estimate


def weights(seed: int, shape: tuple[int, ...], dtype: object) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.01, 0.1, (shape[0], *(1,) * (len(shape) - 1)))
    return (rng.standard_normal(shape, np.float32) * scale).astype(dtype)


def model(layers: int, dtype: object) -> bytes:
    tensors = {}
    for k in range(layers):
        tensors[f"layers.{k}.mlp"] = weights(k, (512, 384), dtype)
        tensors[f"layers.{k}.norm"] = weights(100 + k, (384,), np.float32)
    tensors["embedding"] = weights(99, (4000, 384), dtype)
    return save(tensors, {"format": "np"})


def stored(data: bytes, level: str = "default") -> codec.Report:
    return codec.compress_file(io.BytesIO(data), io.BytesIO(), level=level)


@pytest.mark.parametrize("level", ["fast", "default"])
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float32, np.float16])
def test_small_files_are_coded_whole(dtype: object, level: str) -> None:
    data = model(2, dtype)
    found, truth = codec.estimate_file(io.BytesIO(data), level=level), stored(data, level)
    assert found.original_bytes == found.sampled_bytes == len(data)
    assert found.bits == truth.bits
    assert found.estimated_bytes == pytest.approx(truth.stored_bytes, abs=200)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float32])
def test_a_sample_is_close(dtype: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "SAMPLED_BYTES", 0)
    data = model(32, dtype)
    found, truth = codec.estimate_file(io.BytesIO(data)), stored(data)
    assert found.sampled_bytes < len(data) * 0.12
    assert found.estimated_bytes == pytest.approx(truth.stored_bytes, rel=0.01)
    assert {name: set(fields) for name, fields in found.bits.items()} == {n: set(f) for n, f in truth.bits.items()}
    assert 0.99 < sum(sum(f.values()) for f in found.bits.values()) / 8 / found.estimated_bytes <= 1


def test_one_large_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "SAMPLED_BYTES", 0)
    data = save({"w": weights(1, (10_000, 1000), ml_dtypes.bfloat16)})
    found = codec.estimate_file(io.BytesIO(data))
    assert found.sampled_bytes < len(data) * 0.06
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.01)


def test_opaque_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "SAMPLED_BYTES", 0)
    data = weights(3, (3_000_000,), np.float16).tobytes() + b"odd"
    found = codec.estimate_file(io.BytesIO(data))
    assert set(found.bits) == {""} and found.sampled_bytes < len(data) * 0.2
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.02)


@pytest.mark.parametrize("data", [b"", b"x", bytes(100), save({}), save({"z": np.zeros((0, 3), "f4")})])
def test_next_to_nothing(data: bytes) -> None:
    found = codec.estimate_file(io.BytesIO(data))
    assert found.original_bytes == len(data)
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, abs=40)


def test_writes_nothing_and_says_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(model(2, np.float16))
    assert codec.estimate_file(path) == codec.estimate_file(os.fspath(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        codec.estimate_file(tmp_path / "none")
    with pytest.raises(ValueError, match="level"):
        codec.estimate_file(io.BytesIO(b""), level="much")

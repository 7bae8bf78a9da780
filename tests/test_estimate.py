"""The prediction from a sample against what compression really gives."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
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
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    data = model(32, dtype)
    found, truth = codec.estimate_file(io.BytesIO(data)), stored(data)
    assert found.sampled_bytes <= len(data) * 0.05
    assert found.estimated_bytes == pytest.approx(truth.stored_bytes, rel=0.01)
    assert {name: set(fields) for name, fields in found.bits.items()} == {n: set(f) for n, f in truth.bits.items()}
    assert 0.99 < sum(sum(f.values()) for f in found.bits.values()) / 8 / found.estimated_bytes <= 1


def test_one_large_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    data = save({"w": weights(1, (10_000, 1000), ml_dtypes.bfloat16)})
    found = codec.estimate_file(io.BytesIO(data))
    assert found.sampled_bytes <= len(data) * 0.05
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.01)


def test_opaque_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    data = weights(3, (3_000_000,), np.float16).tobytes() + b"odd"
    found = codec.estimate_file(io.BytesIO(data))
    assert set(found.bits) == {""} and found.sampled_bytes <= len(data) * 0.05
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.02)


def dequantised(x: np.ndarray) -> np.ndarray:
    return (np.rint(x * 300).clip(-127, 127) * np.float32(0.0031)).astype(x.dtype)


def pruned(x: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(8).random(x.shape) < 0.6, 0, x).astype(x.dtype)


def upcast(x: np.ndarray) -> np.ndarray:
    return x.astype(ml_dtypes.bfloat16).astype(x.dtype)


@pytest.mark.parametrize("change", [dequantised, pruned, upcast])
def test_structure(change: Callable[[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    tensors = {f"layers.{k}": change(weights(k, (2000, 700), np.float32)) for k in range(4)}
    data = save(tensors | {"embedding": change(weights(9, (9000, 700), np.float32))})
    found, truth = codec.estimate_file(io.BytesIO(data)), stored(data)
    assert found.sampled_bytes <= len(data) * 0.06  # two shapes, and of each what is coded together
    assert found.estimated_bytes == pytest.approx(truth.stored_bytes, rel=0.01)
    assert {name: set(fields) for name, fields in found.bits.items()} == {n: set(f) for n, f in truth.bits.items()}


def test_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    rng, blocks = np.random.default_rng(4), np.zeros((600_000, 18), np.uint8)
    blocks[:, :2] = weights(4, (600_000, 1), np.float16).view(np.uint8)
    blocks[:, 2:] = np.minimum(rng.geometric(0.02, (600_000, 16)), 255)
    name = (6).to_bytes(8, "little") + b"weight"
    shape = (2).to_bytes(4, "little") + (960).to_bytes(8, "little") + (20_000).to_bytes(8, "little")
    head = b"GGUF\3\0\0\0" + (1).to_bytes(8, "little") + bytes(8) + name + shape + b"\2\0\0\0" + bytes(8)
    data = head.ljust(-(-len(head) // 32) * 32, b"\0") + blocks.tobytes()
    found, truth = codec.estimate_file(io.BytesIO(data)), stored(data)
    assert {"scales", "codes"} <= set(truth.bits["U8"]) and found.sampled_bytes <= len(data) * 0.05
    assert found.estimated_bytes == pytest.approx(truth.stored_bytes, rel=0.01)


def test_codes_of_two_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    rng, blocks = np.random.default_rng(4), np.zeros((480_000, 22), np.uint8)
    codes = np.rint(rng.standard_normal((480_000, 32), np.float32) * 5 + 16).clip(0, 31).astype(np.uint8)
    blocks[:, :2] = weights(4, (480_000, 1), np.float16).view(np.uint8)
    blocks[:, 2:6] = np.packbits(codes >> 4, axis=1, bitorder="little")
    blocks[:, 6:] = codes[:, :16] & 15 | (codes[:, 16:] & 15) << 4
    name = (6).to_bytes(8, "little") + b"weight"
    shape = (2).to_bytes(4, "little") + (960).to_bytes(8, "little") + (16_000).to_bytes(8, "little")
    head = b"GGUF\3\0\0\0" + (1).to_bytes(8, "little") + bytes(8) + name + shape + b"\6\0\0\0" + bytes(8)
    data = head.ljust(-(-len(head) // 32) * 32, b"\0") + blocks.tobytes()
    for level in ("fast", "default"):
        found, truth = codec.estimate_file(io.BytesIO(data), level=level), stored(data, level)
        assert "codes" in truth.bits["U8"] and "high bits" not in truth.bits["U8"]
        assert set(found.bits["U8"]) == set(truth.bits["U8"]) and found.sampled_bytes <= len(data) * 0.05
        assert found.estimated_bytes == pytest.approx(truth.stored_bytes, rel=0.01)


def test_many_small_tensors_of_as_many_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    rng = np.random.default_rng(6)
    data = save({f"t{k}": weights(k, (int(rng.integers(20, 500)), 100 + k), np.float32) for k in range(200)})
    found = codec.estimate_file(io.BytesIO(data))
    assert found.sampled_bytes <= len(data) * 0.05
    assert found.estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.01)


def test_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "CODED_WHOLE", 0)
    text = b"".join(b"%x %s; " % (k * k * k, b"weight" * (k % 3)) for k in range(1500))
    data = (text * 400)[: 8 << 20]
    assert len(text) < 40_000
    assert codec.estimate_file(io.BytesIO(data)).estimated_bytes == pytest.approx(stored(data).stored_bytes, rel=0.1)


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


def test_tensors_that_repeat_count_once() -> None:
    layer = {name: np.random.default_rng(k).normal(0, 0.02, (700, 300)).astype("f4") for k, name in enumerate("abcd")}
    original = save({f"layers.{k}.{name}": x for k in range(12) for name, x in layer.items()})
    stored = len(codec.compress(original))
    found = codec.estimate_file(io.BytesIO(original))
    assert stored < len(original) / 12
    assert abs(found.estimated_bytes / stored - 1) < 0.01
    assert found.sampled_bytes < len(original) / 20

"""Small models for the Hub's tests, made by generator: weights that compress as real ones do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import safetensors.numpy

import codec


def weights(seed: int, rows: int = 512, columns: int = 384, layers: int = 2) -> bytes:
    """A safetensors file of bf16 matrices: rows x columns x layers x 2 bytes, and a header."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        values = rng.normal(0, 0.02, (rows, columns)).astype(np.float32)
        tensors[f"layers.{layer}.weight"] = (values.view(np.uint32) >> 16).astype(np.uint16)
    return _as_bf16(safetensors.numpy.save(tensors, {"format": "pt"}))


def _as_bf16(blob: bytes) -> bytes:
    """The same file, which says that its elements are bf16: the length of the header changes by its padding."""
    length = int.from_bytes(blob[:8], "little")
    header = blob[8 : 8 + length].replace(b'"U16"', b'"BF16"').rstrip()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + blob[8 + length :]


def compressed(original: bytes, folder: Path, name: str = "model.weft") -> bytes:
    """The weft file of an original, with its SHA-256 in it."""
    source = folder / f"{name}.original"
    source.write_bytes(original)
    codec.compress_file(source, folder / name, force=True, threads=1)
    return (folder / name).read_bytes()


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def tied(seed: int, rows: int = 2048, columns: int = 512, between: int = 3) -> bytes:
    """A safetensors file whose first tensor comes again as its last."""
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 1 << 16, (rows, columns), np.uint16) for _ in range(between + 1)]
    tensors = {f"layers.{k}.weight": layer for k, layer in enumerate([*layers, layers[0]])}
    return safetensors.numpy.save(tensors)
